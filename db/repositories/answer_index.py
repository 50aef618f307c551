"""Keeping the index of answers: which forms are behind, and a piece of one form at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Text,
    and_,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.answers import AnswerEntry, AnswerIndex
from db.models.forms import Form, FormCounter
from db.models.responses import Response
from db.repositories.answer_sql import sql_of
from db.repositories.answer_values import moment_of
from db.repositories.upsert import upsert

Entry: TypeAlias = tuple[int, str]
"""Series and value."""

_NAMES: Final = ("series", "value", "moment", "response_id")


@dataclass(frozen=True, slots=True)
class Piece:
    """Changed responses of a form that are to come to the index, and where that brings it.

    `begins` is where the index was when they were read, None before its first piece; `is_needed`: there is any news.
    """

    begins: int | None
    ends: int
    responses: Sequence[Any]
    is_needed: bool


class AnswerIndexDirectory:
    """The forms of all tenants; for unscoped units."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def behind(self, at_least: int, limit: int, after: tuple[str, str] = ("", "")) -> Sequence[tuple[str, str]]:
        """Tenant and form of those whose index is behind, in turn; forms with few responses have none."""
        same = and_(
            col(AnswerIndex.tenant_id) == col(FormCounter.tenant_id),
            col(AnswerIndex.form_id) == col(FormCounter.form_id),
        )
        there = and_(col(Form.tenant_id) == col(FormCounter.tenant_id), col(Form.id) == col(FormCounter.form_id))
        is_large: ColumnElement[bool] = col(FormCounter.responses) >= at_least
        tenant, form = after
        beyond = or_(
            col(FormCounter.tenant_id) > tenant,
            and_(col(FormCounter.tenant_id) == tenant, col(FormCounter.form_id) > form),
        )
        statement = (
            select(col(FormCounter.tenant_id), col(FormCounter.form_id))
            .join(AnswerIndex, same, isouter=True)
            .join(Form, there)
            .where(
                col(Form.deleted_at).is_(None),
                beyond,
                or_(
                    and_(col(AnswerIndex.change).is_(None), is_large),
                    col(AnswerIndex.change) < col(FormCounter.changes),
                ),
            )
            .order_by(col(FormCounter.tenant_id), col(FormCounter.form_id))
            .limit(limit)
        )
        return [(tenant_id, form_id) for tenant_id, form_id in await self._session.execute(statement)]


class AnswerIndexRepository:
    """The index of one form. Entries and position move in one transaction: a crash loses or doubles nothing."""

    def __init__(self, session: AsyncSession, tenant_id: str, form_id: str, rules: str) -> None:
        """`rules` name what is looked for in answers; what was found by others is forgotten."""
        self._session = session
        self._tenant_id = tenant_id
        self._form_id = form_id
        self._rules = rules

    async def read(self, limit: int, *, up_to_version: int) -> Piece:
        """The next piece, of at most `limit` responses; it ends before one to a later version of the form."""
        index = (await self._session.execute(self._position())).one_or_none()
        begins = None if index is None else index.change
        is_trusted = index is not None and index.rules == self._rules
        start = index.change if index is not None and is_trusted else 0
        # Read first: whatever comes after it has a higher number.
        counter = select(col(FormCounter.changes)).where(
            col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == self._form_id
        )
        changes = await self._session.scalar(counter) or 0
        changed = (await self._session.execute(self._changed_after(start, limit))).all()
        rows = list(takewhile(lambda row: row.version <= up_to_version, changed))
        last = rows[-1].change if rows else start
        is_end = len(rows) == len(changed) < limit
        ends = max(changes, last) if is_end else last
        return Piece(begins, ends, rows, ends != begins or not is_trusted)

    async def write(self, piece: Piece, entries: Mapping[str, Iterable[Entry]]) -> bool:
        """Put a piece into the index, with the entries of its responses by their ids. False: somebody else did."""
        if not await self._take(piece):
            return False
        if piece.responses:
            await self._forget([row.id for row in piece.responses])
            added = [
                (series, value, moment_of(row.submitted_at), row.id)
                for row in piece.responses
                for series, value in entries.get(row.id, ())
            ]
            await self._add(added)
        return True

    async def _take(self, piece: Piece) -> bool:
        """Move the position, if it is where it was; nobody else moves it until the commit."""
        mine = {"tenant_id": self._tenant_id, "form_id": self._form_id}
        if piece.begins is None:
            made = upsert(self._session, AnswerIndex).values(**mine, change=piece.ends, rules=self._rules)
            statement: Any = made.on_conflict_do_nothing().returning(col(AnswerIndex.change))
        else:
            moved = update(AnswerIndex).where(*self._is_mine(), col(AnswerIndex.change) == piece.begins)
            statement = moved.values(change=piece.ends, rules=self._rules).returning(col(AnswerIndex.change))
        options = {"synchronize_session": False}
        return (await self._session.execute(statement, execution_options=options)).first() is not None

    def _position(self) -> Any:
        return select(col(AnswerIndex.change), col(AnswerIndex.rules)).where(*self._is_mine())

    def _is_mine(self) -> tuple[ColumnElement[bool], ...]:
        return col(AnswerIndex.tenant_id) == self._tenant_id, col(AnswerIndex.form_id) == self._form_id

    async def distrust(self) -> None:
        """Have the index made anew, unless it was made by these rules."""
        await self._session.execute(
            update(AnswerIndex)
            .where(*self._is_mine(), col(AnswerIndex.rules) != self._rules)
            .values(change=0, rules=self._rules)
            .execution_options(synchronize_session=False)
        )

    def _changed_after(self, change: int, limit: int) -> Any:
        columns: tuple[Any, ...] = (Response.id, Response.version, Response.change, Response.answers)
        columns += (Response.submitted_at, Response.deleted_at, Response.status)
        return (
            select(*(col(column) for column in columns))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == self._form_id,
                col(Response.change) > change,
            )
            .order_by(col(Response.change))
            .limit(limit)
        )

    async def _forget(self, ids: Sequence[str]) -> None:
        sql = sql_of(self._session.get_bind().dialect.name)
        mine = col(AnswerEntry.tenant_id) == self._tenant_id
        await self._session.execute(
            delete(AnswerEntry)
            .where(mine, sql.is_in(col(AnswerEntry.response_id), ids))
            .execution_options(synchronize_session=False)
        )

    async def _add(self, entries: Sequence[tuple[int, str, int, str]]) -> None:
        if not entries:
            return
        # In the order of the key: neighbours share pages.
        entries = sorted(entries)
        connection = await self._session.connection()
        if connection.dialect.name == "sqlite":
            rows = [{"tenant_id": self._tenant_id, **dict(zip(_NAMES, entry, strict=True))} for entry in entries]
            await connection.execute(insert(AnswerEntry), rows)
            return
        types = (BigInteger, Text, BigInteger, Text)
        columns = [
            func.unnest(cast([entry[place] for entry in entries], ARRAY(type_))) for place, type_ in enumerate(types)
        ]
        rows_of_arrays = select(literal(self._tenant_id), *columns)
        await connection.execute(insert(AnswerEntry).from_select(["tenant_id", *_NAMES], rows_of_arrays))
