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

from sqlalchemy import (
    JSON,
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    intersect,
    literal,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.models.answers import AnswerEntry, AnswerIndex
from db.models.forms import FormCounter
from db.models.responses import Response
from db.repositories.answer_values import moment_of, series_of, text_of
from db.repositories.response_filters import (
    Answer,
    Column,
    Filtering,
    Lookup,
    Mark,
    Search,
    Target,
    lookups,
)
from db.repositories.responses import PARTIAL, QUARANTINED
from db.types import UTCDateTime

FEW: Final = 2_000
"""So many responses are read by their ids and sorted; of more, a list is followed in its order."""
LONGEST_TAIL: Final = 20_000
"""When more responses than this are not in the index yet, it is left aside, and texts cannot be searched."""
_TAIL_PIECE: Final = 1_000

SUBMITTED_AT: Final = Column("submitted_at")


@dataclass(frozen=True, slots=True)
class Order:
    """By a value, then by time of submission and id, all in one direction; what has no value comes last."""

    target: Target = SUBMITTED_AT
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the value of the order (None: there is none), time of submission, id."""

    value: str | float | None
    submitted_at: datetime
    id: str


class IndexBehind(Exception):
    """Texts cannot be searched until the index has come further."""


Found: TypeAlias = tuple[Any, Position]
"""A response, or the columns of one that were asked for."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which way to go: `ids` (few responses), `walk` (entries in the order of time), or else all in their order.

    `through` is the number of the last change in the index that counts; None: no use is made of it.
    """

    through: int | None
    ids: Sequence[str] | None = None
    walk: Lookup | None = None
    tail_matches: Sequence[str] | None = None


class ResponseQueryRepository:
    """The responses of one form that are not in the trash; the form itself is somebody else's to check."""

    def __init__(self, session: AsyncSession, tenant_id: str, form_id: str, rules: str = "") -> None:
        """`rules` are those by which the index is to be made; another one is left aside, which `is_outdated` tells."""
        self._session = session
        self._tenant_id = tenant_id
        self._form_id = form_id
        self._rules = rules
        self._filtering = Filtering(session)
        self.is_outdated = False
        self._columns: Sequence[str] | None = None

    async def plain(
        self, search: Search, order: Order, after: Position | None, limit: int, columns: Sequence[str]
    ) -> list[tuple[Row[Any], Position]]:
        """As `page`, with the named columns only, documents as the JSON text of them, and what a response has beside
        them (`Filtering.beside`). Raises IndexBehind.

        An object of each response would cost many times what is done with it when there are millions.
        """
        self._columns = columns
        try:
            return await self.page(search, order, after, limit)
        finally:
            self._columns = None

    async def page(self, search: Search, order: Order, after: Position | None, limit: int) -> list[Found]:
        """The next responses, at most `limit`. Raises IndexBehind."""
        plan = await self._plan(search)
        if isinstance(order.target, Column):
            return await self._stage(plan, search, order, after, limit, has_value=None)
        found: list[Found] = []
        if after is None or after.value is not None:
            found = await self._stage(plan, search, order, after, limit, has_value=True)
            after = None
        if len(found) < limit:
            found += await self._stage(plan, search, order, after, limit - len(found), has_value=False)
        return found

    async def count(self, search: Search) -> int:
        """How many there are. Raises IndexBehind."""
        plan = await self._plan(search)
        if plan.through is None:
            return await self._count(self._mine(plan, search, Response))
        if plan.ids is not None:
            known = await self._count(self._few_of(plan, search, plan.ids))
            return known + await self._count_tail(plan, search)
        found = lookups(self._form_id, search)
        if not found.is_whole:
            return await self._count(self._mine(plan, search, Response))
        every = [self._entries(each).with_only_columns(col(AnswerEntry.response_id)) for each in found.each]
        changed = self._changed(plan).with_only_columns(col(Response.id))
        known = await self._count_common(every) - await self._count_common([*every, changed])
        return known + await self._count_tail(plan, search)

    async def among(self, search: Search, ids: Sequence[str]) -> Sequence[Response]:
        """Those of these responses that match a search without words."""
        statement = self._mine(_Plan(None), search, Response, by_id=True)
        return (await self._session.scalars(statement.where(self._filtering.is_in(col(Response.id), ids)))).all()

    async def changes(self, after: int, limit: int) -> Sequence[Response]:
        """Responses that changed after the change `after`, by their last change, those in the trash included."""
        statement = self._changed_after(after).order_by(col(Response.change)).limit(limit)
        return (await self._session.scalars(statement)).all()

    async def changed_plain(self, after: int, limit: int, columns: Sequence[str]) -> Sequence[Row[Any]]:
        """As `changes`, with the named columns only, documents as the JSON text of them."""
        picked = self._picked(Response, columns)
        statement = self._changed_after(after).with_only_columns(*picked, maintain_column_froms=True)
        statement = statement.order_by(col(Response.change)).limit(limit)
        return (await (await self._session.connection()).execute(statement)).all()

    async def last_change(self) -> int:
        """The number of the form's last change."""
        mine = col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == self._form_id
        return await self._session.scalar(select(col(FormCounter.changes)).where(*mine)) or 0

    async def changed_months(self, after: int) -> Sequence[str]:
        """The months, in UTC, of responses that are or were complete and changed after the change `after`."""
        at = col(Response.submitted_at)
        month: ColumnElement[str] = (
            func.substr(at, 1, 7, type_=Text)
            if self._filtering.is_sqlite
            else func.to_char(func.timezone("UTC", at), "YYYY-MM", type_=Text)
        )
        changed = self._changed_after(after).with_only_columns(month).distinct()
        return (await self._session.scalars(changed.where(col(Response.status) != PARTIAL))).all()

    async def _plan(self, search: Search) -> _Plan:
        through = None if search.suspects else await self._indexed()
        if through is None:
            matches = await self._tail_matches(search, -1) if search.words else None
            return _Plan(None, tail_matches=matches)
        matches = await self._tail_matches(search, through) if search.words else None
        found = lookups(self._form_id, search)
        for each in found.each:
            ids = await self._few(each)
            if ids is not None:
                return _Plan(through, ids=ids, tail_matches=matches)
        return _Plan(through, walk=next((each for each in found.each if each.is_one), None), tail_matches=matches)

    async def _indexed(self) -> int | None:
        """How far the index is, unless that is not far enough to be of use."""
        mine = col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == self._form_id
        same = and_(
            col(AnswerIndex.tenant_id) == col(FormCounter.tenant_id),
            col(AnswerIndex.form_id) == col(FormCounter.form_id),
        )
        statement = select(col(FormCounter.changes), col(AnswerIndex.change), col(AnswerIndex.rules))
        row = (await self._session.execute(statement.join(AnswerIndex, same).where(*mine))).one_or_none()
        self.is_outdated = row is not None and row.rules != self._rules
        if row is None or self.is_outdated or row.changes - row.change > LONGEST_TAIL:
            return None
        return int(row.change)

    def _entries(self, found: Lookup) -> Select[Any]:
        return select(AnswerEntry).where(col(AnswerEntry.tenant_id) == self._tenant_id, found.entries)

    async def _few(self, found: Lookup) -> list[str] | None:
        """The ids of a lookup, unless they are many."""
        statement = self._entries(found).with_only_columns(col(AnswerEntry.response_id))
        ids = (await self._session.scalars(statement.limit(FEW + 1))).all()
        return list(set(ids)) if len(ids) <= FEW else None

    async def _tail_matches(self, search: Search, through: int) -> list[str]:
        """Ids of the responses that changed since and have the words. Raises IndexBehind when very many changed."""
        matches: list[str] = []
        read = 0
        columns = col(Response.id), col(Response.change), col(Response.answers)
        while True:
            piece = self._changed_after(through).with_only_columns(*columns).where(col(Response.deleted_at).is_(None))
            rows = (await self._session.execute(piece.order_by(col(Response.change)).limit(_TAIL_PIECE))).all()
            matches += [row.id for row in rows if search.has_words(row.answers)]
            read += len(rows)
            if len(rows) < _TAIL_PIECE:
                return matches
            if read >= LONGEST_TAIL:
                raise IndexBehind
            through = rows[-1].change

    async def _stage(
        self, plan: _Plan, search: Search, order: Order, after: Position | None, limit: int, *, has_value: bool | None
    ) -> list[Found]:
        """The next of those with a value, of those without, or (None) of all, whose value is never NULL."""
        walk = self._walk(plan, order, has_value)
        if plan.through is None or (plan.ids is None and walk is None):
            statement = self._mine(plan, search, Response)
            return await self._ordered(statement, Response, order, after, limit, has_value)
        if plan.ids is None and walk is not None:
            found = await self._walked(plan, search, walk, order, after, limit)
        else:
            statement = self._few_of(plan, search, plan.ids or ())
            found = await self._ordered(statement, Response, order, after, limit, has_value)
        changed = aliased(Response, self._changed(plan).cte("changed").prefix_with("MATERIALIZED"))
        tail = await self._ordered(self._mine(plan, search, changed), changed, order, after, limit, has_value)
        return list(islice(_merged(order, found, tail), limit))

    def _walk(self, plan: _Plan, order: Order, has_value: bool | None) -> ColumnElement[bool] | None:
        """The entries to follow, when the order of the list is theirs."""
        if isinstance(order.target, Answer | Mark) and has_value:
            return col(AnswerEntry.series) == series_of(self._form_id, order.target.key, order.target.kind)
        if order.target == SUBMITTED_AT and plan.walk is not None:
            return plan.walk.entries
        return None

    async def _walked(
        self, plan: _Plan, search: Search, walk: ColumnElement[bool], order: Order, after: Position | None, limit: int
    ) -> list[Found]:
        """Responses in the order of their entries."""
        keys: list[Any] = [col(AnswerEntry.moment), col(AnswerEntry.response_id)]
        bounds: list[Any] = [] if after is None else [literal(moment_of(after.submitted_at)), literal(after.id)]
        if order.target != SUBMITTED_AT:
            keys.insert(0, col(AnswerEntry.value))
            bounds = [] if after is None else [literal(text_of("" if after.value is None else after.value)), *bounds]
        row, is_its = self._response_of_entry()
        statement = self._mine(plan, search, row, by_id=True).where(self._is_known(plan, row, by_id=True))
        statement = statement.select_from(AnswerEntry).join(row, is_its)
        statement = statement.where(col(AnswerEntry.tenant_id) == self._tenant_id, walk)
        if bounds:
            statement = statement.where(_beyond(keys, bounds, order.descending))
        statement = statement.order_by(*(key.desc() if order.descending else key for key in keys)).limit(limit)
        return await self._rows(statement, row, order)

    def _response_of_entry(self) -> tuple[Any, Any]:
        """The response of an entry, and how to join it."""
        same = and_(col(Response.tenant_id) == self._tenant_id, col(Response.id) == col(AnswerEntry.response_id))
        if self._filtering.is_sqlite:
            return Response, same
        # One by one, in the order of the entries: PostgreSQL would misjudge how many there are, and join them all.
        each = select(Response).where(same).offset(0).correlate(AnswerEntry).lateral()
        return aliased(Response, each), true()

    async def _ordered(
        self,
        statement: Select[Any],
        row: Any,
        order: Order,
        after: Position | None,
        limit: int,
        has_value: bool | None,
    ) -> list[Found]:
        keys: list[Any] = [row.submitted_at, row.id]
        bounds: list[Any] = []
        if after is not None:
            bounds = [bindparam(None, after.submitted_at, type_=UTCDateTime(), unique=True), literal(after.id)]
        if order.target != SUBMITTED_AT:
            value = self._filtering.sort_value(order.target, row)
            if has_value is not None:
                statement = statement.where(value.is_not(None) if has_value else value.is_(None))
            if has_value is not False:
                keys.insert(0, value)
                bounds = [] if after is None else [literal(after.value), *bounds]
        if bounds:
            statement = statement.where(_beyond(keys, bounds, order.descending))
        statement = statement.order_by(*(key.desc() if order.descending else key for key in keys)).limit(limit)
        return await self._rows(statement, row, order)

    async def _rows(self, statement: Select[Any], row: Any, order: Order) -> list[Found]:
        value = literal(None) if order.target == SUBMITTED_AT else self._filtering.sort_value(order.target, row)
        # As a position has it: what is read plainly is its own position.
        value = value.label("value")
        if self._columns is not None:
            picked = self._picked(row, self._columns)
            statement = statement.with_only_columns(*picked, value, maintain_column_froms=True)
            plain = (await (await self._session.connection()).execute(statement)).all()
            return list(zip(plain, plain, strict=True))  # type: ignore[arg-type]
        rows = (await self._session.execute(statement.add_columns(value))).all()
        return [(found, Position(value, found.submitted_at, found.id)) for found, value in rows]

    def _picked(self, row: Any, columns: Sequence[str]) -> list[Any]:
        beside = self._filtering.beside(row)
        return [(beside[name] if name in beside else self._text_of(getattr(row, name))).label(name) for name in columns]

    def _text_of(self, column: Any) -> Any:
        if not isinstance(column.type, JSON):
            return column
        return type_coerce(column, Text) if self._filtering.is_sqlite else cast(column, Text)

    def _mine(self, plan: _Plan, search: Search, row: Any, *, by_id: bool = False) -> Select[Any]:
        """The responses that match, by reading each of them.

        `by_id`: they are found by their ids. As expressions the other columns keep SQLite from beginning with them.
        """
        statement = select(row).where(
            row.tenant_id == self._tenant_id,
            (row.form_id.concat("") if by_id else row.form_id) == self._form_id,
            row.deleted_at.is_(None),
            self._filtering.condition(search.condition, row),
        )
        if not search.suspects:
            statement = statement.where(row.status != QUARANTINED)
        if not search.words:
            return statement
        has_words: ColumnElement[bool] = self._filtering.is_in(row.id, plan.tail_matches or [])
        if plan.through is not None:
            has_words = or_(has_words, and_(self._is_known(plan, row), *self._indexed_words(search, row)))
        return statement.where(has_words)

    def _indexed_words(self, search: Search, row: Any) -> list[ColumnElement[bool]]:
        return [self._filtering.has_indexed(self._form_id, word, row) for word in search.words]

    def _few_of(self, plan: _Plan, search: Search, ids: Sequence[str]) -> Select[Any]:
        """Those of the ids that match and have not changed since."""
        statement = self._mine(plan, search, Response, by_id=True).where(self._is_known(plan, Response, by_id=True))
        return statement.where(self._filtering.is_in(col(Response.id), ids))

    def _is_known(self, plan: _Plan, row: Any, *, by_id: bool = False) -> ColumnElement[bool]:
        if plan.through is None:
            return false()
        known: ColumnElement[bool] = (row.change + 0 if by_id else row.change) <= plan.through
        return known

    def _changed(self, plan: _Plan) -> Select[Any]:
        return self._changed_after(plan.through or 0)

    def _changed_after(self, change: int) -> Select[Any]:
        return select(Response).where(
            col(Response.tenant_id) == self._tenant_id,
            col(Response.form_id) == self._form_id,
            col(Response.change) > change,
        )

    async def _count(self, statement: Select[Any]) -> int:
        counted = statement.with_only_columns(func.count())
        return await self._session.scalar(counted) or 0

    async def _count_common(self, ids: Sequence[Select[Any]]) -> int:
        """How many ids are in all of them; as sets, since a planner that expects few would look up each of many."""
        common = ids[0].subquery() if len(ids) == 1 else intersect(*ids).subquery()
        return await self._session.scalar(select(func.count()).select_from(common)) or 0

    async def _count_tail(self, plan: _Plan, search: Search) -> int:
        return await self._count(self._mine(plan, search, Response).where(col(Response.change) > (plan.through or 0)))


def _beyond(keys: Sequence[Any], bounds: Sequence[Any], descending: bool) -> ColumnElement[bool]:
    left, right = tuple_(*keys), tuple_(*bounds)
    return left < right if descending else left > right


def _merged(order: Order, *sorted_rows: list[Found]) -> Iterator[Found]:
    # Of one stage either all have a value or none has.
    def key(row: Found) -> tuple[Any, datetime, str]:
        position = row[1]
        return ("" if position.value is None else position.value, position.submitted_at, position.id)

    return heapq.merge(*sorted_rows, key=key, reverse=order.descending)
