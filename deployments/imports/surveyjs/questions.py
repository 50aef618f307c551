"""The questions of SurveyJS as elements, with the intake of their answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.imports.draft import Draft
from deployments.imports.json_answers import text_of
from deployments.imports.logic.patterns import full_pattern
from deployments.imports.logic.subjects import Subject
from deployments.imports.naming import option_ids
from deployments.imports.surveyjs import intake
from deployments.imports.surveyjs.intake import OTHER, Intake
from deployments.imports.surveyjs.texts import Texts, plain

_INPUTS: Final = {
    "text": "short_text",
    "email": "email",
    "url": "url",
    "tel": "phone",
    "date": "date",
    "time": "time",
    "datetime-local": "datetime",
    "datetime": "datetime",
    "number": "number",
    "range": "number",
}
_SELECTS: Final = {"radiogroup": "choice", "buttongroup": "choice", "dropdown": "dropdown", "checkbox": "multi_choice"}
_TEXTS: Final = ("short_text", "long_text", "email", "url", "phone", "hidden")
_LONGEST_SCALE: Final = 100


@dataclass(slots=True)
class Question:
    """What a question became: elements, the intake of its answers, and the names that conditions know it by."""

    elements: list[dict[str, Any]]
    take: Intake | None = None
    subjects: dict[str, Subject] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


class Questions:
    """Converts questions one by one; `Question.used` are the properties that were understood."""

    def __init__(self, draft: Draft, texts: Texts) -> None:
        self._draft = draft
        self._texts = texts
        self._kinds: dict[str, Callable[[Mapping[str, Any], str], Question]] = {
            **dict.fromkeys(("text", "slider", "nouislider"), self._text),
            **dict.fromkeys(("comment",), self._comment),
            **dict.fromkeys((*_SELECTS, "tagbox", "imagepicker"), self._selection),
            "ranking": self._ranking,
            "rating": self._rating,
            "boolean": self._boolean,
            "matrix": self._matrix,
            "matrixdropdown": self._matrix_of_fields,
            "multipletext": self._texts_in_one,
            "html": self._html,
            "image": self._image,
            "expression": self._expression,
            "file": self._unavailable("file"),
            "signaturepad": self._unavailable("signature"),
        }

    def convert(self, raw: Mapping[str, Any], where: str) -> Question:
        """The question; an unknown type becomes a text."""
        kind = raw.get("type")
        convert = self._kinds.get(kind) if isinstance(kind, str) else None
        if convert is None:
            detail = f"'{str(kind)[:100]}' has no counterpart; it becomes a text."
            self._draft.notices.add(where, "type.nearest", detail)
            return self._plain("long_text", raw, where)
        question = convert(raw, where)
        question.used |= {"type", "name", "title", "description", "isRequired"}
        for element in question.elements:
            if raw.get("isRequired") is True and element["type"] != "statement":
                element["required"] = True
        return question

    # Parts that questions share

    def _element(self, kind: str, raw: Mapping[str, Any], where: str, **extra: Any) -> dict[str, Any]:
        name = str(raw.get("name", ""))
        title = self._texts.pick(raw.get("title")) or name
        return self._draft.element(
            kind, name, title, where, description=self._texts.pick(raw.get("description")), **extra
        )

    def _plain(self, kind: str, raw: Mapping[str, Any], where: str, **extra: Any) -> Question:
        element = self._element(kind, raw, where, **extra)
        name = str(raw.get("name", ""))
        return Question([element], intake.plain(element), {name: Subject(element["id"], element["type"])})

    def _options(self, given: Any, where: str) -> tuple[list[dict[str, str]], dict[str, str]]:
        """Options with their ids by the values that they had."""
        labels: dict[str, str] = {}
        for item in listed(given):
            value = item.get("value") if isinstance(item, dict) else item
            if isinstance(item, dict) and set(item) - {"value", "text", "imageLink"}:
                extra = ", ".join(sorted(set(item) - {"value", "text", "imageLink"}))[:200]
                self._draft.notices.add(where, "property.choices", f"Properties of options are left out: {extra}.")
            if value is None or isinstance(value, dict | list):
                self._draft.notices.add(where, "choice.without_value", "An option without a plain value is left out.")
                continue
            key = text_of(value)
            text = self._texts.pick(item.get("text")) if isinstance(item, dict) else ""
            labels.setdefault(key, self._draft.label(text or key or "-", where))
        ids = option_ids(labels)
        return [{"id": ids[key], "label": label} for key, label in labels.items()], ids

    def _validation(self, element: dict[str, Any], raw: Mapping[str, Any], where: str, used: set[str]) -> None:
        """Bounds, lengths, counts and patterns, as properties or as validators."""
        kind = element["type"]
        rules: dict[str, Any] = {}
        if kind in ("number", "integer", "currency", "date", "time", "datetime"):
            _bounds(rules, raw, {"min": "min", "max": "max"}, used)
        if kind in _TEXTS and isinstance(raw.get("maxLength"), int) and raw["maxLength"] > 0:
            rules["max_length"] = raw["maxLength"]
            used.add("maxLength")
        if kind in ("multi_choice", "ranking"):
            names = {"minSelectedChoices": "min_choices", "maxSelectedChoices": "max_choices"}
            _bounds(rules, {name: raw[name] for name in names if raw.get(name)}, names, used)
        used.add("validators")
        for validator in listed(raw.get("validators")):
            if not isinstance(validator, dict) or not self._validator(kind, rules, validator):
                text = str(validator)[:1000]
                self._draft.notices.add(
                    where, "logic.untranslated", f"validators: It has no counterpart. It was: {text}"
                )
            elif validator.get("text"):
                detail = "Messages of their own are not supported for validation."
                self._draft.notices.add(where, "property.text", f"{detail} It was: {validator['text']}")
        if rules:
            element["validation"] = rules

    def _validator(self, kind: str, rules: dict[str, Any], raw: Mapping[str, Any]) -> bool:
        """Whether the rules of an element could say what the validator says; if so, they do."""
        seen: set[str] = set()
        match raw.get("type"):
            case "numeric" if kind in ("number", "integer", "currency"):
                _bounds(rules, raw, {"minValue": "min", "maxValue": "max"}, seen)
            case "text" if kind in _TEXTS:
                lengths = {name: raw[name] for name in ("minLength", "maxLength") if raw.get(name)}
                _bounds(rules, lengths, {"minLength": "min_length", "maxLength": "max_length"}, seen)
                return raw.get("allowDigits") is not False
            case "answercount" if kind in ("multi_choice", "ranking"):
                _bounds(rules, raw, {"minCount": "min_choices", "maxCount": "max_choices"}, seen)
            case "regex" if kind in _TEXTS and isinstance(raw.get("regex"), str) and "pattern" not in rules:
                if raw.get("caseInsensitive"):
                    rules["pattern"] = f"(?i:{full_pattern(raw['regex'])})"
                else:
                    rules["pattern"] = full_pattern(raw["regex"])
            case "email":
                return kind == "email"
            case _:
                return False
        return True

    # Types

    def _text(self, raw: Mapping[str, Any], where: str) -> Question:
        given = raw.get("inputType", "text") if raw.get("type") == "text" else "range"
        kind = _INPUTS.get(given, "short_text")
        if given not in _INPUTS:
            detail = f"The input {str(given)[:50]} becomes a text."
            self._draft.notices.add(where, "type.nearest", detail)
        step = raw.get("step")
        if kind == "number" and isinstance(step, int) and step == 1:
            kind = "integer"
        if raw.get("visible") is False and kind == "short_text":
            kind = "hidden"
        question = self._plain(kind, raw, where)
        question.used |= {"inputType", *(("visible",) if kind == "hidden" else ())}
        question.used |= {"step"} if kind == "integer" else set()
        self._validation(question.elements[0], raw, where, question.used)
        return question

    def _comment(self, raw: Mapping[str, Any], where: str) -> Question:
        question = self._plain("long_text", raw, where)
        self._validation(question.elements[0], raw, where, question.used)
        return question

    def _selection(self, raw: Mapping[str, Any], where: str) -> Question:
        kind = _SELECTS.get(raw["type"], "multi_choice")
        if raw["type"] == "imagepicker":
            kind = "multi_choice" if raw.get("multiSelect") else "choice"
            self._draft.notices.add(where, "property.images", "The images of options are left out; their texts stay.")
        used = {"choices", "multiSelect"}
        options, ids = self._options(raw.get("choices"), where)
        for flag, older, value, text in (
            ("showNoneItem", "hasNone", "none", "noneText"),
            ("showRefuseItem", "", "refused", "refuseText"),
            ("showDontKnowItem", "", "dontknow", "dontKnowText"),
        ):
            used |= {flag, older, text}
            if (raw.get(flag) or raw.get(older)) and value not in ids:
                label = self._texts.pick(raw.get(text)) or {"none": "None", "refused": "Refuse to answer"}.get(value)
                options.append({"id": value, "label": label or "Don't know"})
                ids[value] = value
        other = bool(raw.get("showOtherItem") or raw.get("hasOther"))
        if not options:
            reason = "Its options come from elsewhere." if raw.get("choicesByUrl") else "It has no options of its own."
            self._draft.notices.add(where, "type.nearest", f"{raw['type']} becomes a text. {reason}")
            return self._plain("short_text", raw, where)
        if other and (clash := ids.pop(OTHER, None)) is not None:
            options = [option for option in options if option["id"] != clash]
        elif other and OTHER in ids.values():
            ids = {key: "option_other" if own == OTHER else own for key, own in ids.items()}
        element = self._element(kind, raw, where, options=options, allow_other=other)
        used |= {"showOtherItem", "hasOther"}
        self._validation(element, raw, where, used)
        make = intake.several if kind == "multi_choice" else intake.single
        values = {**ids, **({OTHER: OTHER} if other else {})}
        parts = {OTHER: OTHER} if other else {}
        subject = Subject(element["id"], element["type"], values, parts)
        name = str(raw.get("name", ""))
        return Question([element], make(element["id"], ids, other=other), {name: subject}, used)

    def _ranking(self, raw: Mapping[str, Any], where: str) -> Question:
        options, ids = self._options(raw.get("choices"), where)
        if not options:
            self._draft.notices.add(where, "type.nearest", "ranking becomes a text. It has no options of its own.")
            return self._plain("short_text", raw, where)
        element = self._element("ranking", raw, where, options=options)
        used = {"choices"}
        self._validation(element, raw, where, used)
        name = str(raw.get("name", ""))
        subject = Subject(element["id"], "ranking", ids)
        return Question([element], intake.several(element["id"], ids, other=False), {name: subject}, used)

    def _rating(self, raw: Mapping[str, Any], where: str) -> Question:
        used = {"rateMin", "rateMax", "rateStep", "rateValues", "rateCount", "minRateDescription", "maxRateDescription"}
        ends = {
            "min_label": self._texts.pick(raw.get("minRateDescription")) or None,
            "max_label": self._texts.pick(raw.get("maxRateDescription")) or None,
        }
        values, step = raw.get("rateValues"), raw.get("rateStep", 1)
        low, high = raw.get("rateMin", 1), raw.get("rateMax", raw.get("rateCount", 5))
        whole = all(type(bound) is int and abs(bound) <= _LONGEST_SCALE for bound in (low, high)) and low < high
        if values or step != 1 or not whole:
            return self._rated_options(raw, where, used)
        if (low, high) == (0, 10):
            question = self._plain("nps", raw, where, **ends)
        elif low == 1 and high <= 10 and not any(ends.values()):
            question = self._plain("rating", raw, where, max=high)
        else:
            question = self._plain("scale", raw, where, min=low, max=high, **ends)
        question.used |= used
        return question

    def _rated_options(self, raw: Mapping[str, Any], where: str, used: set[str]) -> Question:
        values = raw.get("rateValues")
        if not values:
            low, high, step = (
                raw.get(name, usual) for name, usual in (("rateMin", 1), ("rateMax", 5), ("rateStep", 1))
            )
            numbers = all(isinstance(number, int | float) for number in (low, high, step)) and step > 0
            steps = int((high - low) / step) if numbers else -1
            values = [low + index * step for index in range(min(steps, _LONGEST_SCALE) + 1)]
        self._draft.notices.add(where, "type.nearest", "A rating with values of its own becomes a choice.")
        question = self._selection({**raw, "type": "radiogroup", "choices": values}, where)
        question.used |= used
        return question

    def _boolean(self, raw: Mapping[str, Any], where: str) -> Question:
        element = self._element("yes_no", raw, where)
        yes, no = raw.get("valueTrue", True), raw.get("valueFalse", False)
        values = {"true": True, "false": False, _plain_key(yes): True, _plain_key(no): False}
        name = str(raw.get("name", ""))
        subject = Subject(element["id"], element["type"], values)
        return Question([element], intake.truth(element["id"], yes, no), {name: subject}, {"valueTrue", "valueFalse"})

    def _matrix(self, raw: Mapping[str, Any], where: str) -> Question:
        many = raw.get("cellType") == "checkbox"
        return self._table(raw, raw.get("columns"), None, where, many=many)

    def _table(self, raw: Mapping[str, Any], columns: Any, column: str | None, where: str, *, many: bool) -> Question:
        row_options, rows = self._options(raw.get("rows"), where)
        column_options, ids = self._options(columns, where)
        if not row_options or not column_options:
            self._draft.notices.add(where, "type.nearest", f"{raw['type']} becomes a text. It has no rows or columns.")
            return self._plain("long_text", raw, where)
        kind = "matrix_multi" if many else "matrix"
        element = self._element(kind, raw, where, rows=row_options, columns=column_options)
        if raw.get("isAllRowRequired") or raw.get("eachRowRequired"):
            element["required"] = True
        name = str(raw.get("name", ""))
        row_kind = "multi_choice" if many else "choice"
        subjects = {f"{name}.{key}": Subject(element["id"], row_kind, ids, part=row) for key, row in rows.items()}
        if column is not None:
            subjects = {f"{key}.{column}": subject for key, subject in subjects.items()}
        subjects[name] = Subject(element["id"], kind)
        take = intake.tabular(element["id"], rows, ids, column, many=many)
        return Question([element], take, subjects, {"rows", "columns", "choices", "cellType", "isAllRowRequired"})

    def _matrix_of_fields(self, raw: Mapping[str, Any], where: str) -> Question:
        """A table whose columns are questions: each becomes a matrix, or a field for each of its rows."""
        columns = [column for column in listed(raw.get("columns")) if isinstance(column, dict)]
        found = Question([], used={"rows", "columns", "choices", "cellType", "isAllRowRequired", "eachRowRequired"})
        takes: list[Intake] = []
        title = self._texts.pick(raw.get("title")) or str(raw.get("name", ""))
        for column in columns:
            name = str(column.get("name", ""))
            cell = column.get("cellType", raw.get("cellType", "dropdown"))
            choices = column.get("choices") or raw.get("choices")
            label = self._texts.pick(column.get("title")) or name
            sole = len(columns) == 1
            own = {
                **raw,
                "name": raw.get("name") if sole else f"{raw.get('name')}_{name}",
                "title": raw.get("title") if sole else f"{title} - {label}",
            }
            if cell in ("dropdown", "radiogroup", "checkbox", "tagbox", "default") and choices:
                many = cell in ("checkbox", "tagbox")
                part = self._table(own, choices, name, where, many=many)
                renamed = {
                    key.replace(str(own["name"]), str(raw.get("name")), 1): s for key, s in part.subjects.items()
                }
                found.subjects |= renamed
            else:
                part = self._cells(own, column, where)
            found.elements += part.elements
            takes += [part.take] if part.take else []
        if len(columns) > 1:
            detail = "A table of questions becomes one question for each column."
            self._draft.notices.add(where, "type.nearest", detail)

        def take(value: Any) -> dict[str, Any]:
            answers: dict[str, Any] = {}
            for read in takes:
                answers |= {key: answer for key, answer in read(value).items() if answer not in (None, {}, [])}
            return answers

        found.take = take
        return found

    def _cells(self, raw: Mapping[str, Any], column: Mapping[str, Any], where: str) -> Question:
        """A field for each row of one column."""
        row_options, rows = self._options(raw.get("rows"), where)
        labels = {option["id"]: option["label"] for option in row_options}
        cell = column.get("cellType", "text")
        takes: dict[str, Intake] = {}
        found = Question([])
        for key, row in rows.items():
            own = {**column, "type": cell, "name": f"{raw['name']}_{row}", "title": f"{raw['title']} - {labels[row]}"}
            part = self.convert(own, where)
            found.elements += part.elements
            if part.take:
                takes[key] = part.take
        name = str(column.get("name", ""))

        def take(value: Any) -> dict[str, Any]:
            answers: dict[str, Any] = {}
            for row, cells in value.items() if isinstance(value, dict) else ():
                given = cells.get(name) if isinstance(cells, dict) else None
                if row in takes and given not in (None, ""):
                    answers |= takes[row](given)
            return answers

        found.take = take
        return found

    def _texts_in_one(self, raw: Mapping[str, Any], where: str) -> Question:
        found = Question([], used={"items"})
        takes: dict[str, Intake] = {}
        title = self._texts.pick(raw.get("title")) or str(raw.get("name", ""))
        for item in listed(raw.get("items")):
            if not isinstance(item, dict):
                continue
            name = str(item.get("name", ""))
            label = self._texts.pick(item.get("title")) or name
            own = {**item, "type": "text", "name": f"{raw.get('name')}_{name}", "title": f"{title} - {label}"}
            part = self.convert(own, where)
            found.elements += part.elements
            found.subjects |= {f"{raw.get('name')}.{name}": subject for subject in part.subjects.values()}
            if part.take:
                takes[name] = part.take
        found.take = intake.parts(takes)
        return found

    def _html(self, raw: Mapping[str, Any], where: str) -> Question:
        heading, text = plain(self._texts.pick(raw.get("html")))
        title = heading or text or str(raw.get("name", ""))
        element = self._draft.element(
            "statement", str(raw.get("name", "")), title, where, description=text if heading else None
        )
        return Question([element], used={"html"})

    def _image(self, raw: Mapping[str, Any], where: str) -> Question:
        self._draft.notices.add(where, "type.nearest", f"An image becomes its address: {raw.get('imageLink')}")
        element = self._element("statement", raw, where)
        element["description"] = self._draft.prose(self._texts.pick(raw.get("imageLink")) or "-", where)
        return Question([element], used={"imageLink"})

    def _expression(self, raw: Mapping[str, Any], where: str) -> Question:
        element = self._element("calculated", raw, where)
        name = str(raw.get("name", ""))
        question = Question([element], None, {name: Subject(element["id"], element["type"])}, set())
        if element["type"] == "hidden":
            question.take = intake.plain(element)
        return question

    def _unavailable(self, kind: str) -> Callable[[Mapping[str, Any], str], Question]:
        def convert(raw: Mapping[str, Any], where: str) -> Question:
            return Question([self._element(kind, raw, where)])

        return convert


def listed(value: Any) -> list[Any]:
    """The items of a list; none of anything else."""
    return value if isinstance(value, list) else []


def _plain_key(value: Any) -> str:
    return text_of(value) if isinstance(value, str | int | float) else "true"


def _bounds(rules: dict[str, Any], raw: Mapping[str, Any], names: Mapping[str, str], used: set[str]) -> None:
    for foreign, own in names.items():
        value = raw.get(foreign)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            rules[own] = value
            used.add(foreign)
