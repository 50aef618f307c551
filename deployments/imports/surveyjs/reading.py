"""From SurveyJS JSON to a definition, and its results to rows."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from deployments.imports.draft import Clause, Draft
from deployments.imports.errors import FileUnreadable
from deployments.imports.json_answers import AnsweredForm, Misfit, Records, Taken, moment, text_of
from deployments.imports.json_values import read_values
from deployments.imports.logic import surveyjs
from deployments.imports.logic.subjects import Subject, in_group, name_in
from deployments.imports.logic.surveyjs import COMMENT
from deployments.imports.marks import NAME, apply_mark, marked_type
from deployments.imports.surveyjs.intake import OTHER, Intake
from deployments.imports.surveyjs.questions import Questions, listed
from deployments.imports.surveyjs.texts import Texts
from deployments.imports.target import FORMULA, TYPES
from deployments.imports.translating import MOST_OTHERS, is_language, translate_into
from deployments.kit.engine.fields.group import MAX_INSIDE, MAX_ITEMS

SOURCE: Final = "surveyjs_json"
FREE: Final = frozenset(("title", "description"))

_LISTS: Final = ("results", "responses", "data", "Data", "answers")
_DEFINITIONS: Final = ("survey", "definition", "json", "schema", "model")
_UNITS: Final = frozenset(("", "item", *(f"{place}{name}.item" for name in _LISTS for place in ("", "item."))))
_IDS: Final = ("instanceId", "resultId", "ResultId", "Id", "_id", "id")
_TIMES: Final = ("HappendAt", "CreatedAt", "createdAt", "created_at", "submittedAt", "submitted_at", "completedAt")
_SURVEY: Final = frozenset(
    ("pages", "elements", "questions", "title", "description", "locale", "triggers", "calculatedValues", NAME)
)
_CONDITIONS: Final = {"visibleIf": "visible_if", "requiredIf": "required_if"}
_DEEPEST: Final = 30
INSIDE: Final = "templateElements"
"""Where the questions of a panel that repeats are."""
_REPEATED: Final = frozenset(
    (
        *("type", "name", "title", "description", "visibleIf", "templateElements", "columns", "choices", "cellType"),
        *("minPanelCount", "maxPanelCount", "minRowCount", "maxRowCount", "templateTitle", NAME),
        *("isRequired", "requiredIf"),
    )
)


def read_surveyjs(file: IO[bytes], folder: Path) -> AnsweredForm:
    """The survey of a file, with the results that come with it. Raises FileUnreadable."""
    survey: dict[str, Any] | None = None
    with Records(folder) as records:
        for place, value in read_values(file, _UNITS):
            found = _definition_in(value) if place in ("", "item") else None
            if found is not None:
                if survey is not None:
                    raise FileUnreadable("The file has more than one survey.")
                survey = found
            elif not (isinstance(value, dict) and _is_wrapper(value)):
                records.add(value)
    if survey is None:
        raise FileUnreadable("There is no survey in the file: an object with pages or elements.")
    reading = _Reading(survey)
    reading.read()
    for language in reading.others():
        other = _Reading(survey, language)
        other.read()
        translate_into(reading.draft, language, other.draft)
    form = reading.draft.settled()
    if records.total and any(field.type == "datetime" for field in form.definition.fields):
        reading.draft.notices.add("", "answers.utc", "Moments without an offset are taken to be in UTC.")
    return AnsweredForm(form, records, reading.take, reading.draft.notices, SOURCE)


def _definition_in(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    for name in _DEFINITIONS:
        if (found := _definition_in(value.get(name))) is not None:
            return found
    lists = [value[name] for name in ("pages", "elements", "questions") if isinstance(value.get(name), list)]
    return value if any(all(isinstance(item, dict) for item in items) for items in lists) else None


def _is_wrapper(value: Mapping[str, Any]) -> bool:
    """Whether the object is only what enclosed the results."""
    return any(value.get(name) == [] for name in _LISTS)


class _Reading:
    """One language of a survey, by default its own."""

    def __init__(self, survey: Mapping[str, Any], language: str = "") -> None:
        self.draft = Draft()
        self._survey = survey
        own = survey.get("locale") if isinstance(survey.get("locale"), str) else ""
        self._language = language or own or "en"
        self._texts = Texts(self._language)
        self._questions = Questions(self.draft, self._texts)
        self._subjects: dict[str, Subject] = {}
        self._takes: dict[str, Intake] = {}
        self._others: dict[str, str] = {}
        self._marks: list[tuple[dict[str, Any], Mapping[str, Any], str]] = []
        self._shown_by: dict[str, list[Clause]] = {}
        self._sectioned = False

    def others(self) -> list[str]:
        """The languages that there are besides, once the survey is read; of what is none a notice is left."""
        known = [each for each in self._texts.others if is_language(each)][:MOST_OTHERS]
        for each in self._texts.others:
            if each not in known:
                detail = f"The texts in {each[:50]} are left out: it is no language, or there are too many."
                self.draft.notices.add("", "language.left_out", detail)
        return known

    def read(self) -> None:
        """Fill the draft."""
        survey, draft = self._survey, self.draft
        draft.properties["languages"] = [self._language]
        for name in ("title", "description"):
            if text := self._texts.pick(survey.get(name)):
                cut = draft.label if name == "title" else draft.prose
                draft.properties[name] = cut(text, f"/{name}")
        self._triggers()
        pages = survey.get("pages") if isinstance(survey.get("pages"), list) else None
        loose = survey.get("elements") or survey.get("questions")
        for index, page in enumerate(pages if pages is not None else [{"name": "page1", "elements": loose}]):
            if isinstance(page, dict):
                self._page(page, f"/pages/{index}")
        self._values()
        unknown = sorted(set(survey) - _SURVEY)
        if unknown:
            draft.notices.add(
                "", "property.unknown", f"Settings of the survey are left out: {', '.join(unknown)[:1000]}."
            )
        for element, raw, _ in self._marks:
            self._retype(element, raw)
        draft.translate(surveyjs.read, self._subjects)
        for element, raw, where in self._marks:
            apply_mark(element, said(raw), FREE, draft.notices, where)
        apply_mark(draft.properties, survey_said(survey), FREE, draft.notices, "")

    def _retype(self, element: dict[str, Any], raw: Mapping[str, Any]) -> None:
        """Let conditions know what a field really is before they are translated."""
        kind = marked_type(said(raw), FREE)
        for name, subject in self._subjects.items() if kind is not None else ():
            if subject.id == element["id"] and subject.part is None and kind is not None:
                self._subjects[name] = replace(subject, kind=kind)

    # Structure

    def _page(self, raw: Mapping[str, Any], where: str) -> None:
        page = self.draft.page(str(raw.get("name", "")), self._texts.pick(raw.get("title")), where)
        if description := self._texts.pick(raw.get("description")):
            page["description"] = self.draft.prose(description, where)
        clauses, joined = self._clauses(raw, where), bool(page["elements"])
        given = raw.get("elements") or raw.get("questions")
        page["elements"] += self._elements(given, clauses if joined else [], where, 0)
        if not joined:
            self.draft.page_condition(page, clauses)
        self._tell_unused(raw, {"name", "title", "description", "elements", "questions", "visibleIf", NAME}, where)
        self._marks.append((page, raw, where))

    def _elements(self, given: Any, clauses: list[Clause], where: str, depth: int) -> list[dict[str, Any]]:
        if depth > _DEEPEST:
            raise FileUnreadable(f"{where}: panels are nested more than {_DEEPEST} deep.")
        found: list[dict[str, Any]] = []
        for index, raw in enumerate(listed(given)):
            place = f"{where}/elements/{index}"
            if not isinstance(raw, dict):
                self.draft.notices.add(place, "type.unknown", "An element that is no object is left out.")
            elif raw.get("type") == "panel":
                found += self._panel(raw, clauses, place, depth)
            elif raw.get("type") in ("paneldynamic", "matrixdynamic"):
                found += self._repeated(raw, clauses, place, depth)
            else:
                found += self._question(raw, clauses, place)
        return found

    def _panel(self, raw: Mapping[str, Any], clauses: list[Clause], where: str, depth: int) -> list[dict[str, Any]]:
        own = [*clauses, *self._clauses(raw, where)]
        found = []
        if self._texts.pick(raw.get("title")) and not (self.draft.within or self._sectioned):
            return [self._section(raw, own, where, depth)]
        if title := self._texts.pick(raw.get("title")):
            description = self._texts.pick(raw.get("description"))
            heading = self.draft.element("statement", str(raw.get("name", "")), title, where, description=description)
            self.draft.condition(heading, "visible_if", own)
            found.append(heading)
        self._tell_unused(raw, {"type", "name", "title", "description", "elements", "visibleIf"}, where)
        return found + self._elements(raw.get("elements"), own, where, depth + 1)

    def _section(self, raw: Mapping[str, Any], clauses: list[Clause], where: str, depth: int) -> dict[str, Any]:
        title, description = self._texts.pick(raw.get("title")), self._texts.pick(raw.get("description"))
        section = self.draft.element("section", str(raw.get("name", "")), title, where, description=description)
        self.draft.condition(section, "visible_if", clauses)
        self._sectioned = True
        section["elements"] = self._elements(raw.get("elements"), [], where, depth + 1)
        self._sectioned = False
        self._tell_unused(raw, {"type", "name", "title", "description", "elements", "visibleIf", NAME}, where)
        self._marks.append((section, raw, where))
        return section

    def _repeated(self, raw: Mapping[str, Any], clauses: list[Clause], where: str, depth: int) -> list[dict[str, Any]]:
        """The repeating group of a panel or of rows; none without questions."""
        if self.draft.within:
            detail = "Repetitions inside of others are not supported: the questions are asked once."
            self.draft.notices.add(where, "type.repeat", detail)
            return self._panel({**raw, "type": "panel", "elements": _asked(raw)}, clauses, where, depth)
        name = str(raw.get("name", ""))
        title = self._texts.pick(raw.get("title")) or name
        described: dict[str, Any] = {"description": self._texts.pick(raw.get("description")), **_times(raw)}
        described |= {"item_title": self._texts.pick(raw.get("templateTitle")) or None}
        described |= {"required": raw.get("isRequired") is True}
        group = self.draft.element("group", name, title, where, **described)
        self.draft.condition(group, "visible_if", [*clauses, *self._clauses(raw, where)])
        if isinstance(raw.get("requiredIf"), str):
            self.draft.condition(group, "required_if", [Clause(raw["requiredIf"], where)])
        outside = self._subjects, self._takes, self._others
        self._subjects, self._takes, self._others = {}, {}, {}
        self.draft.within = group["id"]
        asked = self._elements(_asked(raw), [], where, depth + 1)
        self.draft.within = ""
        inside, takes, others = self._subjects, self._takes, self._others
        self._subjects, self._takes, self._others = outside
        for prefix in ("panel", "row"):
            self._subjects |= {
                name_in(group["id"], f"{prefix}.{each}"): in_group(subject, group["id"])
                for each, subject in inside.items()
            }
        self._subjects[name] = Subject(group["id"], "group")
        self._takes[name] = lambda value: {group["id"]: [_item(each, takes, others) for each in _items(value)]}
        self._tell_unused(raw, _REPEATED, where)
        self._marks.append((group, raw, where))
        group["elements"] = asked[:MAX_INSIDE]
        if len(asked) > MAX_INSIDE:
            detail = f"A group has at most {MAX_INSIDE} questions; the others are left out."
            self.draft.notices.add(where, "type.repeat", detail)
        return [group] if asked else []

    def _question(self, raw: Mapping[str, Any], clauses: list[Clause], where: str) -> list[dict[str, Any]]:
        name = str(raw.get("name", ""))
        question = self._questions.convert(raw, where)
        self._subjects |= question.subjects
        if question.take is not None:
            self._takes[name] = question.take
        own = [*clauses, *self._shown_by.get(name, ()), *self._clauses(raw, where)]
        if raw.get("visible") is False and "visible" not in question.used and not own:
            own = [Clause("false", where)]
        for element in question.elements:
            self.draft.condition(element, "visible_if", own)
            if isinstance(raw.get("requiredIf"), str) and element["type"] != "statement":
                self.draft.condition(element, "required_if", [Clause(raw["requiredIf"], where)])
            if element["type"] == "calculated" and isinstance(raw.get("expression"), str):
                self.draft.condition(element, FORMULA, [Clause(raw["expression"], where)])
        if raw.get("type") == "expression" and "calculated" not in TYPES:
            text = str(raw.get("expression", ""))
            self.draft.untranslated(Clause(text, where), "expression", "Calculations are not supported.")
        if question.elements and question.elements[0].get("allow_other"):
            self._others[f"{name}{COMMENT}"] = question.elements[0]["id"]
        elif raw.get("showCommentArea") or raw.get("hasComment"):
            question.elements.append(self._comment(raw, own, where))
        used = question.used | {"visibleIf", "requiredIf", "visible", "showCommentArea", "hasComment", NAME}
        self._tell_unused(raw, used | ({"expression"} if raw.get("type") == "expression" else set()), where)
        if len(question.elements) == 1:
            self._marks.append((question.elements[0], raw, where))
        return question.elements

    def _comment(self, raw: Mapping[str, Any], clauses: list[Clause], where: str) -> dict[str, Any]:
        """The field for the comment beside a question."""
        name = str(raw.get("name", ""))
        title = self._texts.pick(raw.get("commentText")) or f"{self._texts.pick(raw.get('title')) or name} - Comment"
        element = self.draft.element("long_text", f"{name}_comment", title, where)
        self.draft.condition(element, "visible_if", clauses)
        self._subjects[f"{name}{COMMENT}"] = Subject(element["id"], "long_text")
        field_id = element["id"]
        self._takes[f"{name}{COMMENT}"] = lambda value: {field_id: text_of(value)}
        return element

    # Logic

    def _clauses(self, raw: Mapping[str, Any], where: str) -> list[Clause]:
        text = raw.get("visibleIf")
        return [Clause(text, where)] if isinstance(text, str) and text.strip() else []

    def _triggers(self) -> None:
        for index, raw in enumerate(listed(self._survey.get("triggers"))):
            where = f"/triggers/{index}"
            text = raw.get("expression") if isinstance(raw, dict) else None
            names = raw.get("questions") if isinstance(raw, dict) and raw.get("type") == "visible" else None
            if isinstance(text, str) and isinstance(names, list) and not raw.get("pages"):
                for name in names:
                    self._shown_by.setdefault(str(name), []).append(Clause(text, where))
            else:
                self.draft.untranslated(Clause(str(raw)[:1000], where), "triggers", "It has no counterpart.")

    def _values(self) -> None:
        for index, raw in enumerate(listed(self._survey.get("calculatedValues"))):
            where = f"/calculatedValues/{index}"
            name = str(raw.get("name", "")) if isinstance(raw, dict) else ""
            text = str(raw.get("expression", "")) if isinstance(raw, dict) else str(raw)
            if "calculated" not in TYPES or not name or not self.draft.pages:
                self.draft.untranslated(Clause(text, where), "calculatedValues", "Calculations are not supported.")
                continue
            element = self.draft.element("calculated", name, name, where)
            self.draft.condition(element, FORMULA, [Clause(text, where)])
            self._subjects[name] = Subject(element["id"], "calculated")
            self.draft.pages[-1]["elements"].append(element)

    def _tell_unused(self, raw: Mapping[str, Any], used: Collection[str], where: str) -> None:
        for name in ("enableIf", "setValueIf", "resetValueIf", "setValueExpression", "defaultValueExpression"):
            if isinstance(raw.get(name), str):
                self.draft.untranslated(Clause(raw[name], where), name, "It has no counterpart.")
                used = {*used, name}
        unused = sorted(name for name in raw if name not in used)
        if unused:
            said = ", ".join(f"{name}: {str(raw[name])[:100]}" for name in unused)
            self.draft.notices.add(where, "property.unknown", f"Properties are left out: {said}")

    # Results

    def take(self, record: Any) -> Taken:
        """The response of a record. Raises Misfit."""
        if not isinstance(record, dict):
            raise Misfit("A result must be an object.")
        taken = Taken()
        others: dict[str, str] = {}
        for name, value in record.items():
            if value is None or value == "":
                continue
            if name in self._takes:
                try:
                    taken.answers |= self._takes[name](value)
                except _Unmapped:
                    taken.unmapped[name] = value
            elif name in self._others:
                others[self._others[name]] = text_of(value)
            elif name in _IDS and not taken.key:
                taken.key = text_of(value)
            elif name in _TIMES and (when := moment(value)) is not None:
                taken.submitted_at = when
            else:
                taken.unmapped[name] = value
        for field_id, text in others.items():
            taken.answers[field_id] = _with_other(taken.answers.get(field_id), text)
        return taken


def _asked(raw: Mapping[str, Any]) -> list[Any]:
    """The questions of each panel, or of each row."""
    if raw.get("type") == "paneldynamic":
        return listed(raw.get(INSIDE))
    usual, choices = raw.get("cellType", "dropdown"), raw.get("choices", [])
    columns = [column for column in listed(raw.get("columns")) if isinstance(column, dict)]
    return [{"choices": choices, **column, "type": column.get("cellType", usual)} for column in columns]


def _times(raw: Mapping[str, Any]) -> dict[str, int]:
    """How often the questions are asked."""
    found = {"max_items": MAX_ITEMS}
    for foreign, own in (("min", "min_items"), ("max", "max_items")):
        for name in (f"{foreign}PanelCount", f"{foreign}RowCount"):
            count = raw.get(name)
            if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= MAX_ITEMS:
                found[own] = count
    return found


def _items(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _Unmapped
    return value


def _item(given: Mapping[str, Any], takes: Mapping[str, Intake], others: Mapping[str, str]) -> dict[str, Any]:
    """The answers of an item. Raises Misfit, _Unmapped."""
    answers: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, value in given.items():
        if value is None or value == "":
            continue
        if name in takes:
            answers |= takes[name](value)
        elif name in others:
            written[others[name]] = text_of(value)
        else:
            raise _Unmapped
    for field_id, text in written.items():
        answers[field_id] = _with_other(answers.get(field_id), text)
    return answers


class _Unmapped(Exception):
    """The items say what the group does not ask."""


def _with_other(answer: Any, text: str) -> Any:
    """The answer with the text that was written beside the options."""
    if isinstance(answer, dict):
        return {**answer, OTHER: text}
    if isinstance(answer, list):
        return {"options": answer, OTHER: text} if answer else {OTHER: text}
    return {OTHER: text} if answer is None else {"option": answer, OTHER: text}


def said(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a page, panel or question says without its elements."""
    return {name: value for name, value in raw.items() if name not in ("elements", "questions", INSIDE)}


def survey_said(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a survey says without its pages."""
    return {name: value for name, value in raw.items() if name not in ("pages", "elements", "questions")}
