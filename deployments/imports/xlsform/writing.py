"""From a definition to an XLSForm that ODK's tools take, and that is read back to the same definition."""

import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from babel import Locale

from deployments.imports.draft import inside
from deployments.imports.errors import FileUnreadable
from deployments.imports.logic import formstream, xpath
from deployments.imports.logic.patterns import searching_pattern
from deployments.imports.logic.subjects import Subject
from deployments.imports.logic.tree import Untranslatable
from deployments.imports.marks import NAME, mark_of
from deployments.imports.naming import Names
from deployments.imports.notices import Notices
from deployments.imports.target import FORMULA
from deployments.imports.translating import unsaid
from deployments.imports.xlsform.columns import FREE
from deployments.imports.xlsform.reading import read_xlsform
from deployments.kit.engine import parse_definition
from deployments.kit.engine.fields.group import MOST_ITEMS

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

_YES_NO: Final = "yes-no"
_NATIVE: Final = {
    "short_text": "text",
    "long_text": "text",
    "email": "text",
    "url": "text",
    "phone": "text",
    "hidden": "hidden",
    "number": "decimal",
    "currency": "decimal",
    "integer": "integer",
    "date": "date",
    "time": "time",
    "datetime": "dateTime",
    "consent": "acknowledge",
    "statement": "note",
    "file": "file",
    "image": "image",
    "signature": "image",
    "location": "geopoint",
    "country": "text",
    "address": "text",
}
_APPEARANCES: Final = {
    "long_text": "multiline",
    "address": "multiline",
    "signature": "signature",
    "dropdown": "minimal",
}
_EXACT: Final = frozenset(
    (
        *("short_text", "long_text", "hidden", "number", "integer", "date", "time", "datetime", "consent"),
        *("statement", "choice", "dropdown", "multi_choice", "ranking", "rating", "scale", "matrix"),
        *("matrix_multi", "file", "image", "signature", "location", "calculated", "section", "group"),
    )
)
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST: Final = 32_000
MAX_MARK: Final = 30_000
"""The most characters of a mark: a cell takes 32,767."""

_TEXTS: Final = ("label", "hint")
_COLUMNS: Final = (
    *("type", "name", "label", "hint", "required", "relevant", "constraint", "calculation", "appearance"),
    *("parameters", "repeat_count", NAME),
)


@dataclass(slots=True)
class _Line:
    """A row to write; `place` says which page, or element of it, it stands for."""

    cells: dict[str, str]
    place: tuple[int, ...] = ()


@dataclass(slots=True)
class _Sheets:
    lines: list[_Line] = field(default_factory=list)
    choices: list[dict[str, str]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)


def write_xlsform(definition: dict[str, Any], title: str, notices: Notices) -> bytes:
    """The workbook. What other tools do not see of it becomes a notice, also listed in its sheet `formstream`."""
    parsed = parse_definition(definition)
    document = parsed.document()
    sheets = _Writing(document, title, notices).sheets()
    first, *others = document["languages"]
    if others:
        translated = [_Writing(parsed.localized(each).document(), title, Notices()).sheets() for each in others]
        _join(sheets, [_heading(each) for each in (first, *others)], translated)
    _add_marks(document, sheets, notices)
    return _workbook(sheets, notices)


def _heading(language: str) -> str:
    """A language as the columns name it: `German (de)`."""
    name = Locale("en").languages.get(language.partition("-")[0].lower(), language)
    return f"{name} ({language})"


def _join(sheets: _Sheets, headings: list[str], translated: list[_Sheets]) -> None:
    """Let the texts have a column for each language, where the others say them differently."""
    for own, others in (
        ([line.cells for line in sheets.lines], [[line.cells for line in each.lines] for each in translated]),
        (sheets.choices, [each.choices for each in translated]),
    ):
        for number, cells in enumerate(own):
            for name in _TEXTS:
                texts = [cells.pop(name, ""), *(other[number].get(name, "") for other in others)]
                cells |= {
                    f"{name}::{heading}": text
                    for place, (heading, text) in enumerate(zip(headings, texts, strict=True))
                    if text and (place == 0 or text != texts[0])
                }
    sheets.settings["default_language"] = headings[0]


