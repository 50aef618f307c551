"""The fields that a condition speaks of: their names in the other format and their values there, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from deployments.imports.logic.tree import (
    Answer,
    Call,
    Constant,
    Items,
    Node,
    Not,
    Operation,
    Scalar,
    Untranslatable,
    rewritten,
)

_CHOICES: Final = ("choice", "dropdown", "multi_choice")
NUMBERS: Final = ("number", "integer", "currency", "rating", "scale", "nps")
TRUTHS: Final = ("yes_no", "consent")
_MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Subject:
    """A field. `values` are its values by what the other format says; `parts` its parts likewise; `group` is the
    repeating group that it is in."""

    id: str
    kind: str
    values: Mapping[str, Scalar] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    part: str | None = None
    group: str = ""

    @property
    def several(self) -> bool:
        """Whether an answer is a list."""
        return self.kind == "multi_choice" and self.part is None

    def value(self, foreign: Scalar) -> Scalar:
        """The value that the other format writes as `foreign`."""
        if foreign is None:
            return None
        known = self.values.get(_text(foreign))
        if known is not None:
            return known
        if self.kind in NUMBERS and isinstance(foreign, str):
            return _number(foreign)
        if self.kind not in NUMBERS and isinstance(foreign, int | float) and not isinstance(foreign, bool):
            return _text(foreign)
        return foreign


Subjects = Mapping[str, Subject]
"""Fields by their names in the other format."""


def subjects_of(elements: list[dict[str, Any]]) -> dict[str, Subject]:
    """The fields of a definition under their own names and values."""
    return {element["id"]: Subject(element["id"], element["type"]) for element in elements}


def in_group(subject: Subject, group: str) -> Subject:
    """The field as one of a repeating group."""
    return replace(subject, group=group)


def name_in(group: str, name: str) -> str:
    """The name that only conditions inside of a group know a field by."""
    return f"{group}/{name}"


def adopt(node: Node, subjects: Subjects, within: str = "") -> Node:
    """The tree in Formstream's names and values, with what an unanswered field means in other formats kept. `within` is
    the repeating group whose items it is about.

    Elsewhere an absent answer is the empty text: equal to '' and different from anything else. Raises Untranslatable
    for a name that is no field.
    """
    # Names first: what they stand for decides over what is around them.
    named = rewritten(node, lambda n: _answer(n.field, n.part, subjects, within) if isinstance(n, Answer) else n)
    return rewritten(named, lambda inner: _adopted(inner, subjects))


def _adopted(node: Node, subjects: Subjects) -> Node:
    match node:
        case Not(Not((Operation() | Call()) as inner)):
            return inner
        case Operation(sign, left, Answer() as right) if sign in _MIRRORED and isinstance(left, Constant | Items):
            return _adopted(Operation(_MIRRORED[sign], right, left), subjects)
        case Operation("!=", Answer() as answer, other):
            return _negated(_adopted(Operation("==", answer, other), subjects))
        case Operation(sign, Answer() as answer, Constant(value)):
            return _compared(sign, answer, value, _subject(answer, subjects))
        case Operation("==", Answer() as answer, Items(values)):
            subject = _subject(answer, subjects)
            return Operation("==", answer, Items(tuple(map(subject.value, values))))
        case Operation("in", Answer() as answer, Items(values)):
            subject = _subject(answer, subjects)
            return Operation("in", answer, Items(tuple(map(subject.value, values))))
    return node


def _negated(node: Node) -> Node:
    return node.operand if isinstance(node, Not) else Not(node)


def _subject(answer: Answer, subjects: Subjects) -> Subject:
    found = next((s for s in subjects.values() if (s.id, s.part) == (answer.field, answer.part)), None)
    if found is None:
        found = next((s for s in subjects.values() if s.id == answer.field), None)
    if found is None:
        return Subject(answer.field, "short_text")
    return found if answer.part == found.part else Subject(found.id, "short_text", found.values, part=answer.part)


def _answer(name: str, part: str | None, subjects: Subjects, within: str) -> Node:
    subject = subjects.get(name_in(within, name)) or subjects.get(name)
    if subject is None:
        raise Untranslatable(f"There is no field '{name}'.")
    if subject.group:
        return _of_item(subject, part, within)
    if part is None:
        return Answer(subject.id, subject.part)
    if part not in subject.parts:
        raise Untranslatable(f"The field '{name}' has no part '{part}'.")
    return Answer(subject.id, subject.parts[part])


def _of_item(subject: Subject, part: str | None, within: str) -> Node:
    if part is not None and part not in subject.parts:
        raise Untranslatable(f"The field '{subject.id}' has no part '{part}'.")
    inner = subject.part if part is None else subject.parts[part]
    if subject.group == within:
        return Answer(subject.id, inner, own=True)
    if inner is not None:
        raise Untranslatable(f"'{subject.id}' is asked several times, and has parts.")
    # Elsewhere it is all that the items say.
    return Answer(subject.group, subject.id)


def _compared(sign: str, answer: Answer, value: Scalar, subject: Subject) -> Node:
    if sign == "==" and (value == "" or value is None):
        return Call("empty", (answer,))
    own = subject.value(value)
    if sign == "==" and subject.kind in TRUTHS and isinstance(own, bool):
        return Operation("==", answer, Constant(own))
    if subject.several and sign == "==":
        return Operation("==", answer, Items((own,)))
    if subject.several and sign in ("<", "<=", ">", ">="):
        raise Untranslatable(f"The answers of '{subject.id}' are a list, which has no order.")
    if not subject.several and sign == "contains" and subject.kind in _CHOICES:
        return Operation("==", answer, Constant(own))
    return Operation(sign, answer, Constant(own))


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(text: str) -> Scalar:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
