"""From an XLSForm to a definition."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from deployments.imports.draft import Clause, Draft
from deployments.imports.logic import formstream, xpath
from deployments.imports.logic.subjects import Subject, adopt, in_group
from deployments.imports.logic.tree import Answer, Call, Node, Operation, Untranslatable, both, conjuncts, rewritten
from deployments.imports.marks import apply_mark, marked_type
from deployments.imports.naming import option_ids
from deployments.imports.source import DefinitionOnly
from deployments.imports.target import FORMULA, TYPES, has_rules
from deployments.imports.translating import MOST_OTHERS, translate_into
from deployments.imports.xlsform.columns import FREE, METADATA, Kind, language_code, truth
from deployments.imports.xlsform.constraints import absorb
from deployments.imports.xlsform.rows import Item, named, read_items
from deployments.imports.xlsform.workbook import SheetRow, Workbook, read_workbook
from deployments.kit.engine.fields.group import MAX_INSIDE, MAX_ITEMS

_PLAIN: Final = {
    "text": "short_text",
    "integer": "integer",
    "decimal": "number",
    "date": "date",
    "time": "time",
    "datetime": "datetime",
    "hidden": "hidden",
    "note": "statement",
    "acknowledge": "consent",
    "image": "image",
    "file": "file",
    "audio": "file",
    "video": "file",
    "geopoint": "location",
}
_DRAWN: Final = frozenset(("signature", "draw", "annotate"))
_UNDERSTOOD: Final = frozenset(
    ("multiline", "minimal", "rating", "field-list", "table-list", "label", "list-nolabel", "signature", "draw")
)


@dataclass(slots=True)
class _List:
    """The choices of a list: options, and the ids by the names of the choices."""

    options: list[dict[str, str]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)


def read_xlsform(file: IO[bytes], _: Path) -> DefinitionOnly:
    """The form of a workbook. Raises FileUnreadable."""
    workbook = read_workbook(file)
    reading = _Reading(workbook)
    reading.read()
    for language, code in reading.others():
        other = _Reading(workbook, language)
        other.read()
        translate_into(reading.draft, code, other.draft)
    form = reading.draft.settled()
    return DefinitionOnly(form, tuple(reading.draft.notices))


class _Reading:
    """One language of a workbook, named as its columns name it; by default its own."""

    def __init__(self, workbook: Workbook, language: str | None = None) -> None:
        self.draft = Draft()
        self._workbook = workbook
        self._subjects: dict[str, Subject] = {}
        self._marks: list[tuple[dict[str, Any], SheetRow]] = []
        self._constraints: list[tuple[dict[str, Any], Item]] = []
        self._sectioned = False
        settings = named(workbook.rows.get("settings", []))
        self._settings = settings[0] if settings else SheetRow(2, {})
        headers = [*workbook.headers.get("survey", ()), *workbook.headers.get("choices", ())]
        named_there = dict.fromkeys(h.partition("::")[2] for h in headers if h.startswith(("label::", "hint::")))
        self._languages = [name for name in named_there if name]
        self._wanted = " ".join(self._settings.get("default_language").split())
        self._own = self._own_language("label" in headers)
        self._language = self._own if language is None else language
        self._lists = self._read_lists()

    def read(self) -> None:
        """Fill the draft."""
        items = read_items(self._workbook, self.draft.notices)
        self._properties()
        self._pages(items)
        for element, row in self._marks:
            self._mark(element, row)
        self.draft.translate(xpath.read, self._subjects)
        for element, item in self._constraints:
            self._constrain(element, item)
        # Expressions that the mark keeps as they were come last.
        for element, row in self._marks:
            apply_mark(element, row.cells, FREE, self.draft.notices, f"survey row {row.number}")
        apply_mark(self.draft.properties, self._settings.cells, FREE, self.draft.notices, "settings")
        self._drop_fillers()

    # Texts and languages

    def _own_language(self, has_plain: bool) -> str:
        """The language of the columns to read: the default one, else the first that there is; '' for none."""
        if self._wanted in self._languages or (self._wanted and has_plain):
            return self._wanted
        return "" if has_plain else (self._languages or [""])[0]

    def others(self) -> list[tuple[str, str]]:
        """The other languages as the columns name them, with their tags; what is no language leaves a notice."""
        found: dict[str, str] = {}
        taken = {self.draft.properties["languages"][0]}
        for name in self._languages:
            if name == self._language:
                continue
            tag = language_code(name)
            if tag is None or tag in taken or len(found) == MOST_OTHERS:
                detail = f"The texts in {name[:100]} are left out: it is no language, there twice, or one too many."
                self.draft.notices.add("", "language.left_out", detail)
            else:
                taken.add(tag)
                found[name] = tag
        return list(found.items())

    def _label(self, row: SheetRow, name: str = "label") -> str:
        """The text in the language that is read; where there is none, in the form's own."""
        named = dict.fromkeys(f"{name}::{each}" for each in (self._language, self._own) if each)
        return row.get(*list(named)[:1], name, *list(named)[1:])

    def _properties(self) -> None:
        own = self._language or self._wanted
        self.draft.properties["languages"] = [(language_code(own) if own else None) or "en"]
        title = self._settings.get("form_title")
        if title:
            self.draft.properties["title"] = self.draft.label(title, "settings")
        for name in self._settings.cells:
            if name not in ("form_title", "form_id", "version", "default_language", "style", "formstream"):
                self.draft.notices.add("settings", "property.unknown", f"The setting {name[:100]} is left out.")

    # Choices

    def _read_lists(self) -> dict[str, _List]:
        rows: dict[str, list[SheetRow]] = {}
        for row in named(self._workbook.rows.get("choices", [])):
            if row.get("list_name"):
                rows.setdefault(row.get("list_name"), []).append(row)
            else:
                self.draft.notices.add(f"choices row {row.number}", "choice.without_list", "The row names no list.")
        return {name: self._read_list(name, choices) for name, choices in rows.items()}

    def _read_list(self, name: str, rows: Sequence[SheetRow]) -> _List:
        found = _List(ids=option_ids(row.get("name") or self._label(row) for row in rows))
        seen = set()
        for row in rows:
            where = f"choices row {row.number}"
            choice = row.get("name") or self._label(row)
            if choice in seen:
                detail = f"The list {name[:100]} has '{choice[:100]}' twice; the first one counts."
                self.draft.notices.add(where, "choice.duplicate", detail)
                continue
            seen.add(choice)
            label = self._label(row) or choice or "-"
            found.options.append({"id": found.ids[choice], "label": self.draft.label(label, where)})
        extra = sorted(
            {n for row in rows for n in row.cells if n.partition("::")[0] not in ("list_name", "name", "label")}
        )
        if extra:
            detail = f"The columns {', '.join(extra)[:500]} of the list {name[:100]} are left out."
            self.draft.notices.add("choices", "property.unknown", detail)
        return found

    # Structure

    def _pages(self, items: Sequence[Item]) -> None:
        implicit: dict[str, Any] | None = None
        for item in items:
            if item.kind.name == "begin_group" and not _is_table(item):
                implicit = None
                page = self.draft.page(item.name, self._label(item.row), item.where)
                if page["elements"]:
                    page["elements"] += self._heading(item, [])
                self._tell_appearance(item)
                if (hint := self._label(item.row, "hint")) and "description" not in page:
                    page["description"] = self.draft.prose(hint, item.where)
                self._marks.append((page, item.row))
                joined = bool(page["elements"])
                page["elements"] += self._elements(item.items, _relevant(item, []) if joined else [])
                if not joined:
                    self.draft.page_condition(page, _relevant(item, []))
            else:
                elements = self._elements([item], [])
                if elements and implicit is None:
                    implicit = self.draft.page("page1", None, item.where)
                if implicit is not None:
                    implicit["elements"] += elements

    def _elements(self, items: Sequence[Item], clauses: list[Clause]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for item in items:
            own = _relevant(item, clauses)
            if _is_table(item) and (table := self._table(item, own)) is not None:
                found.append(table)
            elif item.kind.name == "begin_repeat" and not self.draft.within:
                found += self._repeated(item, own)
            elif self._is_section(item):
                found.append(self._section(item, own))
            elif item.kind.name in ("begin_group", "begin_repeat"):
                if item.kind.name == "begin_repeat":
                    detail = "Repetitions inside of others are not supported: the questions are asked once."
                    self.draft.notices.add(item.where, "type.repeat", detail)
                self._tell_appearance(item)
                found += self._heading(item, own)
                found += self._elements(item.items, own)
            else:
                found += self._question(item, own)
        return found

    def _is_section(self, item: Item) -> bool:
        return (
            item.kind.name == "begin_group"
            and not (self.draft.within or self._sectioned)
            and bool(self._label(item.row))
        )

    def _section(self, item: Item, clauses: list[Clause]) -> dict[str, Any]:
        label, hint = self._label(item.row), self._label(item.row, "hint")
        section = self.draft.element("section", item.name, label, item.where, description=hint)
        self.draft.condition(section, "visible_if", clauses)
        self._sectioned = True
        section["elements"] = self._elements(item.items, [])
        self._sectioned = False
        self._tell_appearance(item)
        self._marks.append((section, item.row))
        return section

    def _repeated(self, item: Item, clauses: list[Clause]) -> list[dict[str, Any]]:
        """The repeating group; none without questions."""
        label, hint = self._label(item.row), self._label(item.row, "hint")
        group = self.draft.element("group", item.name, label, item.where, description=hint, **self._times(item))
        self.draft.condition(group, "visible_if", clauses)
        before = dict(self._subjects)
        self.draft.within = group["id"]
        group["elements"] = self._elements(item.items, [])
        self.draft.within = ""
        for name, subject in self._subjects.items():
            if before.get(name) is not subject:
                self._subjects[name] = in_group(subject, group["id"])
        self._tell_appearance(item)
        self._marks.append((group, item.row))
        if len(group["elements"]) > MAX_INSIDE:
            detail = f"A group has at most {MAX_INSIDE} questions; the others are asked once."
            self.draft.notices.add(item.where, "type.repeat", detail)
        group["elements"], rest = group["elements"][:MAX_INSIDE], group["elements"][MAX_INSIDE:]
        return [group, *rest] if group["elements"] else []

    def _times(self, item: Item) -> dict[str, Any]:
        """How often the questions of a repetition are asked."""
        count = item.row.get("repeat_count")
        if count.isascii() and count.isdigit() and 1 <= int(count) <= MAX_ITEMS:
            return {"max_items": int(count)}
        if count:
            detail = f"The number of repetitions is left out. It was: {count[:200]}"
            self.draft.notices.add(item.where, "property.repeat_count", detail)
        return {"max_items": MAX_ITEMS}

    def _heading(self, item: Item, clauses: list[Clause]) -> list[dict[str, Any]]:
        label, hint = self._label(item.row), self._label(item.row, "hint")
        if not label:
            return []
        element = self.draft.element("statement", item.name, label, item.where, description=hint)
        self.draft.condition(element, "visible_if", clauses)
        self._marks.append((element, item.row))
        return [element]

    def _table(self, item: Item, clauses: list[Clause]) -> dict[str, Any] | None:
        """The matrix of a group whose rows choose from the same list."""
        rows = [row for row in item.items if "label" not in row.appearances or row.kind.name == "note"]
        kinds = {(row.kind.name, row.kind.list) for row in rows}
        texts = {text for row in rows for text in (row.row.get("relevant"), row.row.get("constraint")) if text}
        required = {truth(row.row.get("required") or "no") for row in rows}
        if len(kinds) != 1 or texts or len(required) != 1 or None in required or any(row.kind.other for row in rows):
            return None
        kind, choices = kinds.pop()
        options = self._lists.get(choices)
        if kind not in ("select_one", "select_multiple") or options is None or not options.options:
            return None
        prefix = f"{item.name}_"
        names = {row.name: row.name.removeprefix(prefix) or row.name for row in rows}
        if not all(name.startswith(prefix) for name in names):
            names = {name: name for name in names}
        ids = option_ids(names.values())
        element = self.draft.element(
            "matrix" if kind == "select_one" else "matrix_multi",
            item.name,
            self._label(item.row),
            item.where,
            description=self._label(item.row, "hint"),
            rows=[
                {"id": ids[names[row.name]], "label": self.draft.label(self._label(row.row) or row.name, row.where)}
                for row in rows
            ],
            columns=options.options,
            required=required == {True},
        )
        for row in rows:
            row_kind = "choice" if kind == "select_one" else "multi_choice"
            self._subjects[row.name] = Subject(element["id"], row_kind, options.ids, part=ids[names[row.name]])
        self.draft.condition(element, "visible_if", clauses)
        self._marks.append((element, item.row))
        return element

    # Questions

    def _question(self, item: Item, clauses: list[Clause]) -> list[dict[str, Any]]:
        row, kind = item.row, item.kind
        if kind.name in METADATA:
            detail = f"{kind.name} is recorded by devices, or data for a form; it is left out."
            self.draft.notices.add(item.where, "metadata.left_out", detail)
            return []
        element = self._element(item, kind)
        self._tell_appearance(item)
        name = item.name or element["id"]
        self._subjects.setdefault(name, Subject(element["id"], element["type"], self._values(kind, element)))
        if kind.other and "allow_other" in element:
            self._subjects[f"{name}_other"] = Subject(element["id"], "short_text", part="other")
        required = row.get("required")
        if required and element["type"] != "statement":
            if (always := truth(required)) is None:
                self.draft.condition(element, "required_if", [Clause(required, item.where)])
            elif always:
                element["required"] = True
        self.draft.condition(element, "visible_if", clauses)
        if row.get("constraint"):
            self._constraints.append((element, item))
        self._marks.append((element, row))
        return [element]

    def _values(self, kind: Kind, element: dict[str, Any]) -> dict[str, Any]:
        if kind.name == "acknowledge":
            return {"OK": True}
        return dict(self._lists[kind.list].ids) if kind.list in self._lists and "options" in element else {}

    def _element(self, item: Item, kind: Kind) -> dict[str, Any]:
        row, where = item.row, item.where
        extra: dict[str, Any] = {"description": self._label(row, "hint")}
        title, name = self._label(row), item.name
        match kind.name:
            case "select_one" | "select_multiple" | "rank":
                return self._selection(item, kind, extra)
            case "range":
                return self._range(item, extra)
            case "calculate":
                return self._calculation(item, extra)
            case "text" if "multiline" in item.appearances:
                own = "long_text"
            case "image" if _DRAWN.intersection(item.appearances):
                own = "signature"
            case plain if plain in _PLAIN:
                own = _PLAIN[plain]
                if plain in ("audio", "video"):
                    self.draft.notices.add(where, "type.nearest", f"{plain} becomes file.")
            case other:
                own = "short_text"
                reasons = {"select_elsewhere": "Its options are in another file."}
                reason = reasons.get(other, "There is no such type.")
                self.draft.notices.add(where, "type.nearest", f"{row.get('type')} becomes short_text. {reason}")
        return self.draft.element(own, name, title, where, **extra)

    def _selection(self, item: Item, kind: Kind, extra: dict[str, Any]) -> dict[str, Any]:
        choices = self._lists.get(kind.list)
        title, name, where = self._label(item.row), item.name, item.where
        if choices is None:
            detail = f"There is no list {kind.list[:100]}; the question becomes a text."
            self.draft.notices.add(where, "choice.no_list", detail)
            return self.draft.element("short_text", name, title, where, **extra)
        own = {"select_one": "choice", "select_multiple": "multi_choice", "rank": "ranking"}[kind.name]
        if own == "choice" and "minimal" in item.appearances:
            own = "dropdown"
        options = choices.options
        if kind.other and any(option["id"] == "other" for option in options):
            options = [option for option in options if option["id"] != "other"]
            detail = "The choice 'other' and the free text are one: the free text stays."
            self.draft.notices.add(where, "choice.other", detail)
        if item.row.get("parameters"):
            detail = f"The parameters are left out. They were: {item.row.get('parameters')}"
            self.draft.notices.add(where, "property.parameters", detail)
        return self.draft.element(own, name, title, where, options=options, allow_other=kind.other, **extra)

    def _range(self, item: Item, extra: dict[str, Any]) -> dict[str, Any]:
        given = dict(pair.split("=", 1) for pair in item.row.get("parameters").replace(";", " ").split() if "=" in pair)
        numbers: dict[str, float] = {}
        for name, fallback in (("start", 1.0), ("end", 10.0), ("step", 1.0)):
            try:
                numbers[name] = float(given.get(name, fallback))
            except ValueError:
                numbers[name] = fallback
                detail = f"{name} is no number. It was: {given[name][:100]}"
                self.draft.notices.add(item.where, "property.parameters", detail)
        start, end, step = numbers["start"], numbers["end"], numbers["step"]
        title, name = self._label(item.row), item.name
        whole = step == 1 and start.is_integer() and end.is_integer()
        if whole and start == 1 and 2 <= end <= 10 and "rating" in item.appearances:
            return self.draft.element("rating", name, title, item.where, max=int(end), **extra)
        if whole and -100 <= start <= end <= 100:
            return self.draft.element("scale", name, title, item.where, min=int(start), max=int(end), **extra)
        if step != 1:
            detail = f"The step {step:g} is left out: any number between the ends is taken."
            self.draft.notices.add(item.where, "property.parameters", detail)
        bounds = {"min": min(start, end), "max": max(start, end)}
        if all(number.is_integer() for number in numbers.values()):
            bounds = {key: int(bound) for key, bound in bounds.items()}
            return self.draft.element("integer", name, title, item.where, validation=bounds, **extra)
        return self.draft.element("number", name, title, item.where, validation=bounds, **extra)

    def _calculation(self, item: Item, extra: dict[str, Any]) -> dict[str, Any]:
        text = item.row.get("calculation")
        element = self.draft.element("calculated", item.name, self._label(item.row) or item.name, item.where, **extra)
        if "calculated" not in TYPES:
            self.draft.untranslated(Clause(text, item.where), "calculation", "Calculations are not supported.")
        elif text:
            self.draft.condition(element, FORMULA, [Clause(text, item.where)])
        return element

    def _constrain(self, element: dict[str, Any], item: Item) -> None:
        """Make the constraint part of the field's validation; what does not fit there becomes a rule of the form."""
        clause = Clause(item.row.get("constraint"), item.where)
        subject = self._subjects.get(item.name)
        rest: Node | None = None
        try:
            for part in conjuncts(xpath.read(clause.text)):
                if not absorb(element, part):
                    rest = both(rest, part)
            if rest is None:
                return
            if not has_rules():
                raise Untranslatable("It is more than a bound or a pattern.")
            if subject is not None and subject.group:
                raise Untranslatable("A rule cannot speak of the items of a group.")
            own = Answer(item.name)
            check = rewritten(rest, lambda node: own if node == Answer(xpath.SELF) else node)
            # A constraint does not speak of a question that is not answered.
            text = formstream.write(adopt(Operation("or", Call("empty", (own,)), check), self._subjects))
        except Untranslatable as error:
            self.draft.untranslated(clause, "constraint", str(error))
            return
        message = self._label(item.row, "constraint_message") or "This answer is not allowed."
        rule = {"id": self.draft.names.make(f"{element['id']} constraint", "rule"), "check": text}
        self.draft.rules.append({**rule, "message": self.draft.label(message, item.where), "fields": [element["id"]]})

    # What is kept besides

    def _mark(self, element: dict[str, Any], row: SheetRow) -> None:
        """Let conditions know what a field really is before they are translated."""
        kind = marked_type(row.cells, FREE)
        if kind is None:
            return
        for name, subject in list(self._subjects.items()):
            if subject.id == element["id"] and subject.part is None:
                values = {"yes": True, "no": False} if kind == "yes_no" else subject.values
                self._subjects[name] = Subject(subject.id, kind, values, group=subject.group)

    def _drop_fillers(self) -> None:
        for whole in (each for page in self.draft.pages for each in (page, *page["elements"])):
            if "elements" in whole:
                whole["elements"] = [element for element in whole["elements"] if not element.get("omit")]

    def _tell_appearance(self, item: Item) -> None:
        left_out = [word for word in item.appearances if word not in _UNDERSTOOD]
        if left_out:
            detail = f"The appearance {' '.join(left_out)[:200]} is left out."
            self.draft.notices.add(item.where, "property.appearance", detail)


def _is_table(item: Item) -> bool:
    return item.kind.name == "begin_group" and (
        "table-list" in item.appearances or any("list-nolabel" in child.appearances for child in item.items)
    )


def _relevant(item: Item, clauses: list[Clause]) -> list[Clause]:
    text = item.row.get("relevant")
    return [*clauses, Clause(text, item.where)] if text else clauses
