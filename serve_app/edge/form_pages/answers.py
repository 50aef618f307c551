"""From the names and values of a posted form to answers as the engine takes them.

A field's control is named like the field, parts of its answer like `side.other`, `rating.row`, `when.offset`; in
a repeating group every name stands behind `<group>.<number>.`. What cannot be read is passed on as the text that it
is, so that the engine says what is wrong with it. Names that the form does not know are not answers.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from serve_app.edge.form_pages.entries import Entries

Element: TypeAlias = Mapping[str, Any]
"""An element of a definition, as its JSON document says it."""

Reader: TypeAlias = Callable[[Element, Entries, str], Any]

OTHER: Final = "other"
ADDRESS_PARTS: Final = ("street", "street2", "city", "region", "postal_code", "country")
LOCATION_PARTS: Final = ("latitude", "longitude", "accuracy")
MAX_ITEMS: Final = 1_000
WITHOUT_ANSWER: Final = frozenset({"statement", "section", "calculated"})

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)")
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")
_LOCAL_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_TRUTHS: Final = {"true": True, "false": False}


def answers_of(elements: Iterable[Element], entries: Entries, prefix: str = "") -> dict[str, Any]:
    """The answers that `entries` give to the fields among `elements`; absent ones are left out."""
    answers: dict[str, Any] = {}
    for field in fields_of(elements):
        if field["type"] in WITHOUT_ANSWER:
            continue
        value = _READERS.get(field["type"], _text)(field, entries, prefix + field["id"])
        if value is not None and value not in ("", [], {}):
            answers[field["id"]] = value
    return answers


def entries_of(elements: Iterable[Element], answers: Mapping[str, Any], prefix: str = "") -> dict[str, list[str]]:
    """The entries that give these normalised answers: what `answers_of` reads, the other way round."""
    entries: dict[str, list[str]] = {}
    for field in fields_of(elements):
        value = answers.get(field["id"])
        if value is not None and field["type"] not in WITHOUT_ANSWER:
            _write(entries, field, prefix + field["id"], value)
    return entries


def _write(entries: dict[str, list[str]], field: Element, name: str, value: Any) -> None:
    kind = field["type"]
    if kind == "group":
        for number, item in enumerate(value):
            entries |= entries_of(field["elements"], item, f"{name}.{number}.")
    elif kind == "datetime":
        entries[name], entries[f"{name}.offset"] = [value.removesuffix("Z").removesuffix(":00")], ["Z"]
    elif isinstance(value, dict) and kind in ("choice", "dropdown", "multi_choice"):
        chosen = value.get("options", [value["option"]] if "option" in value else [])
        entries[name], entries[f"{name}.{OTHER}"] = [*chosen, OTHER], [value[OTHER]]
    elif isinstance(value, dict):
        for part, each in value.items():
            entries[f"{name}.{part}"] = _written(each)
    else:
        entries[name] = _written(value)


def _written(value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def fields_of(elements: Iterable[Element]) -> Iterable[Element]:
    """The elements, those inside sections too; a group stands for what is in it."""
    for element in elements:
        if element["type"] == "section":
            yield element
            yield from fields_of(element.get("elements", ()))
        else:
            yield element


def item_numbers(entries: Entries, name: str) -> list[int]:
    """The numbers of a group's items that the entries name, in order."""
    start = name + "."
    found = {part for key in entries if key.startswith(start) and (part := key[len(start) :].partition(".")[0])}
    return sorted(int(part) for part in found if part.isascii() and part.isdigit() and len(part) < 5)[:MAX_ITEMS]


def number_of(text: str) -> int | float | str:
    """The number that a person wrote, in digits of any script and with either decimal sign; else the text.

    `1,234` can mean two things and is not guessed at.
    """
    written = "".join(_plain(character) for character in text.strip())
    if _NUMBER.fullmatch(written) is None or _THOUSANDS.fullmatch(written) or len(written) > 40:
        return text
    if "." in written or "," in written:
        return float(written.replace(",", "."))
    return int(written)


