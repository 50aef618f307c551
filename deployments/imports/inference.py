"""From what a file holds to the form that holds all of it: each column gets the narrowest type that loses no cell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from deployments.imports import questions
from deployments.imports.layout import CLOSED, OPEN, Group, Heading, Layout
from deployments.imports.metadata import SUBMITTED
from deployments.imports.naming import Names
from deployments.imports.profile import Column, Profile
from deployments.imports.questions import Question

MAX_CHOICES: Final = 50
"""Different texts of a column that is still a choice, unless the file says that it is one."""

_SHOWN: Final = 8
"""Options up to which a list is easier to read than a drop-down."""

_LONG: Final = 200
_LONGEST_HIDDEN: Final = 2_000
_LONGEST_OTHER: Final = 2_000
_MOST_OPTIONS: Final = 1_000
_SCALE: Final = 11
"""Different whole numbers of a rating scale, as from 0 to 10."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The inferred form, the readers of its answers, and the columns that name a response and date it."""

    definition: dict[str, Any]
    questions: tuple[Question, ...]
    key: int | None
    submitted: tuple[tuple[int, str], ...]


def infer(layout: Layout, profile: Profile) -> Plan:
    """The form of a file. The same layout and profile give the same form; nothing in it is required."""
    found = tuple(_Inference(layout, profile).questions())
    page = {"id": "page1", "elements": [question.element for question in found]}
    kinds = {kind.field_id: index for index, kind in reversed(layout.metadata.items())}
    moments = ((kinds[name], profile.moment_format(kinds[name])) for name in SUBMITTED if name in kinds)
    return Plan(
        definition={"pages": [page]},
        questions=found,
        key=kinds.get("respondent_id"),
        submitted=tuple((index, form) for index, form in moments if form is not None),
    )


