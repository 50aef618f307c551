"""Keeping the index of answers: which forms are behind, and a piece of one form at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, and_, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.answers import AnswerIndex
from db.models.forms import Form, FormCounter
from db.models.responses import Response
from db.repositories.response_filters import Filtering
from db.repositories.upsert import upsert

Entry: TypeAlias = tuple[int, str, int, str]
"""Series, value, moment and response: an entry as it is stored."""

_NAMES: Final = ("series", "value", "moment", "response_id")

_ADD_SQLITE: Final = "INSERT INTO answer_entry (tenant_id, series, value, moment, response_id) VALUES (?, ?, ?, ?, ?)"
_FORGET_SQLITE: Final = "DELETE FROM answer_entry WHERE tenant_id = ? AND response_id = ?"
# Each column as one text: the driver takes as long for the elements of an array as PostgreSQL does to store them.
_ADD: Final = text(
    """INSERT INTO answer_entry (tenant_id, series, value, moment, response_id) SELECT :tenant,
    unnest(string_to_array(:series, :separator)::bigint[]), unnest(string_to_array(:value, :separator)),
    unnest(string_to_array(:moment, :separator)::bigint[]), unnest(string_to_array(:response_id, :separator))"""
)
# One look-up for each response: a planner without statistics reads the whole index of the tenant.
_FORGET: Final = text(
    """DELETE FROM answer_entry WHERE ctid = ANY (ARRAY(
    SELECT found.ctid FROM unnest(string_to_array(:ids, ',')) AS wanted (id), LATERAL (
        SELECT ctid FROM answer_entry WHERE tenant_id = :tenant AND response_id = wanted.id OFFSET 0
    ) AS found))"""
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Changed responses of a form that are to come to the index, and where that brings it.

    `begins` is where the index was when they were read, None before its first piece; `is_needed`: there is any news.
    `changes` is the number of the form's last change.
    """

    begins: int | None
    ends: int
    responses: Sequence[Any]
    is_needed: bool
    changes: int


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
        return Piece(begins, ends, rows, ends != begins or not is_trusted, changes)

    async def write(self, piece: Piece, entries: Sequence[Entry]) -> bool:
        """Put a piece into the index, with the entries of its responses. False: somebody else did.

        In the order of the key the entries are written fastest, because neighbours share pages.
        """
        if not await self._take(piece):
            return False
        if piece.responses:
            kept = await self._kept(piece)
            await self._forget([row.id for row in piece.responses])
            await self._add(
                entries if len(kept) == len(piece.responses) else [entry for entry in entries if entry[3] in kept]
            )
        return True

    async def _kept(self, piece: Piece) -> set[str]:
        """Those of the responses that are as they were read, and are not deleted until the commit.

        What has changed since comes again. Entries have no foreign key, because checking it for each of them takes as
        long as writing it does; whoever deletes a response waits for this lock and then has its entries deleted.
        """
        changes = [row.change for row in piece.responses]
        statement = (
            select(col(Response.id))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == self._form_id,
                col(Response.change).between(changes[0], changes[-1]),
            )
            .order_by(col(Response.id))
            .with_for_update(read=True, key_share=True)
        )
        return set((await self._session.scalars(statement)).all())

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
        columns: list[Any] = [Response.id, Response.version, Response.change, Response.answers, Response.submitted_at]
        columns += [Response.deleted_at, Response.status, Response.review, Response.assignee]
        columns += [Response.inference]
        beside = Filtering(self._session.get_bind().dialect.name).beside(Response)
        columns += [value.label(name) for name, value in beside.items()]
        return (
            select(*columns)
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == self._form_id,
                col(Response.change) > change,
            )
            .order_by(col(Response.change))
            .limit(limit)
        )

    async def _forget(self, ids: Sequence[str]) -> None:
        connection = await self._session.connection()
        if connection.dialect.name == "sqlite":
            await connection.exec_driver_sql(_FORGET_SQLITE, [(self._tenant_id, response_id) for response_id in ids])
        else:
            await connection.execute(_FORGET, {"tenant": self._tenant_id, "ids": ",".join(ids)})

    async def _add(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        connection = await self._session.connection()
        if connection.dialect.name == "sqlite":
            rows = [(self._tenant_id, *entry) for entry in entries]
            await connection.exec_driver_sql(_ADD_SQLITE, rows)
            return
        columns = {name: [str(entry[place]) for entry in entries] for place, name in enumerate(_NAMES)}
        together = "".join(columns["value"])
        separator = next(sign for sign in map(chr, range(1, 0xD800)) if sign not in together)
        texts = {name: separator.join(values) for name, values in columns.items()}
        await connection.execute(_ADD, {"tenant": self._tenant_id, "separator": separator, **texts})
