"""The fields of Typeform as elements, with the intake of their answers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.imports.draft import Draft
from deployments.imports.json_answers import Misfit, number_of, text_of
from deployments.imports.logic.subjects import Subject
from deployments.imports.naming import Names

Take = Callable[[Any], dict[str, Any]]
"""Answers by element id, from one answer of Typeform."""

_PLAIN: Final = {
    "short_text": "short_text",
    "long_text": "long_text",
    "email": "email",
    "website": "url",
    "number": "number",
    "phone_number": "phone",
    "date": "date",
    "statement": "statement",
    "nps": "nps",
    "file_upload": "file",
    "address": "address",
}
_GROUPS: Final = ("group", "inline_group", "contact_info")
_TEXTS: Final = ("text", "email", "url", "phone_number", "file_url", "number", "date")
_MADE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|01[0-9A-HJKMNP-TV-Z]{24}|[A-Za-z0-9]{12}", re.IGNORECASE)
"""References that Typeform made up: UUIDs, ULIDs, and short ids."""

_REFERENCE: Final = re.compile(r"\{\{[^}]+\}\}")
_OTHER: Final = "other"


@dataclass(slots=True)
class Fields:
    """Elements in the order of the form, who takes which answer, and where each field stands."""

    draft: Draft
    elements: list[dict[str, Any]] = field(default_factory=list)
    takes: dict[str, Take] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def add(self, raw: Any, where: str, depth: int = 0) -> None:
        """Take a field over, with those inside."""
        if not isinstance(raw, Mapping) or depth > 5:
            self.draft.notices.add(where, "type.unknown", "A field that cannot be read is left out.")
            return
        ref = str(raw.get("ref") or raw.get("id") or "")
        self.first[ref] = len(self.elements)
        kind, properties = raw.get("type"), _mapping(raw.get("properties"))
        inner = properties.get("fields")
        if kind in _GROUPS and isinstance(inner, list):
            self._put(self._element("statement", raw, where), raw, None)
            for index, item in enumerate(inner):
                self.add(item, f"{where}/properties/fields/{index}", depth + 1)
        elif kind == "matrix" and isinstance(inner, list) and inner:
            self._matrix(raw, inner, where)
        else:
            self._field(str(kind), raw, properties, where)
        self.last[ref] = len(self.elements) - 1

    def _put(self, element: dict[str, Any], raw: Mapping[str, Any], take: Take | None, **subject: Any) -> None:
        self.elements.append(element)
        for name in (raw.get("ref"), raw.get("id")):
            if isinstance(name, str) and name:
                self.subjects.setdefault(name, Subject(element["id"], element["type"], **subject))
                if take is not None:
                    self.takes.setdefault(name, take)

    def _element(self, kind: str, raw: Mapping[str, Any], where: str, **extra: Any) -> dict[str, Any]:
        title = str(raw.get("title") or "").strip()
        properties, rules = _mapping(raw.get("properties")), _mapping(raw.get("validations"))
        ref = str(raw.get("ref") or "")
        name = title if not ref or _MADE.fullmatch(ref) else ref
        if _REFERENCE.search(title) or _REFERENCE.search(str(properties.get("description") or "")):
            detail = "Answers within texts are not filled in; the reference stays in the text."
            self.draft.notices.add(where, "text.reference", detail)
        if isinstance(raw.get("attachment"), Mapping):
            self.draft.notices.add(where, "property.attachment", f"Left out: {str(raw['attachment'])[:500]}")
        description = str(properties.get("description") or "")
        element = self.draft.element(kind, name, title or ref or "-", where, description=description, **extra)
        if rules.get("required") is True and element["type"] != "statement":
            element["required"] = True
        return element

    def _field(self, kind: str, raw: Mapping[str, Any], properties: Mapping[str, Any], where: str) -> None:
        match kind:
            case "multiple_choice" | "picture_choice" | "dropdown":
                self._choice(kind, raw, properties, where)
            case "ranking":
                options, ids = self._options(properties, where)
                element = self._element("ranking", raw, where, options=options)
                self._put(element, raw, _several(element["id"], ids, other=False), values=ids)
            case "yes_no" | "legal":
                if kind == "legal":
                    self.draft.notices.add(where, "type.nearest", "legal becomes yes_no, which keeps a refusal.")
                element = self._element("yes_no", raw, where)
                self._put(element, raw, _plain(element), values={"true": True, "false": False, "1": True, "0": False})
            case "rating" | "opinion_scale":
                element = self._scale(kind, raw, properties, where)
                self._put(element, raw, _plain(element))
            case _:
                own = _PLAIN.get(kind)
                if own is None:
                    own = "statement" if kind in ("payment", "calendly") else "long_text"
                    self.draft.notices.add(where, "type.nearest", f"{kind[:50]} becomes {own}.")
                element = self._element(own, raw, where)
                self._bounds(element, _mapping(raw.get("validations")))
                # A file is at Typeform; its address is no answer to a question for files.
                self._put(element, raw, None if element["type"] in ("statement", "file") else _plain(element))

    def _choice(self, kind: str, raw: Mapping[str, Any], properties: Mapping[str, Any], where: str) -> None:
        options, ids = self._options(properties, where)
        other = properties.get("allow_other_choice") is True
        many = properties.get("allow_multiple_selection") is True
        if not options:
            self.draft.notices.add(where, "type.nearest", f"{kind} becomes a text. It has no options.")
            element = self._element("short_text", raw, where)
            self._put(element, raw, _plain(element))
            return
        own = "multi_choice" if many else "dropdown" if kind == "dropdown" else "choice"
        element = self._element(own, raw, where, options=options, allow_other=other)
        rules = _mapping(raw.get("validations"))
        counts = {"min_choices": rules.get("min_selection"), "max_choices": rules.get("max_selection")}
        if many and any(counts.values()):
            element["validation"] = {name: count for name, count in counts.items() if count}
        if kind == "picture_choice":
            self.draft.notices.add(where, "property.images", "The images of options are left out; their texts stay.")
        take = (_several if many else _single)(element["id"], ids, other=other)
        self._put(element, raw, take, values=ids, parts={_OTHER: _OTHER} if other else {})

    def _options(self, properties: Mapping[str, Any], where: str) -> tuple[list[dict[str, str]], dict[str, str]]:
        """Options, and their ids by all that answers and conditions may name them."""
        names = Names(frozenset((_OTHER,)))
        options: list[dict[str, str]] = []
        ids: dict[str, str] = {}
        choices = properties.get("choices")
        for index, choice in enumerate(choices if isinstance(choices, list) else ()):
            raw = _mapping(choice)
            label = str(raw.get("label") or raw.get("ref") or raw.get("id") or "-")
            option = names.make(label, f"option{index + 1}")
            options.append({"id": option, "label": self.draft.label(label, where)})
            for name in (raw.get("ref"), raw.get("id"), label):
                if isinstance(name, str) and name:
                    ids.setdefault(name, option)
        return options, ids

    def _scale(self, kind: str, raw: Mapping[str, Any], properties: Mapping[str, Any], where: str) -> dict[str, Any]:
        steps = properties.get("steps")
        steps = steps if type(steps) is int and 2 <= steps <= 100 else 5 if kind == "rating" else 11
        if kind == "rating":
            if steps > 10:
                return self._element("scale", raw, where, min=1, max=steps)
            return self._element("rating", raw, where, max=steps)
        low = 1 if properties.get("start_at_one") else 0
        labels = _mapping(properties.get("labels"))
        if labels.get("center"):
            self.draft.notices.add(where, "property.labels", f"The label in the middle is left out: {labels['center']}")
        ends = {"min_label": str(labels.get("left") or "") or None, "max_label": str(labels.get("right") or "") or None}
        return self._element("scale", raw, where, min=low, max=low + steps - 1, **ends)

    def _matrix(self, raw: Mapping[str, Any], inner: list[Any], where: str) -> None:
        """The matrix of rows that are choices of the same options."""
        rows = [item for item in inner if isinstance(item, Mapping)]
        properties = _mapping(rows[0].get("properties")) if rows else {}
        columns, ids = self._options(properties, where)
        many = any(_mapping(row.get("properties")).get("allow_multiple_selection") is True for row in rows)
        names = Names()
        row_ids = [names.make(str(row.get("title") or ""), f"row{index}") for index, row in enumerate(rows, 1)]
        options = [
            {"id": own, "label": self.draft.label(str(row.get("title") or own), where)}
            for own, row in zip(row_ids, rows, strict=True)
        ]
        if not columns or not options:
            self.draft.notices.add(where, "type.nearest", "matrix becomes a text. It has no rows or columns.")
            self._put(self._element("long_text", raw, where), raw, None)
            return
        element = self._element("matrix_multi" if many else "matrix", raw, where, rows=options, columns=columns)
        self._put(element, raw, None)
        read = (_several if many else _single)("row", ids, other=False)
        for own, row in zip(row_ids, rows, strict=True):
            labels = self._options(_mapping(row.get("properties")), where)[1]
            subject = Subject(element["id"], "multi_choice" if many else "choice", ids | labels, part=own)
            for name in (row.get("ref"), row.get("id")):
                if isinstance(name, str) and name:
                    self.subjects[name] = subject
                    self.takes[name] = _row(element["id"], own, read, labels)

    def _bounds(self, element: dict[str, Any], rules: Mapping[str, Any]) -> None:
        bounds = {"min_value": "min", "max_value": "max"} if element["type"] == "number" else {}
        lengths = {"max_length": "max_length"} if element["type"] in ("short_text", "long_text") else {}
        found = {own: rules[name] for name, own in (bounds | lengths).items() if rules.get(name) is not None}
        if found:
            element["validation"] = found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def value_of(answer: Mapping[str, Any]) -> Any:
    """The value of an answer, which stands under the name of its type."""
    kind = answer.get("type")
    return answer.get(kind) if isinstance(kind, str) else None


def _plain(element: Mapping[str, Any]) -> Take:
    field_id, kind = element["id"], element["type"]

    def take(answer: Any) -> dict[str, Any]:
        value = value_of(answer)
        if answer.get("type") == "boolean":
            return {field_id: value}
        if answer.get("type") not in _TEXTS:
            raise Misfit(f"The answer of {field_id} has the type {answer.get('type')}.")
        if kind == "date" and isinstance(value, str):
            return {field_id: value[:10]}
        return {field_id: number_of(value) if answer["type"] == "number" else text_of(value)}

    return take


def _labels(given: Any, single: str, many: str) -> Iterable[str]:
    raw = _mapping(given)
    found = raw.get(many) if isinstance(raw.get(many), list) else [raw.get(single)]
    return [str(item) for item in found or () if item is not None]


def _chosen(given: Any, ids: Mapping[str, str], field_id: str) -> list[str]:
    """The ids of the options that an answer names, by reference, id or label."""
    for single, many in (("ref", "refs"), ("id", "ids"), ("label", "labels")):
        names = [name for name in _labels(given, single, many) if name != _OTHER]
        if names and all(name in ids for name in names):
            return [ids[name] for name in names]
    names = list(_labels(given, "label", "labels"))
    if names:
        raise Misfit(f"'{names[0][:100]}' is no option of {field_id}.")
    return []


def _single(field_id: str, ids: Mapping[str, str], *, other: bool) -> Take:
    def take(answer: Any) -> dict[str, Any]:
        value = value_of(answer)
        free = _mapping(value).get(_OTHER)
        if free and other:
            return {field_id: {_OTHER: text_of(free)}}
        chosen = _chosen(value, ids, field_id)
        return {field_id: chosen[0]} if chosen else {}

    return take


def _several(field_id: str, ids: Mapping[str, str], *, other: bool) -> Take:
    def take(answer: Any) -> dict[str, Any]:
        value = value_of(answer)
        free = _mapping(value).get(_OTHER)
        chosen = _chosen(value, ids, field_id)
        if free and other:
            free = text_of(free)
            return {field_id: {"options": chosen, _OTHER: free} if chosen else {_OTHER: free}}
        return {field_id: chosen}

    return take


def _row(field_id: str, row: str, read: Take, labels: Mapping[str, str]) -> Take:
    def take(answer: Any) -> dict[str, Any]:
        value = _mapping(value_of(answer))
        refs = [labels.get(name, name) for name in _labels(value, "ref", "refs")]
        known = read(answer) if not set(refs) <= set(labels.values()) or not refs else {"row": refs}
        found = known.get("row")
        many = isinstance(value.get("labels") or value.get("refs"), list)
        return {field_id: {row: found[0] if isinstance(found, list) and not many and found else found}} if found else {}

    return take
