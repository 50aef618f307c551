"""Pages and counts of a form's responses by any condition and order: exact, however far the index has come.

What the index knows is only where to look: each response that is returned was compared itself, and the responses that
changed since the index came to them, the tail, are compared one by one. Everything here needs a unit of one snapshot.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, Text, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from db.models.answers import AnswerIndex
from db.models.forms import FormCounter
from db.models.responses import Response
from db.repositories.answer_values import moment_of, text_of
from db.repositories.response_filters import Column, Filtering, Search
from db.repositories.response_statements import SUBMITTED_AT, Order, Source, Statements, changed_after, statements_of
from db.repositories.responses import PARTIAL

FEW: Final = 2_000
"""So many responses are read by their ids and sorted; of more, a list is followed in its order."""
LONGEST_TAIL: Final = 20_000
"""When more responses than this are not in the index yet, it is left aside, and texts cannot be searched."""
_TAIL_PIECE: Final = 1_000
_MORE: Final = 4
"""How many times as much is looked at next when what was found did not match."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the value of the order (None: there is none), time of submission, id."""

    value: str | float | None
    submitted_at: datetime
    id: str


class IndexBehind(Exception):
    """Texts cannot be searched until the index has come further."""


Found: TypeAlias = tuple[Row[Any], Position]
"""The columns of a response that were asked for, and where it is in the list."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which way to go: by `few`, the lookup that finds few; or in the order of the list.

    `through` is the number of the last change in the index that counts; None: no use is made of it. `has_tail`: later
    ones there are.
    """

    through: int | None
    has_tail: bool = False
    few: int | None = None
    tail_matches: Sequence[str] = ()

    def parameters(self) -> dict[str, Any]:
        """What statements call it."""
        return {"through": self.through, "matches": self.tail_matches}


