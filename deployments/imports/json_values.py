"""JSON from strangers, value by value: any number of them in bounded memory, each of a bounded size.

A file may hold one value, several one after another (JSON lines, or files put together), or an array of them.
"""

from collections.abc import Iterator
from typing import IO, Any, Final

import ijson  # type: ignore[import-untyped]

from deployments.imports.errors import FileUnreadable

MAX_DEPTH: Final = 64
MAX_NODES: Final = 400_000
"""The most numbers, texts, names, lists and objects of one value."""

MAX_CHARACTERS: Final = 16 << 20
"""The most characters of one value's texts and names."""

MAX_TOKEN: Final = 10 << 20
"""The most bytes without a complete text or number among them."""

_BOM: Final = b"\xef\xbb\xbf"
_OPENING: Final = frozenset(("start_map", "start_array"))
_CLOSING: Final = frozenset(("end_map", "end_array"))


def read_values(file: IO[bytes], units: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """The values at the places `units`, with their places, as they end; what encloses them comes without them.

    A place is a path of names with `item` for what is in an array; '' is a value that the file has by itself, and an
    array that the file has by itself is only its items, `item`. Raises FileUnreadable for what is not JSON in
    UTF-8, a name twice in one object, and what is too deep or too large.
    """
    gate = _Gate(file)
    building: list[_Value] = []
    try:
        for prefix, event, value in ijson.parse(gate, multiple_values=True, use_float=True):
            gate.waiting = 0
            begins = event not in _CLOSING and event != "map_key" and prefix in units
            if begins and not (prefix == "" and event == "start_array" and "item" in units):
                building.append(_Value(prefix))
            if building and building[-1].add(event, value):
                done = building.pop()
                yield done.prefix, done.root
    except (ijson.JSONError, UnicodeDecodeError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileUnreadable(f"The file is not JSON: {reason}") from error


class _Gate:
    """The file without a byte order mark; refuses to go on when nothing comes of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        self._file = file
        self.waiting = 0

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self.waiting += len(piece)
        if self.waiting > MAX_TOKEN:
            raise FileUnreadable(f"A text in the file has more than {MAX_TOKEN} bytes.")
        return piece


class _Value:
    """A value in the making."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.root: Any = None
        self._open: list[Any] = []
        self._keys: list[str] = []
        self._nodes = 0
        self._characters = 0

    def add(self, event: str, value: Any) -> bool:
        """Take an event; whether the value is complete now."""
        self._nodes += 1
        if isinstance(value, str):
            self._characters += len(value)
        if self._nodes > MAX_NODES or self._characters > MAX_CHARACTERS:
            raise FileUnreadable("A value in the file is too large: one form or one response must be smaller.")
        if event == "map_key":
            if value in self._open[-1]:
                raise FileUnreadable(f"The name '{value[:100]}' comes twice in one object.")
            self._keys[-1] = value
            self._open[-1][value] = None
            return False
        if event in _CLOSING:
            self._open.pop()
            self._keys.pop()
            return not self._open
        opened: Any = {} if event == "start_map" else [] if event == "start_array" else value
        self._put(opened)
        if event in _OPENING:
            if len(self._open) == MAX_DEPTH:
                raise FileUnreadable(f"The file is nested more than {MAX_DEPTH} deep.")
            self._open.append(opened)
            self._keys.append("")
        return not self._open

    def _put(self, value: Any) -> None:
        if not self._open:
            self.root = value
        elif isinstance(self._open[-1], dict):
            self._open[-1][self._keys[-1]] = value
        else:
            self._open[-1].append(value)