class _Writing:
    def __init__(self, document: dict[str, Any], title: str, notices: Notices) -> None:
        self._document = document
        self._notices = notices
        self._sheets = _Sheets()
        elements = [element for page in document["pages"] for element in inside(page)]
        self._names = Counter(name for element in elements for name in _names(element))
        subjects = {element["id"]: Subject(element["id"], element["type"], _values(element)) for element in elements}
        self._kinds = {element["id"]: element["type"] for element in elements}
        self._xpath = xpath.Writer(subjects, self._reference)
        self._sheets.settings = {
            "form_title": _said(document.get("title", title)),
            "form_id": Names().make(title, "form"),
            "default_language": document["languages"][0],
        }

    def sheets(self) -> _Sheets:
        taken = Names(frozenset(self._names) | {"meta"})
        for index, page in enumerate(self._document["pages"]):
            # Screens of ODK with several questions have no repetitions.
            repeats = any(element["type"] == "group" for element in inside(page))
            cells = {"type": "begin_group", "name": taken.keep(page["id"], "page")}
            cells |= {"label": _said(page.get("title", "")), "hint": _said(page.get("description", ""))}
            cells |= {"relevant": self._expression(page, "visible_if")}
            cells |= {} if repeats else {"appearance": "field-list"}
            self._within(page, cells, (index,))
        return self._sheets

    def _within(self, whole: dict[str, Any], cells: dict[str, str], place: tuple[int, ...]) -> None:
        """The rows of what holds elements, from its beginning to its end."""
        if "required_if" in whole:
            self._notices.add(whole["id"], "property.required_if", "Other tools do not see required_if as it is.")
        self._sheets.lines.append(_Line(cells, place))
        for number, element in enumerate(whole["elements"]):
            self._element(element, (*place, number))
        if not whole["elements"]:
            filler = {"type": "note", "name": f"{cells['name']}_empty", "label": "-"}
            mark = _text(mark_of(filler, {"omit": True}, {}, FREE))
            self._sheets.lines.append(_Line({**filler, NAME: mark}))
        self._sheets.lines.append(_Line({"type": cells["type"].replace("begin", "end")}))

    def _element(self, element: dict[str, Any], place: tuple[int, ...]) -> None:
        kind, name = element["type"], element["id"]
        cells = {"name": name, "label": _said(element["title"]), "hint": _said(element.get("description", ""))}
        cells |= {"relevant": self._expression(element, "visible_if"), "appearance": _APPEARANCES.get(kind, "")}
        if kind in ("matrix", "matrix_multi"):
            self._table(element, cells, place)
        elif "elements" in element:
            self._holding(element, cells, place)
        else:
            self._question(element, cells, place)

    def _holding(self, element: dict[str, Any], cells: dict[str, str], place: tuple[int, ...]) -> None:
        # Without a label it would be a mere bracket.
        cells |= {"type": f"begin_{'group' if element['type'] == 'section' else 'repeat'}"}
        cells |= {"label": cells["label"] or "-"}
        if element["type"] == "group" and element.get("min_items") == element.get("max_items", MOST_ITEMS):
            cells["repeat_count"] = str(element["min_items"])
        self._within(element, cells, place)

    def _question(self, element: dict[str, Any], cells: dict[str, str], place: tuple[int, ...]) -> None:
        kind, name = element["type"], element["id"]
        cells["required"] = "yes" if element.get("required") else self._expression(element, "required_if")
        match kind:
            case "choice" | "dropdown" | "multi_choice":
                native = "select_multiple" if kind == "multi_choice" else "select_one"
                cells["type"] = f"{native} {name}" + (" or_other" if element.get("allow_other") else "")
                self._list(name, element["options"])
            case "ranking":
                cells["type"] = f"rank {name}"
                self._list(name, element["options"])
            case "yes_no":
                cells["type"] = f"select_one {_YES_NO}"
                self._list(_YES_NO, [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}])
            case "rating" | "scale" | "nps":
                low = {"rating": 1, "nps": 0}.get(kind, element.get("min", 1))
                high = 10 if kind == "nps" else element.get("max", 5)
                cells |= {"type": "range", "parameters": f"start={low} end={high} step=1"}
                cells["appearance"] = "rating" if kind == "rating" else ""
                if low == high:  # A range has two ends.
                    cells |= {"type": "integer", "parameters": ""}
            case "calculated":
                formula = self._expression(element, FORMULA)
                # A calculation must have a formula.
                cells |= {"type": "calculate" if formula else "hidden", "calculation": formula}
            case _ if kind in _NATIVE:
                cells["type"] = _NATIVE[kind]
            case _:
                cells["type"] = "text"
        cells["constraint"] = self._constraint(element)
        self._sheets.lines.append(_Line(cells, place))

    def _table(self, element: dict[str, Any], cells: dict[str, str], place: tuple[int, ...]) -> None:
        name = element["id"]
        self._sheets.lines.append(_Line({**cells, "type": "begin_group", "appearance": "table-list"}, place))
        native = "select_one" if element["type"] == "matrix" else "select_multiple"
        self._list(name, element["columns"])
        for row in element["rows"]:
            line = {"type": f"{native} {name}", "name": f"{name}_{row['id']}", "label": _said(row["label"])}
            if element.get("required"):
                line["required"] = "yes"
            self._sheets.lines.append(_Line(line))
        self._sheets.lines.append(_Line({"type": "end_group"}))

    def _list(self, name: str, options: list[dict[str, str]]) -> None:
        if name == _YES_NO and any(choice["list_name"] == name for choice in self._sheets.choices):
            return
        self._sheets.choices += [
            {"list_name": name, "name": option["id"], "label": _said(option["label"])} for option in options
        ]

    # Logic

    def _expression(self, element: dict[str, Any], name: str) -> str:
        text = element.get(name)
        if not text:
            return ""
        try:
            return self._xpath.write(formstream.read(text))
        except Untranslatable as error:
            self._notices.add(element["id"], "logic.untranslated", f"{name}: {error} It was: {text}")
            return ""

    def _reference(self, field: str, part: str | None) -> str:
        name = field if part is None else f"{field}_{part}"
        tabular = self._kinds.get(field) in ("matrix", "matrix_multi")
        if self._names[name] != 1 or (part is not None and not tabular):
            raise Untranslatable(
                f"There is no single question that says answers.{field}{'.' if part else ''}{part or ''}."
            )
        if part is None and self._kinds.get(field) in ("matrix", "matrix_multi", "ranking"):
            raise Untranslatable(f"The answer of '{field}' is not one value.")
        return name

    def _constraint(self, element: dict[str, Any]) -> str:
        rules: dict[str, Any] = element.get("validation", {})
        parts = []
        dated = element["type"] == "date"
        for name, sign in (("min", ">="), ("max", "<=")):
            if name in rules and element["type"] not in ("time", "datetime"):
                bound = f"date('{rules[name]}')" if dated else _decimal(rules[name])
                parts.append(f". {sign} {bound}" if bound else "")
        for name, subject, sign in (
            ("min_length", "string-length(.)", ">="),
            ("max_length", "string-length(.)", "<="),
            ("min_choices", "count-selected(.)", ">="),
            ("max_choices", "count-selected(.)", "<="),
        ):
            if name in rules:
                parts.append(f"{subject} {sign} {rules[name]}")
        if (pattern := rules.get("pattern")) is not None:
            searched = searching_pattern(pattern)
            quote = "'" if "'" not in searched else '"'
            parts.append(f"regex(., {quote}{searched}{quote})" if quote not in searched else "")
        # What has no place in a constraint is kept by the mark.
        return " and ".join(part for part in parts if part and "${" not in part)


