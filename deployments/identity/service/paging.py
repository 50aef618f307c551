"""Lists by id, one page at a time."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor

SORT: Final = "id"


class Identified(Protocol):
    """A row with an id."""

    id: str


Row = TypeVar("Row", bound=Identified)
Shown = TypeVar("Shown")


def after(cursor: str | None) -> str | None:
    """The id that the page follows. Raises Invalid for a cursor of another list."""
    return None if cursor is None else str(decode_cursor(cursor, SORT, 1)[0])


def page(rows: Sequence[Row], limit: int, show: Callable[[Row], Shown]) -> Page[Shown]:
    """A page of `limit` from rows of which one more was asked for."""
    more = encode_cursor(SORT, [rows[limit - 1].id]) if len(rows) > limit else None
    return Page(data=[show(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=more))
