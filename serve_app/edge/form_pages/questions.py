"""An element as the templates show it: its name in the form, what was entered, what is wrong."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.kit.errors import Fault
from serve_app.edge.form_pages.answers import ADDRESS_PARTS, LOCATION_PARTS, Element, item_numbers
from serve_app.edge.form_pages.entries import Entries
from serve_app.edge.form_pages.standing import Standing
from serve_app.edge.form_pages.texts import Texts

# Groups have as many items as were filled in, but a page that shows none asks nothing.
_FEWEST_ITEMS = 1

_AUTOCOMPLETE = {
    "email": "email",
    "phone": "tel",
    "url": "url",
    "name": "name",
    "full_name": "name",
    "first_name": "given-name",
    "given_name": "given-name",
    "last_name": "family-name",
    "family_name": "family-name",
    "surname": "family-name",
    "company": "organization",
    "organisation": "organization",
    "organization": "organization",
    "job_title": "organization-title",
    "birthday": "bday",
    "date_of_birth": "bday",
}
_ADDRESS = {
    "street": "address-line1",
    "street2": "address-line2",
    "city": "address-level2",
    "region": "address-level1",
    "postal_code": "postal-code",
    "country": "country",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One element. `name` is what its control is called, and the ids of everything around it end with it."""

    element: Element
    name: str
    faults: tuple[str, ...]
    inner: tuple["Question", ...]
    items: tuple[tuple["Question", ...], ...]
    hidden: bool
    open: bool
    required: bool
    _entries: Entries

    @property
    def type(self) -> str:
        return str(self.element["type"])

    @property
    def rules(self) -> Mapping[str, Any]:
        """The element's `validation`."""
        rules: Mapping[str, Any] = self.element.get("validation", {})
        return rules

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The ids of the options with their labels."""
        return tuple((option["id"], option["label"]) for option in self.element["options"])

    def value(self, part: str = "") -> str:
        """What was entered, or the part of it."""
        values = self._entries.get(f"{self.name}.{part}" if part else self.name)
        return values[0] if values else ""

    def values(self, part: str = "") -> list[str]:
        """Everything that was entered under the name."""
        return self._entries.get(f"{self.name}.{part}" if part else self.name, [])

    def chosen(self, option: object, part: str = "") -> bool:
        """Whether an option was chosen."""
        return str(option) in self.values(part)

    def described(self, *more: str) -> str:
        """The ids of what describes the control, for `aria-describedby`."""
        ids = [f"d-{self.name}"] if self.element.get("description") else []
        return " ".join((*ids, *more, *([f"e-{self.name}"] if self.faults else [])))

    def autocomplete(self, part: str = "") -> str:
        """What browsers may fill in (WCAG 2.2, 1.3.5); empty for nothing known."""
        if part:
            return _ADDRESS.get(part, "")
        return _AUTOCOMPLETE.get(self.type) or _AUTOCOMPLETE.get(str(self.element["id"]), "")


class Faults:
    """Faults by the name of the question that they are about; `general` are those about none."""

    def __init__(
        self,
        faults: Iterable[Fault],
        elements: Mapping[str, Element],
        texts: Texts,
        message: Callable[[Fault], str | None],
    ) -> None:
        self.by_name: dict[str, list[str]] = {}
        self.general: list[str] = []
        for fault in faults:
            name, element = place_of(fault.pointer, elements)
            text = message(fault) or texts.fault(fault, element)
            if part := _part(fault.pointer, element, texts):
                text = f"{part}: {text}"
            told = self.by_name.setdefault(name, []) if name else self.general
            if text not in told:
                told.append(text)

    def __bool__(self) -> bool:
        return bool(self.by_name or self.general)


def place_of(pointer: str, elements: Mapping[str, Element]) -> tuple[str, Element | None]:
    """The name of the question that a pointer into answers leads to, and its element; '' and None for no question."""
    _, kind, *tokens = *pointer.split("/"), ""
    element = elements.get(tokens[0]) if kind == "answers" and tokens else None
    if element is None:
        return "", None
    if element["type"] == "group" and len(tokens) > 3 and tokens[1].isdigit():
        inner = next((each for each in element["elements"] if each["id"] == tokens[2]), None)
        if inner is not None:
            return f"{tokens[0]}.{tokens[1]}.{tokens[2]}", inner
    return tokens[0], element


def _part(pointer: str, element: Element | None, texts: Texts) -> str:
    """What the part of an answer is called that a fault is about."""
    if element is None:
        return ""
    part = pointer.rpartition("/")[2]
    if element["type"] in ("address", "location"):
        return texts(part) if part in (*ADDRESS_PARTS, *LOCATION_PARTS[:2]) else ""
    named = (*element.get("rows", ()), *(element["options"] if element["type"] == "ranking" else ()))
    return next((str(each["label"]) for each in named if each["id"] == part), "")


def questions_of(
    elements: Iterable[Element],
    entries: Entries,
    faults: Mapping[str, list[str]],
    standing: Standing,
    prefix: str = "",
) -> tuple[Question, ...]:
    """The questions that `elements` ask, filled in with `entries`."""
    return tuple(_questions(elements, entries, faults, standing, prefix))


def _questions(
    elements: Iterable[Element], entries: Entries, faults: Mapping[str, list[str]], standing: Standing, prefix: str
) -> Iterator[Question]:
    for element in elements:
        name = prefix + element["id"]
        inner: tuple[Question, ...] = ()
        items: tuple[tuple[Question, ...], ...] = ()
        if element["type"] == "section":
            inner = questions_of(element.get("elements", ()), entries, faults, standing, prefix)
        elif element["type"] == "group":
            fewest = max(_FEWEST_ITEMS, element.get("min_items") or 0)
            number = max(fewest, *(number + 1 for number in item_numbers(entries, name)), 0)
            items = tuple(
                questions_of(element["elements"], entries, faults, standing, f"{name}.{index}.")
                for index in range(number)
            )
        told = tuple(faults.get(name, ()))
        asked = name in standing.required or bool(prefix and element.get("required"))
        yield Question(
            element, name, told, inner, items, name in standing.hidden, name in standing.open, asked, entries
        )


def renumbered(entries: Entries, groups: Iterable[str], *, add: str = "", remove: str = "") -> Entries:
    """The entries with the items of each group numbered from 0; `add` names a group that gets one more item, `remove`
    an item (`group.number`) that goes."""
    result = dict(entries)
    for group in groups:
        names = item_numbers(entries, group)
        kept = [number for number in names if f"{group}.{number}" != remove]
        moved = {f"{group}.{old}": f"{group}.{new}" for new, old in enumerate(kept)}
        taken = {key: result.pop(key) for key in entries if key.startswith(f"{group}.")}
        for key, values in taken.items():
            start, _, rest = key[len(group) + 1 :].partition(".")
            if (place := moved.get(f"{group}.{start}")) is not None:
                result[f"{place}.{rest}"] = values
        if group == add:
            result[f"{group}.{max(len(kept), _FEWEST_ITEMS)}."] = [""]
    return result