def _names(element: dict[str, Any]) -> list[str]:
    """The names of the rows that an element becomes."""
    names = [element["id"]]
    if element.get("allow_other"):
        names.append(f"{element['id']}_other")
    if element["type"] in ("matrix", "matrix_multi"):
        names += [f"{element['id']}_{row['id']}" for row in element["rows"]]
    return names


def _values(element: dict[str, Any]) -> dict[str, Any]:
    return {"yes_no": {"yes": True, "no": False}, "consent": {"OK": True}}.get(element["type"], {})


def _said(text: str) -> str:
    """The text as a cell can have it; a reference in it would be looked up."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
    return _ILLEGAL.sub("\ufffd", lines).replace("${", "$ {")[:_LONGEST].strip()


def _decimal(number: float) -> str:
    text = repr(number)
    return "" if "e" in text else text


def _add_marks(document: dict[str, Any], sheets: _Sheets, notices: Notices) -> None:
    """Read back what other tools would see, and keep the difference in marks."""
    found = _read_back(sheets)
    wanted = {key: value for key, value in document.items() if key not in ("pages", "translations")}
    read = {key: value for key, value in found.items() if key != "pages"}
    read.pop("translations", None)
    wanted |= {"translations": texts} if (texts := unsaid(document, found)) else {}
    sheets.settings[NAME] = _kept(sheets.settings, wanted, read, "", notices)
    pages = found.get("pages", [])
    for line in sheets.lines:
        if not line.place:
            continue
        page, *numbers = line.place
        own = document["pages"][page]
        seen = pages[page] if page < len(pages) else {}
        for number in numbers:
            own = own["elements"][number]
            others = seen.get("elements", [])
            seen = others[number] if number < len(others) else {}
        wanted = {key: value for key, value in own.items() if key != "elements"}
        read = {key: value for key, value in seen.items() if key != "elements"}
        line.cells[NAME] = _kept(line.cells, wanted, read, own["id"], notices)


def _text(mark: dict[str, Any]) -> str:
    # Other tools look up references in every cell, and readers tidy up blanks: plain ASCII comes through.
    return json.dumps(mark, separators=(",", ":")).replace("${", "\\u0024{") if mark else ""


def _read_back(sheets: _Sheets) -> dict[str, Any]:
    try:
        form = read_xlsform(io.BytesIO(_workbook(sheets, Notices())), Path()).form
    except FileUnreadable:
        return {}
    return form.definition.document()


def _kept(cells: dict[str, str], wanted: dict[str, Any], read: dict[str, Any], where: str, notices: Notices) -> str:
    mark = _text(mark_of(cells, wanted, read, FREE))
    if len(mark) > MAX_MARK:
        lost = [name for name in wanted if read.get(name) != wanted[name]]
        notices.add(where, "property.lost", f"There is no room for {', '.join(lost)}.")
        return ""
    for name in wanted:
        if read.get(name) == wanted[name] or name in ("visible_if", "required_if", FORMULA):
            continue
        if name == "type":
            if wanted["type"] not in _EXACT:
                notices.add(where, "type.nearest", f"{wanted['type']} becomes {cells['type']} for other tools.")
        elif name != "id":
            notices.add(where, f"property.{name}", f"Other tools do not see {name} as it is.")
    return mark


def _workbook(sheets: _Sheets, notices: Notices) -> bytes:
    # Some two hundred modules, which hardly any process needs.
    from openpyxl import Workbook as Book

    book = Book()
    for sheet in book.worksheets:
        book.remove(sheet)
    lines = [line.cells for line in sheets.lines]
    _fill(book.create_sheet("survey"), _columns(_COLUMNS, lines), lines)
    _fill(book.create_sheet("choices"), _columns(("list_name", "name", "label"), sheets.choices), sheets.choices)
    _fill(book.create_sheet("settings"), tuple(sheets.settings), [sheets.settings])
    if notices.total:
        _fill(book.create_sheet("formstream"), ("where", "code", "detail"), [n.document() for n in notices])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _columns(names: tuple[str, ...], rows: list[dict[str, str]]) -> tuple[str, ...]:
    """The names, each text with a column for each language that has it."""
    languages: dict[str, dict[str, None]] = {}
    for name in (name for row in rows for name in row if "::" in name):
        languages.setdefault(name.partition("::")[0], {})[name] = None
    return tuple(column for name in names for column in languages.get(name, (name,)))


def _fill(sheet: "Worksheet", columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    for column, name in enumerate(columns, 1):
        sheet.cell(1, column, name)
    for number, cells in enumerate(rows, 2):
        for column, name in enumerate(columns, 1):
            if text := cells.get(name):
                cell = sheet.cell(number, column)
                cell.value = _ILLEGAL.sub("\ufffd", text)
                # A text that begins like a formula is a text.
                cell.data_type = "s"
