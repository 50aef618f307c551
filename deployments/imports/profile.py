"""What a column holds, learnt in one pass over the rows with bounded memory."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final

from deployments.imports.layout import Layout
from deployments.imports.metadata import MOMENT_FORMATS, SUBMITTED, parse_moment

MAX_VOCABULARY: Final = 300
"""Different texts of a column that are kept; with more of them it is no choice."""

_LONGEST_LABEL: Final = 500
_MOST_CHARACTERS: Final = 20_000
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,14}")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,9})\.[0-9]{1,5}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(slots=True)
class Column:
    """The cells of a column that are not blank: how many, how long, which texts, and which types fit all of them.

    `vocabulary` is None once there is too much of it, `room` is how many more characters it takes.
    """

    count: int = 0
    longest: int = 0
    lines: bool = False
    room: int = _MOST_CHARACTERS
    vocabulary: Counter[str] | None = field(default_factory=Counter)
    types: frozenset[str] = frozenset(("integer", "number", "date", "datetime"))
    moments: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        self.count += 1
        self.longest = max(self.longest, len(text))
        self.lines = self.lines or "\n" in text or "\r" in text
        if self.vocabulary is not None:
            if text not in self.vocabulary:
                self.room -= len(text)
            self.vocabulary[text] += 1
            if len(self.vocabulary) > MAX_VOCABULARY or len(text) > _LONGEST_LABEL or self.room < 0:
                self.vocabulary = None
        if self.types:
            self.types &= _types(text)

    def add_moment(self, text: str) -> None:
        """Count the formats that read the text; those that read all texts before are asked first."""
        most = max(self.moments.values(), default=0)
        usual = [form for form in MOMENT_FORMATS if self.moments[form] == most]
        fitting = [form for form in usual if parse_moment(text, form)]
        self.moments.update(fitting or [form for form in MOMENT_FORMATS if parse_moment(text, form)])

    def only(self) -> str | None:
        """The text that all cells have, when they have one."""
        return next(iter(self.vocabulary)) if self.vocabulary is not None and len(self.vocabulary) == 1 else None


@dataclass(slots=True)
class Profile:
    """The columns, the number of rows that are responses, and in how many of them a group repeats a cell."""

    columns: list[Column]
    rows: int = 0
    broken: int = 0
    repeats: Counter[int] = field(default_factory=Counter)

    def moment_format(self, index: int) -> str | None:
        """The format of moments that fits most cells of the column, the first of equals."""
        moments = self.columns[index].moments
        return max(MOMENT_FORMATS, key=moments.__getitem__) if moments else None


def read_profile(path: Path, layout: Layout) -> Profile:
    """The profile of a file's rows."""
    profile = Profile([Column() for _ in range(layout.width)])
    groups = [(number, [h.index for h in group.headings]) for number, group in enumerate(layout.groups)]
    moments = {index for index, kind in layout.metadata.items() if kind.field_id in SUBMITTED}
    for record in layout.rows(path):
        if record.problem:
            profile.broken += 1
            continue
        profile.rows += 1
        cells = record.cells
        width = len(cells)
        for index, text in enumerate(cells[: layout.width]):
            if text and not text.isspace():
                column = profile.columns[index]
                column.add(text)
                if index in moments:
                    column.add_moment(text)
        for number, indexes in groups:
            texts = [text for index in indexes if index < width and (text := cells[index])]
            if len(texts) > 1 and len(set(texts)) != len(texts):
                profile.repeats[number] += 1
    return profile


def _types(text: str) -> frozenset[str]:
    """The types that say `text` exactly: it is written again as it was."""
    if _INTEGER.fullmatch(text):
        return _WHOLE
    if _DECIMAL.fullmatch(text):
        return _FRACTION if str(float(text)) == text and float(text) else _NONE
    if _DATE.fullmatch(text):
        return _DAY if _valid(text, date) else _NONE
    if _DATETIME.fullmatch(text):
        return _MOMENT if _valid(text, datetime) else _NONE
    return _NONE


def _valid(text: str, kind: type[date]) -> bool:
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True


_WHOLE: Final = frozenset(("integer", "number"))
_FRACTION: Final = frozenset(("number",))
_DAY: Final = frozenset(("date",))
_MOMENT: Final = frozenset(("datetime",))
_NONE: Final[frozenset[str]] = frozenset()
