"""What one response adds to the figures of its form. Pure: the same response always adds the same.

A part is a set of names, each counted once: some in the quarter of an hour when it happened, some without a moment.

    starts, submissions, partials, seconds:<cell>          with and without a moment
    page:<page>:reached, page:<page>:left
    f:<field>                                              has an answer
    f:<field>:o:<option>                                   chose it; `*other` stands for the free text
    f:<field>:n:<number>                                   to four significant digits
    f:<field>:r:<row>, f:<field>:r:<row>:<option>          of a matrix, and of the ranks of a ranking
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from db.repositories.responses import COMPLETE, PARTIAL
from deployments.analytics.metrics.cells import EVER, number_cell, quarter_of, seconds_cell
from deployments.kit.engine import CompiledForm

OTHER: Final = "*other"
RULES: Final = 1
"""Another number has all figures counted anew. Raise it when other parts come of the same responses."""

_CHOSEN: Final = ("option", "options")
# A part is a few hundred bytes: the windows and tables of the default take eight times as long to set up as to use.
_LEVEL, _WINDOW_BITS, _MEMORY_LEVEL = 6, 10, 2

Cell: TypeAlias = tuple[int, str]
"""A moment and a name."""


class Part(NamedTuple):
    """Where a response is counted, and its numbers by field."""

    cells: tuple[Cell, ...]
    numbers: Mapping[str, float]

    def packed(self) -> bytes:
        """The part as it is stored."""
        lines = [name if moment == EVER else f"{moment} {name}" for moment, name in self.cells]
        lines += [f"={name} {value!r}" for name, value in self.numbers.items()]
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
        return compressor.compress("\n".join(lines).encode()) + compressor.flush()


NOTHING: Final = Part((), {})


def unpacked(content: bytes) -> Part:
    """The part that was stored."""
    cells: list[Cell] = []
    numbers: dict[str, float] = {}
    for line in zlib.decompress(content).decode().split("\n"):
        first, _, second = line.partition(" ")
        if line.startswith("="):
            numbers[first[1:]] = float(second) if any(sign in second for sign in ".en") else int(second)
        elif second:
            cells.append((int(first), second))
        elif first:
            cells.append((EVER, first))
    return Part(tuple(cells), numbers)


Count: TypeAlias = Callable[[str, Any], Iterator[str]]


@dataclass(frozen=True, slots=True)
class CountedVersion:
    """A published version of a form, ready to say what responses to it add."""

    rules: CompiledForm
    _pages: tuple[str, ...] = field(init=False)
    _page_of: Mapping[str, int] = field(init=False)
    _is_straight: bool = field(init=False)
    _counts: Mapping[str, Count] = field(init=False)
    _numeric: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        definition = self.rules.definition
        put = object.__setattr__
        put(self, "_pages", tuple(page.id for page in definition.pages))
        place = {each.id: number for number, page in enumerate(definition.pages) for each in page.all_elements()}
        put(self, "_page_of", place)
        put(self, "_is_straight", not any(page.visible_if or page.next for page in definition.pages))
        put(self, "_counts", {each.id: _COUNTS.get(each.type, _nothing) for each in definition.fields})
        numeric = frozenset(each.id for each in definition.fields if each.type in NUMERIC)
        calculated = frozenset(each.id for each in definition.fields if each.type == "calculated")
        put(self, "_numeric", numeric | calculated)

    def part(self, row: Any) -> Part:
        """What the response adds; nothing when it is in the trash or in quarantine, or purged."""
        if row.deleted_at is not None or row.status not in (COMPLETE, PARTIAL):
            return NOTHING
        names = ["starts", *self._of_pages(row)]
        cells: list[Cell] = [(quarter_of(row.started_at or row.submitted_at), "starts")]
        if row.status == PARTIAL:
            cells.append((cells[0][0], "partials"))
            names.append("partials")
            return Part((*cells, *((EVER, name) for name in names)), {})
        moment = quarter_of(row.submitted_at)
        timed = ["submissions"]
        if row.seconds is not None:
            timed.append(f"seconds:{seconds_cell(row.seconds)}")
        cells += [(moment, name) for name in timed]
        names += timed
        numbers: dict[str, float] = {}
        for field_id, value in row.answers.items():
            count = self._counts.get(field_id)
            if count is None:
                continue
            name = f"f:{field_id}"
            names.append(name)
            names += count(name, value)
            if field_id in self._numeric and type(value) in (int, float):
                numbers[field_id] = value
        return Part((*cells, *((EVER, name) for name in names)), numbers)

    def _of_pages(self, row: Any) -> list[str]:
        reached = self._pages if self._is_straight else self.rules.decide(row.answers, row.submitted_at).pages
        if row.status == COMPLETE:
            return [f"page:{page}:reached" for page in reached]
        last = self._last_page(row)
        here = self._pages[last]
        before = [page for page in reached if self._pages.index(page) < last]
        return [*(f"page:{page}:reached" for page in (*before, here)), f"page:{here}:left"]

    def _last_page(self, row: Any) -> int:
        """The furthest page that shows a sign of the visitor: the one they saved on, a time, an answer."""
        signs = [*(row.timings or ()), row.meta.get("page")]
        places = [self._pages.index(page) for page in signs if page in self._pages]
        places += [self._page_of[name] for name in row.answers if name in self._page_of]
        return max(places, default=0)


def _nothing(_name: str, _value: Any) -> Iterator[str]:
    return iter(())


def _options(name: str, value: Any) -> Iterator[str]:
    chosen = value
    if type(value) is dict:
        chosen = next((value[part] for part in _CHOSEN if part in value), ())
        if "other" in value:
            yield f"{name}:o:{OTHER}"
    for option in chosen if type(chosen) in (list, tuple) else (chosen,):
        if type(option) is str:
            yield f"{name}:o:{option}"


def _truth(name: str, value: Any) -> Iterator[str]:
    if type(value) is bool:
        yield f"{name}:o:{'true' if value else 'false'}"


def _number(name: str, value: Any) -> Iterator[str]:
    if type(value) in (int, float):
        yield f"{name}:n:{number_cell(value)}"


def _calculated(name: str, value: Any) -> Iterator[str]:
    yield from _truth(name, value)
    yield from _number(name, value)


def _ranking(name: str, value: Any) -> Iterator[str]:
    if type(value) is dict:
        for option, rank in value.items():
            yield f"{name}:o:{option}"
            yield f"{name}:r:{option}:{rank}"


def _matrix(name: str, value: Any) -> Iterator[str]:
    if type(value) is dict:
        for row, chosen in value.items():
            yield f"{name}:r:{row}"
            for option in chosen if type(chosen) is list else (chosen,):
                yield f"{name}:r:{row}:{option}"


NUMERIC: Final = frozenset({"number", "currency", "integer", "rating", "scale", "nps"})

_COUNTS: Final[Mapping[str, Count]] = {
    **dict.fromkeys(("choice", "dropdown", "multi_choice", "country"), _options),
    **dict.fromkeys(("yes_no", "consent"), _truth),
    **dict.fromkeys(NUMERIC, _number),
    **dict.fromkeys(("matrix", "matrix_multi"), _matrix),
    "ranking": _ranking,
    "calculated": _calculated,
}
