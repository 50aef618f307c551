"""What could not be carried over as it was: each with its place, a stable code and a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

MAX_NOTICES: Final = 1_000
"""The most notices that are kept; all are counted."""

_MAX_WHERE: Final = 200
_MAX_DETAIL: Final = 2_500


@dataclass(frozen=True, slots=True)
class Notice:
    """`where` is a place in the source: a JSON pointer, a sheet with its row, a question, or '' for the whole file."""

    where: str
    code: str
    detail: str

    def document(self) -> dict[str, str]:
        return {"where": self.where, "code": self.code, "detail": self.detail}


@dataclass(slots=True)
class Notices:
    """Collects notices; the same one twice is one. `total` counts all, whatever is kept."""

    total: int = 0
    _kept: dict[Notice, None] = field(default_factory=dict)

    def add(self, where: str, code: str, detail: str) -> None:
        notice = Notice(where[:_MAX_WHERE], code, detail[:_MAX_DETAIL])
        if notice in self._kept:
            return
        self.total += 1
        if len(self._kept) < MAX_NOTICES:
            self._kept[notice] = None

    def __iter__(self) -> Iterator[Notice]:
        return iter(self._kept)

    def documents(self) -> list[dict[str, Any]]:
        return [notice.document() for notice in self._kept]