def _plain(character: str) -> str:
    if character in "\u066b\uff0e":
        return "."
    if character in "\u2212\ufe63\uff0d":
        return "-"
    digit = unicodedata.decimal(character, None) if not character.isascii() else None
    return character if digit is None else str(digit)


def _first(entries: Entries, name: str) -> str:
    values = entries.get(name)
    # A form has no line feeds of its own (HTML, "constructing the entry list").
    return values[0].replace("\r\n", "\n") if values else ""


def _text(_: Element, entries: Entries, name: str) -> Any:
    return _first(entries, name)


def _line(_: Element, entries: Entries, name: str) -> Any:
    return _first(entries, name).strip()


def _number(_: Element, entries: Entries, name: str) -> Any:
    text = _first(entries, name)
    return None if not text.strip() else number_of(text)


def _truth(_: Element, entries: Entries, name: str) -> Any:
    text = _first(entries, name)
    return _TRUTHS.get(text, text)


def _choice(_: Element, entries: Entries, name: str) -> Any:
    chosen, other = _first(entries, name), _first(entries, f"{name}.{OTHER}").strip()
    if not other:
        return None if chosen == OTHER and f"{name}.{OTHER}" in entries else chosen
    # A text that stands beside a chosen option was written before it was chosen.
    return {OTHER: other} if chosen in ("", OTHER) else chosen


def _choices(field: Element, entries: Entries, name: str) -> Any:
    chosen = [value for value in entries.get(name, ()) if value]
    if not field.get("allow_other"):
        return chosen
    chosen = [value for value in chosen if value != OTHER]
    other = _first(entries, f"{name}.{OTHER}").strip()
    return {"options": chosen, OTHER: other} if other else chosen


def _ranks(field: Element, entries: Entries, name: str) -> Any:
    given = ((option["id"], _first(entries, f"{name}.{option['id']}")) for option in field["options"])
    return {option: number_of(rank) for option, rank in given if rank.strip()}


def _cells(field: Element, entries: Entries, name: str) -> Any:
    given = ((row["id"], _first(entries, f"{name}.{row['id']}")) for row in field["rows"])
    return {row: column for row, column in given if column}


def _cell_lists(field: Element, entries: Entries, name: str) -> Any:
    given = ((row["id"], [v for v in entries.get(f"{name}.{row['id']}", ()) if v]) for row in field["rows"])
    return {row: columns for row, columns in given if columns}


def _moment(_: Element, entries: Entries, name: str) -> Any:
    text = _first(entries, name).strip()
    # The control of browsers knows no offset, so it has a control of its own.
    return text + (_first(entries, f"{name}.offset") or "Z") if _LOCAL_MOMENT.fullmatch(text) else text


def _address(_: Element, entries: Entries, name: str) -> Any:
    given = ((part, _first(entries, f"{name}.{part}").strip()) for part in ADDRESS_PARTS)
    return {part: text for part, text in given if text}


def _location(_: Element, entries: Entries, name: str) -> Any:
    given = ((part, _first(entries, f"{name}.{part}")) for part in LOCATION_PARTS)
    return {part: number_of(text) for part, text in given if text.strip()}


def _files(_: Element, entries: Entries, name: str) -> Any:
    return [value for value in entries.get(name, ()) if value]


def _items(field: Element, entries: Entries, name: str) -> Any:
    items = [answers_of(field["elements"], entries, f"{name}.{number}.") for number in item_numbers(entries, name)]
    # An empty one between others keeps its place, which faults point at.
    while items and not items[-1]:
        items.pop()
    return items


_READERS: Final[Mapping[str, Reader]] = {
    "email": _line,
    "url": _line,
    "phone": _line,
    "date": _line,
    "time": _line,
    "datetime": _moment,
    "number": _number,
    "currency": _number,
    "integer": _number,
    "rating": _number,
    "scale": _number,
    "nps": _number,
    "yes_no": _truth,
    "consent": _truth,
    "choice": _choice,
    "dropdown": _choice,
    "multi_choice": _choices,
    "ranking": _ranks,
    "matrix": _cells,
    "matrix_multi": _cell_lists,
    "address": _address,
    "location": _location,
    "file": _files,
    "image": _files,
    "signature": _files,
    "group": _items,
}