class ResponseQueryRepository:
    """The responses of one form that are not in the trash; the form itself is somebody else's to check.

    They are given as the columns that are named, see `Filtering.picked`: an object of each would cost many times what
    is done with it.
    """

    def __init__(self, connection: AsyncConnection, tenant_id: str, form_id: str, rules: str = "") -> None:
        """`rules` are those by which the index is to be made; another one is left aside, which `is_outdated` tells."""
        self._connection = connection
        self._dialect = connection.dialect.name
        self._mine = {"tenant": tenant_id, "form": form_id}
        self._form_id = form_id
        self._rules = rules
        self.is_outdated = False

    async def page(
        self, search: Search, order: Order, after: Position | None, limit: int, columns: tuple[str, ...]
    ) -> list[Found]:
        """The next responses, at most `limit`; `id` and `submitted_at` are among the columns. Raises IndexBehind."""
        made = self._statements(search, order)
        is_walked = not isinstance(order.target, Column)
        plan = await self._plan(made, search, is_of_use=is_walked or bool(made.lookups.each))
        if not is_walked:
            return await self._stage(made, plan, order, after, limit, columns, has_value=None)
        found: list[Found] = []
        if after is None or after.value is not None:
            found = await self._stage(made, plan, order, after, limit, columns, has_value=True)
            after = None
        if len(found) < limit:
            found += await self._stage(made, plan, order, after, limit - len(found), columns, has_value=False)
        return found

    async def count(self, search: Search) -> int:
        """How many there are. Raises IndexBehind."""
        made = self._statements(search)
        plan = await self._plan(made, search, is_of_use=bool(made.lookups.each))
        parameters = plan.parameters()
        if plan.few is not None:
            ids = await self._ids(made, plan.few)
            known = await self._number(made.count("few", is_indexed=True), **parameters, ids=ids)
        elif plan.through is None or not made.lookups.is_whole:
            return await self._number(made.count("all", is_indexed=plan.through is not None), **parameters)
        else:
            known = await self._number(made.count_common(changed=False))
            if plan.has_tail:
                known -= await self._number(made.count_common(changed=True), **parameters)
        if plan.has_tail:
            known += await self._number(made.count("changed", is_indexed=True), **parameters)
        return known

    async def among(self, search: Search, ids: Sequence[str], columns: tuple[str, ...]) -> Sequence[Row[Any]]:
        """Those of these responses that match a search without words."""
        return await self._all(self._statements(search).among(columns), ids=ids)

    async def changes(self, after: int, limit: int, columns: Sequence[str]) -> Sequence[Row[Any]]:
        """Responses that changed after the change `after`, by their last change, those in the trash included."""
        picked = Filtering(self._dialect).picked(Response, columns)
        statement = changed_after().with_only_columns(*picked, maintain_column_froms=True)
        return await self._all(statement.order_by(col(Response.change)).limit(limit), through=after)

    async def last_change(self) -> int:
        """The number of the form's last change."""
        return await self._number(_LAST_CHANGE)

    async def changed_months(self, after: int) -> Sequence[str]:
        """The months, in UTC, of responses that are or were complete and changed after the change `after`."""
        at = col(Response.submitted_at)
        month: ColumnElement[str] = (
            func.substr(at, 1, 7, type_=Text)
            if self._dialect == "sqlite"
            else func.to_char(func.timezone("UTC", at), "YYYY-MM", type_=Text)
        )
        changed = changed_after().with_only_columns(month).where(col(Response.status) != PARTIAL).distinct()
        return [row[0] for row in await self._all(changed, through=after)]

    def _statements(self, search: Search, order: Order = Order()) -> Statements:  # noqa: B008 - a value
        return statements_of(self._dialect, self._form_id, search.condition, search.words, search.suspects, order)

    async def _all(self, statement: Select[Any], **parameters: Any) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement, {**self._mine, **parameters})).all()
        return rows

    async def _number(self, statement: Select[Any], **parameters: Any) -> int:
        return await self._connection.scalar(statement, {**self._mine, **parameters}) or 0

    async def _plan(self, made: Statements, search: Search, *, is_of_use: bool) -> _Plan:
        indexed = await self._indexed() if is_of_use and not search.suspects else None
        if indexed is None:
            return _Plan(None, tail_matches=await self._tail_matches(search, -1))
        through, has_tail = indexed
        matches = await self._tail_matches(search, through) if has_tail else ()
        for number in range(len(made.lookups.each)):
            if not await self._all(made.many(number), limit=FEW):
                return _Plan(through, has_tail, number, matches)
        return _Plan(through, has_tail, None, matches)

    async def _indexed(self) -> tuple[int, bool] | None:
        """How far the index is and whether there is more, unless that is not far enough to be of use."""
        row = next(iter(await self._all(_INDEXED)), None)
        self.is_outdated = row is not None and row.rules != self._rules
        if row is None or self.is_outdated or row.changes - row.change > LONGEST_TAIL:
            return None
        return row.change, row.changes > row.change

    async def _ids(self, made: Statements, lookup: int) -> list[str]:
        return [row.response_id for row in await self._all(made.ids(lookup))]

    async def _tail_matches(self, search: Search, through: int) -> Sequence[str]:
        """Ids of the responses that changed since and have the words. Raises IndexBehind when very many changed."""
        if not search.words:
            return ()
        matches: list[str] = []
        read = 0
        columns = col(Response.id), col(Response.change), col(Response.answers)
        piece = changed_after().with_only_columns(*columns).where(col(Response.deleted_at).is_(None))
        piece = piece.order_by(col(Response.change)).limit(_TAIL_PIECE)
        while True:
            rows = await self._all(piece, through=through)
            matches += [row.id for row in rows if search.has_words(row.answers)]
            read += len(rows)
            if len(rows) < _TAIL_PIECE:
                return matches
            if read >= LONGEST_TAIL:
                raise IndexBehind
            through = rows[-1].change

    async def _stage(
        self,
        made: Statements,
        plan: _Plan,
        order: Order,
        after: Position | None,
        limit: int,
        columns: tuple[str, ...],
        *,
        has_value: bool | None,
    ) -> list[Found]:
        """The next of those with a value, of those without, or (None) of all, whose value is never NULL."""
        parameters = plan.parameters()
        if after is not None:
            parameters |= _bounds(after)

        async def read(source: Source, **more: Any) -> list[Found]:
            kind = type(after.value) if after is not None else None
            statement = made.page(source, columns, plan.through is not None, has_value, kind)
            return await self._found(statement, **parameters, limit=limit, **more)

        is_walk = has_value or (order.target == SUBMITTED_AT and made.walk is not None)
        if plan.through is None or (plan.few is None and not is_walk):
            return await read("all")
        if plan.few is None:
            found = await read("walk")
        elif order.target == SUBMITTED_AT:
            found = await self._newest_of_few(made, plan.few, parameters, limit, columns)
        else:
            found = await read("few", ids=await self._ids(made, plan.few))
        if not plan.has_tail:
            return found
        return list(islice(_merged(order, found, await read("changed")), limit))

    async def _newest_of_few(
        self, made: Statements, few: int, parameters: dict[str, Any], limit: int, columns: tuple[str, ...]
    ) -> list[Found]:
        """Responses that a lookup finds, in the order of time; not many more are read than a page takes."""
        found: list[Found] = []
        piece = limit
        while len(found) < limit:
            statement = made.places(few, is_after="after_id" in parameters)
            places = await self._all(statement, **parameters, limit=piece)
            ids = [place.response_id for place in places]
            statement = made.page("few", columns, is_indexed=True)
            found += await self._found(statement, **parameters, ids=ids, limit=limit - len(found))
            if len(places) < piece:
                break
            parameters = parameters | {"after_moment": places[-1].moment, "after_id": ids[-1]}
            piece *= _MORE
        return found

    async def _found(self, statement: Select[Any], **parameters: Any) -> list[Found]:
        rows = await self._all(statement, **parameters)
        # With these columns a row is its own position.
        return list(zip(rows, rows, strict=True))  # type: ignore[arg-type]


_LAST_CHANGE: Final = select(col(FormCounter.changes)).where(
    col(FormCounter.tenant_id) == bindparam("tenant"), col(FormCounter.form_id) == bindparam("form")
)
_INDEXED: Final = _LAST_CHANGE.join(
    AnswerIndex,
    and_(
        col(AnswerIndex.tenant_id) == col(FormCounter.tenant_id), col(AnswerIndex.form_id) == col(FormCounter.form_id)
    ),
).add_columns(col(AnswerIndex.change), col(AnswerIndex.rules))


def _bounds(position: Position) -> dict[str, Any]:
    """What statements call a position, which may be a row."""
    return {
        "after_value": position.value,
        "after_text": text_of("" if position.value is None else position.value),
        "after_at": position.submitted_at,
        "after_moment": moment_of(position.submitted_at),
        "after_id": position.id,
    }


def _merged(order: Order, *sorted_rows: list[Found]) -> Iterator[Found]:
    # Of one stage either all have a value or none has.
    def key(row: Found) -> tuple[Any, datetime, str]:
        position = row[1]
        return ("" if position.value is None else position.value, position.submitted_at, position.id)

    return heapq.merge(*sorted_rows, key=key, reverse=order.descending)