class _Inference:
    def __init__(self, layout: Layout, profile: Profile) -> None:
        self._layout = layout
        self._profile = profile
        self._names = Names()

    def questions(self) -> Iterable[Question]:
        """The questions in the order of their first columns."""
        blocks: list[tuple[int, list[Question]]] = [(index, [self._hidden(index)]) for index in self._layout.metadata]
        blocks += [(g.headings[0].index, list(self._group(n, g))) for n, g in enumerate(self._layout.groups)]
        return chain.from_iterable(block for _, block in sorted(blocks, key=lambda block: block[0]))

    def _id(self, title: str, index: int) -> str:
        return self._names.make(title, f"q{index + 1}")

    def _column(self, heading: Heading) -> Column:
        return self._profile.columns[heading.index]

    def _vocabulary(self, heading: Heading) -> frozenset[str]:
        return frozenset(self._column(heading).vocabulary or ())

    def _held(self, heading: Heading) -> frozenset[str]:
        """The types that fit all cells; none when there is no cell."""
        column = self._column(heading)
        return column.types if column.count else frozenset()

    def _hidden(self, index: int) -> Question:
        kind, column = self._layout.metadata[index], self._profile.columns[index]
        extra = {"personal": True} if kind.personal else {}
        field_type = "hidden" if column.longest <= _LONGEST_HIDDEN else "long_text"
        field_id = self._names.make(kind.field_id, kind.field_id)
        return questions.text(field_id, self._layout.names[index], field_type, index, **extra)

    def _group(self, number: int, group: Group) -> Iterable[Question]:
        # A column without a name and without a cell is a trailing separator.
        headings = [h for h in group.headings if self._column(h).count or h.part or self._layout.names[h.index]]
        rules = (self._choice_with_other, self._boxes, self._ranking, self._matrix)
        for rule in rules:
            found = rule(number, group, headings)
            if found is not None:
                question, taken = found
                return [question, *(self._single(heading) for heading in headings if heading.index not in taken)]
        return [self._single(heading) for heading in headings]

    def _single(self, heading: Heading) -> Question:
        column, index = self._column(heading), heading.index
        field_id = self._id(heading.full, index)
        hint = heading.part.lower()
        held = self._held(heading)
        for kind in ("integer", "number"):
            if kind in held:
                return questions.number(field_id, heading.full, kind, index)
        for kind in ("date", "datetime"):
            if kind in held:
                return questions.text(field_id, heading.full, kind, index)
        if (labels := closed_labels(column, hint)) is not None:
            return questions.choice(field_id, heading.full, choice_kind(labels), index, labels, None)
        kind = "long_text" if column.lines or column.longest > _LONG else "short_text"
        return questions.text(field_id, heading.full, kind, index)

    def _choice_with_other(self, _: int, group: Group, headings: Sequence[Heading]) -> "Found":
        """A column of texts that repeat, and the free text beside it."""
        if len(headings) != 2:
            return None
        whole, other = headings
        if (whole.part and whole.part.lower() != CLOSED) or not self._free_text(other):
            return None
        column = self._column(whole)
        labels = closed_labels(column, whole.part.lower())
        if labels is None or "integer" in column.types:
            return None
        field_id = self._id(group.title, whole.index)
        question = questions.choice(field_id, group.title, choice_kind(labels), whole.index, labels, other.index)
        return question, {whole.index, other.index}

    def _boxes(self, _: int, group: Group, headings: Sequence[Heading]) -> "Found":
        """Columns that hold nothing but their own label: one question with several answers, or a table of boxes."""
        flags = {h: label for h in headings if (label := self._own_label(h)) is not None}
        if not flags:
            return None
        titles = {_before(heading.full, label) for heading, label in flags.items()}
        empty = [h for h in headings if not self._column(h).count and h.part]
        rest = [h for h in headings if h not in flags and h not in empty]
        other = next((h for h in reversed(headings) if h not in flags and self._free_text(h)), None)
        if len(rest) > len(flags) + len(empty):
            return None
        if len(titles) == 1:
            title = group.title if _spaced(group.title) in titles else titles.pop()
            options = (h for h in headings if h in flags or (h in empty and h is not other))
            labels = {heading.index: flags.get(heading) or heading.part for heading in options}
            if len(labels) > _MOST_OPTIONS:
                return None
            question = questions.multi_choice(
                self._id(title, headings[0].index), title, labels, None if other is None else other.index
            )
            return question, {*labels, *(() if other is None else (other.index,))}
        # A box that nobody ticked shows its label by the boxes of the other rows.
        known = sorted(set(flags.values()), key=len, reverse=True)
        unticked = {h: label for h in empty for label in known if _before(h.full, label)}
        return self._table(group, unticked | flags)

    def _table(self, group: Group, labels: dict[Heading, str]) -> "Found":
        boxes: dict[int, tuple[str, str]] = {}
        for heading, label in sorted(labels.items(), key=lambda item: item[0].index):
            row = _after(_before(heading.full, label), group.title)
            if not row:
                return None
            boxes[heading.index] = (row, label)
        rows, columns = {row for row, _ in boxes.values()}, {column for _, column in boxes.values()}
        if len(set(boxes.values())) != len(boxes) or len(rows) * len(columns) > _MOST_OPTIONS:
            return None
        field_id = self._id(group.title, min(boxes))
        return questions.matrix_multi(field_id, group.title, boxes), set(boxes)

    def _ranking(self, number: int, group: Group, headings: Sequence[Heading]) -> "Found":
        """Columns of whole numbers from 1 to their own number, each once in a row, save for rare slips."""
        ranked = [h for h in headings if h.part and not (h.other and "integer" not in self._held(h))]
        ranks = {str(rank) for rank in range(1, len(ranked) + 1)}
        texts = [self._column(heading).vocabulary for heading in ranked]
        if len(ranked) < 2 or not any(texts) or any(v is None or not ranks.issuperset(v) for v in texts):
            return None
        ties = self._profile.repeats[number]
        if ties * 20 > self._profile.rows:
            return None
        labels = {heading.index: heading.part for heading in ranked}
        field_id = self._id(group.title, ranked[0].index)
        return questions.ranking(field_id, group.title, labels, ties=ties > 0), set(labels)

    def _matrix(self, _: int, group: Group, headings: Sequence[Heading]) -> "Found":
        """Columns that share a small vocabulary."""
        named = [h for h in headings if h.part and self._column(h).vocabulary is not None]
        common = frozenset[str]().union(*(self._vocabulary(h) for h in named if not h.other))
        rows = [h for h in named if self._vocabulary(h) <= common and not (h.other and not self._column(h).count)]
        labels = list(dict.fromkeys(chain.from_iterable(self._column(h).vocabulary or () for h in rows)))
        total = sum(self._column(heading).count for heading in rows)
        uses = sum(len(self._vocabulary(heading)) for heading in rows)
        closed = 0 < len(labels) <= MAX_CHOICES and total >= 2 * len(labels) and uses * 2 >= len(labels) * 3
        if len(rows) < 2 or not closed or len(headings) - len(rows) > len(rows) or len(rows) > _MOST_OPTIONS:
            return None
        if all("integer" in self._column(heading).types for heading in rows) and len(labels) > _SCALE:
            return None
        parts = {heading.index: heading.part for heading in rows}
        field_id = self._id(group.title, min(parts))
        return questions.matrix(field_id, group.title, parts, labels), set(parts)

    def _free_text(self, heading: Heading) -> bool:
        """Whether the column is the free text beside options: by its name, and because it holds more than its name."""
        column = self._column(heading)
        return heading.other and column.longest <= _LONGEST_OTHER and self._own_label(heading) is None

    def _own_label(self, heading: Heading) -> str | None:
        """The text that all cells have, when the column's name ends with it."""
        label = self._column(heading).only()
        return label if label is not None and _before(heading.full, label) else None


Found = tuple[Question, set[int]] | None
"""A question and the columns that it takes; None when the rule does not fit."""


def closed_labels(column: Column, hint: str) -> list[str] | None:
    """The options of a column that is a choice."""
    vocabulary = column.vocabulary
    if not vocabulary or hint in OPEN:
        return None
    size = len(vocabulary)
    rare = sum(count == 1 for count in vocabulary.values())
    repeated = column.count * 2 >= size * 3
    if hint == CLOSED:
        return list(vocabulary) if repeated or size <= _SHOWN else None
    return list(vocabulary) if size <= MAX_CHOICES and repeated and rare * 2 <= size else None


def choice_kind(labels: Sequence[str]) -> str:
    return "choice" if len(labels) <= _SHOWN else "dropdown"


def _before(name: str, label: str) -> str:
    """What a column's name says before the label at its end, without the dash; '' when it does not end so."""
    name, label = _spaced(name), _spaced(label)
    head = name.removesuffix(label)
    if not label or head == name or not head.endswith((" - ", " – ")):
        return ""
    return head[:-3].rstrip()


def _after(name: str, title: str) -> str:
    title = _spaced(title)
    return name.removeprefix(title).lstrip(" -–") if name.startswith(title) else ""


def _spaced(text: str) -> str:
    return " ".join(text.split())
