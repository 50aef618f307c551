"""Checkboxes of Google Forms: several options in one cell, which may have the separator in them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

SEPARATORS: Final = (";", ", ")
MAX_PIECES: Final = 2_000
"""Different pieces of a column's cells with which it is no list of options."""

MAX_OPTIONS: Final = 60
_FEW: Final = 10
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Boxes:
    """The options of a column, and how its cells name them. `other`: some cells have a text besides."""

    separator: str
    options: tuple[str, ...]
    other: bool

    def split(self, cell: str) -> tuple[list[str], str]:
        """The options of a cell, each once, and the text that is none; the whole cell is text when one comes twice."""
        pieces, rest = _matched(cell, self.separator, self.options)
        if len(set(pieces)) != len(pieces):
            return [], cell
        return pieces, self.separator.join(rest)


@dataclass(slots=True)
class Pieces:
    """The pieces of a column's cells at one separator: how often, in which cells, and beside which others."""

    separator: str
    cells: Counter[str]

    def boxes(self) -> Boxes | None:
        """The options, when the cells are lists of them; else None."""
        split = {cell: cell.split(self.separator) for cell in self.cells}
        if not any(len(pieces) > 1 for pieces in split.values()):
            return None
        merged = _merged(split, self.cells, self.separator)
        counts: Counter[str] = Counter()
        places: defaultdict[str, set[str]] = defaultdict(set)
        for cell, pieces in merged.items():
            for piece in pieces:
                counts[piece] += self.cells[cell]
                places[piece].add(cell)
        total = self.cells.total()
        fewest = 2 if total >= _FEW else 1
        options = tuple(piece for piece, count in counts.items() if count >= fewest and piece.strip())
        several = sum(self.cells[cell] for cell, pieces in merged.items() if len(pieces) > 1)
        combined = sum(len(cells) > 1 for cells in places.values())
        if not 2 <= len(options) <= MAX_OPTIONS or not several or combined < 2 or max(map(len, options)) > _LONGEST:
            return None
        strange = sum(self.cells[cell] for cell, pieces in merged.items() if not set(pieces) <= set(options))
        return Boxes(self.separator, options, other=strange > 0) if strange * 4 <= total else None


def find_boxes(cells: Counter[str]) -> Boxes | None:
    """The boxes that the cells of a column tick; None when they are no lists of options."""
    for separator in SEPARATORS:
        if (found := Pieces(separator, cells).boxes()) is not None and _whole(found, cells):
            return found
    return None


def _whole(boxes: Boxes, cells: Iterable[str]) -> bool:
    """Whether every cell that needs a text besides may have it."""
    return boxes.other or all(not boxes.split(cell)[1] for cell in cells)


def _merged(split: dict[str, list[str]], cells: Counter[str], separator: str) -> dict[str, list[str]]:
    """The pieces with those put together again that are never apart: an option with the separator in it."""
    while True:
        counts: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        for cell, pieces in split.items():
            counts.update(dict.fromkeys(pieces, cells[cell]))
            for pair in pairwise(pieces):
                pairs[pair] += cells[cell]
        joined = {pair for pair, count in pairs.items() if count > 1 and count == counts[pair[0]] == counts[pair[1]]}
        alone = {pair for pair in joined if any(pair == tuple(pieces) for pieces in split.values()) or len(counts) > 2}
        if not alone:
            return split
        split = {cell: _join(pieces, alone, separator) for cell, pieces in split.items()}


def _join(pieces: Sequence[str], pairs: set[tuple[str, str]], separator: str) -> list[str]:
    found: list[str] = []
    last = ""
    for piece in pieces:
        if found and (last, piece) in pairs:
            found[-1] += separator + piece
        else:
            found.append(piece)
        last = piece
    return found


def _matched(cell: str, separator: str, options: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options in a cell from its left, the longest first, and the pieces between them."""
    ordered = sorted(options, key=len, reverse=True)
    found: list[str] = []
    rest: list[str] = []
    while cell:
        option = next((o for o in ordered if cell == o or cell.startswith(o + separator)), None)
        piece, _, after = cell.partition(separator) if option is None else (option, "", cell[len(option + separator) :])
        (rest if option is None else found).append(piece)
        cell = after
    return found, rest
