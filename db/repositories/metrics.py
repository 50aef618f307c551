"""Queries on live figures: what is counted, what of it is behind, and views."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from db.models.forms import Form, FormCounter
from db.models.metrics import FormView, MetricCount, MetricPart, MetricState, ViewHandover
from db.models.responses import Response
from db.repositories.upsert import upsert

_KEY: Final = ("tenant_id", "form_id", "generation")
_ADD_SQLITE: Final = """INSERT INTO metric_count (tenant_id, form_id, generation, moment, name, count)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, form_id, generation, moment, name) DO UPDATE SET count = count + excluded.count"""
# In one order, and each column as one text: see the index of answers.
_ADD: Final = text(
    """INSERT INTO metric_count (tenant_id, form_id, generation, moment, name, count)
    SELECT :tenant, :form, :generation, unnest(string_to_array(:moments, ',')::bigint[]),
        unnest(string_to_array(:names, ' ')), unnest(string_to_array(:counts, ',')::bigint[])
    ON CONFLICT (tenant_id, form_id, generation, moment, name)
    DO UPDATE SET count = metric_count.count + excluded.count"""
)
_NO_SYNC: Final = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class MetricPiece:
    """Changed responses of a form that are to be counted, with what they added before, and where that brings it.

    `begins` is where the figures were when they were read; `changes` is the number of the form's last change.
    """

    generation: int
    begins: int
    ends: int
    changes: int
    sums: Mapping[str, Any]
    responses: Sequence[Any]
    earlier: Mapping[str, bytes]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to write."""
        return self.ends != self.begins


class MetricDirectory:
    """The figures of all tenants; for unscoped units."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def behind(self, rules: int, limit: int, after: tuple[str, str] = ("", "")) -> Sequence[tuple[str, str]]:
        """Tenant and form of those whose figures are behind, are counted anew, or by other `rules`; in turn."""
        tenant, form = col(FormCounter.tenant_id), col(FormCounter.form_id)
        same = and_(col(MetricState.tenant_id) == tenant, col(MetricState.form_id) == form)
        statement = (
            select(tenant, form)
            .join(Form, and_(col(Form.tenant_id) == tenant, col(Form.id) == form))
            .outerjoin(MetricState, same)
            .where(
                col(Form.deleted_at).is_(None),
                col(FormCounter.changes) > 0,
                or_(tenant > after[0], and_(tenant == after[0], form > after[1])),
                or_(
                    col(MetricState.change).is_(None),
                    col(MetricState.change) < col(FormCounter.changes),
                    col(MetricState.is_shown).is_(False),
                    col(MetricState.rules) != rules,
                ),
            )
            .group_by(tenant, form)
            .order_by(tenant, form)
            .limit(limit)
        )
        return [(tenant_id, form_id) for tenant_id, form_id in await self._session.execute(statement)]

    async def answered(
        self, limit: int, after: tuple[str, str], tenant_id: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """Tenant and form of those that were ever answered and are not in the trash, in turn."""
        tenant, form = col(FormCounter.tenant_id), col(FormCounter.form_id)
        statement = (
            select(tenant, form)
            .join(Form, and_(col(Form.tenant_id) == tenant, col(Form.id) == form))
            .where(col(Form.deleted_at).is_(None), col(FormCounter.changes) > 0, tuple_(tenant, form) > after)
            .order_by(tenant, form)
            .limit(limit)
        )
        if tenant_id is not None:
            statement = statement.where(tenant == tenant_id)
        return [(found, form_id) for found, form_id in await self._session.execute(statement)]

    async def hand_over(
        self, edge: str, number: int, views: Sequence[tuple[str, str, int, int]], now: datetime, forget: datetime
    ) -> int:
        """Count views, as tenant, form, moment and how many, unless this batch of the edge was counted; how many were.

        What forms that are gone had is left out. Edges that were not heard of since `forget` are forgotten.
        """
        counted = 0
        by_tenant: dict[str, list[tuple[str, int, int]]] = {}
        for tenant_id, form_id, moment, count in views:
            by_tenant.setdefault(tenant_id, []).append((form_id, moment, count))
        for tenant_id in sorted(by_tenant):
            here = sorted(by_tenant[tenant_id])
            there = await self._there(tenant_id, {form_id for form_id, _, _ in here})
            here = [row for row in here if row[0] in there]
            if here and await self._take(tenant_id, edge, number, now, forget):
                rows = [
                    {"tenant_id": tenant_id, "form_id": form_id, "moment": moment, "views": count}
                    for form_id, moment, count in here
                ]
                insert = upsert(self._session, FormView)
                both = insert.on_conflict_do_update(
                    index_elements=["tenant_id", "form_id", "moment"],
                    set_={"views": col(FormView.views) + insert.excluded.views},
                )
                await (await self._session.connection()).execute(both, rows)
                counted += sum(count for _, _, count in here)
        return counted

    async def _there(self, tenant_id: str, form_ids: Collection[str]) -> set[str]:
        statement = select(col(Form.id)).where(col(Form.tenant_id) == tenant_id, col(Form.id).in_(form_ids))
        statement = statement.order_by(col(Form.id)).with_for_update(read=True, key_share=True)
        return set((await self._session.scalars(statement)).all())

    async def _take(self, tenant_id: str, edge: str, number: int, now: datetime, forget: datetime) -> bool:
        """Whether the batch comes for the first time; it does not again."""
        insert = upsert(self._session, ViewHandover).values(
            tenant_id=tenant_id, edge=edge, number=number, handed_at=now
        )
        insert = insert.on_conflict_do_update(
            index_elements=["tenant_id", "edge"],
            set_={"number": insert.excluded.number, "handed_at": insert.excluded.handed_at},
            where=col(ViewHandover.number) < insert.excluded.number,
        )
        taken = await self._session.scalar(insert.returning(col(ViewHandover.number))) is not None
        if taken and number == 1:
            gone = delete(ViewHandover).where(
                col(ViewHandover.tenant_id) == tenant_id, col(ViewHandover.handed_at) < forget
            )
            await self._session.execute(gone.execution_options(**_NO_SYNC))
        return taken


class MetricRepository:
    """The figures of one form. Counts, parts and position move in one transaction: a crash loses or doubles nothing."""

    def __init__(self, session: AsyncSession, tenant_id: str, form_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._form_id = form_id

    # Keeping.

    async def begin(self, rules: int) -> None:
        """Have figures to keep: the first, or new ones where those there are were counted by other rules."""
        rows = await self.states()
        if any(row.rules == rules for row in rows):
            return
        await self.begin_anew(rules)

    async def begin_anew(self, rules: int) -> int:
        """Begin to count anew, beside the figures that are shown; the number of the new generation. One that was begun
        before is given up."""
        rows = await self.states(for_update=True)
        generation = max((row.generation for row in rows), default=0) + 1
        values = {**self._mine(), "generation": generation, "change": 0, "rules": rules, "is_shown": not rows}
        insert = upsert(self._session, MetricState).values(**values, sums={}, current_at=None)
        await self._session.execute(insert.on_conflict_do_nothing())
        return generation

    async def states(self, *, for_update: bool = False) -> Sequence[MetricState]:
        """The generations there are, oldest first; with `for_update` nobody moves them before the commit."""
        statement = select(MetricState).where(*self._of(MetricState)).order_by(col(MetricState.generation))
        statement = statement.execution_options(populate_existing=True)
        return (await self._session.scalars(statement.with_for_update() if for_update else statement)).all()

    async def read(self, generation: int, limit: int) -> MetricPiece | None:
        """The next piece, of at most `limit` responses; None when there is no such generation."""
        state = (await self._session.execute(self._position(generation))).one_or_none()
        if state is None:
            return None
        # Read before the responses: whatever comes after it has a higher number.
        changes = await self.changes()
        columns: list[Any] = [Response.id, Response.version, Response.change, Response.status, Response.answers]
        columns += [Response.meta, Response.timings, Response.seconds, Response.started_at, Response.submitted_at]
        statement = select(*columns, col(Response.deleted_at)).where(
            *self._of(Response), col(Response.change) > state.change
        )
        rows = (await self._session.execute(statement.order_by(col(Response.change)).limit(limit))).all()
        last = rows[-1].change if rows else state.change
        ends = max(changes, last) if len(rows) < limit else last
        earlier = await self._parts(generation, [row.id for row in rows]) if state.change else {}
        return MetricPiece(generation, state.change, ends, max(changes, last), state.sums, rows, earlier)

    async def write(
        self,
        piece: MetricPiece,
        changes: Sequence[tuple[int, str, int]],
        parts: Mapping[str, bytes],
        sums: Mapping[str, Any],
        now: datetime,
    ) -> bool:
        """Count a piece: `changes` are added to the counts, `parts` are what its responses add now. False: somebody
        else did."""
        values: dict[str, Any] = {"change": piece.ends, "sums": dict(sums)}
        if piece.ends >= piece.changes:
            values["current_at"] = now
        moved = (
            update(MetricState)
            .where(*self._of(MetricState, piece.generation), col(MetricState.change) == piece.begins)
            .values(**values)
            .returning(col(MetricState.change))
        )
        if (await self._session.execute(moved, execution_options=_NO_SYNC)).first() is None:
            return False
        await self._add(piece.generation, changes)
        await self._put_parts(piece.generation, parts)
        gone = [response_id for response_id in piece.earlier if response_id not in parts]
        if gone:
            mine = (*self._of(MetricPart, piece.generation), col(MetricPart.response_id).in_(gone))
            await self._session.execute(delete(MetricPart).where(*mine), execution_options=_NO_SYNC)
        return True

    async def show(self, generation: int) -> bool:
        """Show the generation if it has come as far as the form; whether it has. Those before it are shown no more."""
        states = {row.generation: row for row in await self.states(for_update=True)}
        if generation not in states or states[generation].change < await self.changes():
            return False
        for row in states.values():
            row.is_shown = row.generation == generation
        return True

    async def forget(self, generation: int, limit: int) -> int:
        """Delete up to `limit` rows of a generation, at last its state; how many there were."""
        for table in (MetricPart, MetricCount, MetricState):
            key = list(SQLModel.metadata.tables[str(table.__tablename__)].primary_key.columns)
            theirs = self._of(table, generation)
            bound = select(*key).where(*theirs).order_by(*key).offset(limit - 1).limit(1)
            # A range of the key: a list of keys is compared with every row where PostgreSQL has no statistics yet.
            if (last := (await self._session.execute(bound)).first()) is not None:
                theirs = (*theirs, tuple_(*key) <= tuple_(*last))
            result: Any = await self._session.execute(delete(table).where(*theirs), execution_options=_NO_SYNC)
            if result.rowcount:
                return int(result.rowcount)
        return 0

    async def changes(self) -> int:
        """The number of the form's last change."""
        return await self._session.scalar(select(col(FormCounter.changes)).where(*self._of(FormCounter))) or 0

    # Reading.

    async def shown(self) -> MetricState | None:
        """The figures that are shown; None before the first are counted."""
        statement = select(MetricState).where(*self._of(MetricState), col(MetricState.is_shown).is_(True))
        return (await self._session.scalars(statement.execution_options(populate_existing=True))).first()

    async def counts(self, generation: int, moment: int) -> dict[str, int]:
        """Everything that was counted in one moment."""
        statement = select(col(MetricCount.name), col(MetricCount.count)).where(
            *self._of(MetricCount, generation), col(MetricCount.moment) == moment
        )
        return dict((await self._session.execute(statement)).all())

    async def sums_between(self, generation: int, begins: int, ends: int) -> dict[str, int]:
        """What was counted in the moments from `begins` up to, but not including, `ends`, by name."""
        statement = (
            select(col(MetricCount.name), func.sum(col(MetricCount.count)))
            .where(*self._within(generation, begins, ends))
            .group_by(col(MetricCount.name))
        )
        return {name: int(count) for name, count in await self._session.execute(statement)}

    async def counts_between(
        self, generation: int, begins: int, ends: int, prefix: str
    ) -> Sequence[tuple[int, str, int]]:
        """Moment, name and count of what begins with `prefix`, in the moments from `begins` up to `ends`."""
        statement = select(col(MetricCount.moment), col(MetricCount.name), col(MetricCount.count)).where(
            *self._within(generation, begins, ends), col(MetricCount.name).startswith(prefix, autoescape=True)
        )
        return [(moment, name, count) for moment, name, count in await self._session.execute(statement)]

    async def views(self, begins: int | None, ends: int | None) -> int:
        """How often the form was opened."""
        total = select(func.sum(col(FormView.views))).where(*self._viewed(begins, ends))
        return int(await self._session.scalar(total) or 0)

    async def views_between(self, begins: int, ends: int) -> Sequence[tuple[int, int]]:
        """Moment and number of views."""
        statement = select(col(FormView.moment), col(FormView.views)).where(*self._viewed(begins, ends))
        return [(moment, count) for moment, count in await self._session.execute(statement)]

    async def responses(self, after_id: str, limit: int) -> Sequence[Any]:
        """Responses as `read` has them, by id: for a recount."""
        columns: list[Any] = [Response.id, Response.version, Response.change, Response.status, Response.answers]
        columns += [Response.meta, Response.timings, Response.seconds, Response.started_at, Response.submitted_at]
        statement = select(*columns, col(Response.deleted_at)).where(*self._of(Response), col(Response.id) > after_id)
        return (await self._session.execute(statement.order_by(col(Response.id)).limit(limit))).all()

    async def every_count(self, generation: int) -> Sequence[tuple[int, str, int]]:
        """All counts, in order of moment and name."""
        columns = col(MetricCount.moment), col(MetricCount.name), col(MetricCount.count)
        rows = await self._session.execute(select(*columns).where(*self._of(MetricCount, generation)))
        return sorted((moment, name, count) for moment, name, count in rows)

    # Statements.

    async def _add(self, generation: int, changes: Sequence[tuple[int, str, int]]) -> None:
        if not changes:
            return
        connection = await self._session.connection()
        if connection.dialect.name == "sqlite":
            mine = self._tenant_id, self._form_id, generation
            await connection.exec_driver_sql(_ADD_SQLITE, [(*mine, *change) for change in changes])
        else:
            values = {
                "tenant": self._tenant_id,
                "form": self._form_id,
                "generation": generation,
                "moments": ",".join(str(moment) for moment, _, _ in changes),
                "names": " ".join(name for _, name, _ in changes),
                "counts": ",".join(str(count) for _, _, count in changes),
            }
            await connection.execute(_ADD, values)
        if any(count < 0 for _, _, count in changes):
            empty = (*self._of(MetricCount, generation), col(MetricCount.count) == 0)
            moments = {moment for moment, _, count in changes if count < 0}
            statement = delete(MetricCount).where(*empty, col(MetricCount.moment).in_(moments))
            await self._session.execute(statement, execution_options=_NO_SYNC)

    async def _put_parts(self, generation: int, parts: Mapping[str, bytes]) -> None:
        if not parts:
            return
        insert = upsert(self._session, MetricPart)
        both = insert.on_conflict_do_update(
            index_elements=[*_KEY, "response_id"], set_={"content": insert.excluded.content}
        )
        mine = {**self._mine(), "generation": generation}
        rows = [{**mine, "response_id": name, "content": parts[name]} for name in sorted(parts)]
        await (await self._session.connection()).execute(both, rows)

    async def _parts(self, generation: int, ids: Sequence[str]) -> dict[str, bytes]:
        statement = select(col(MetricPart.response_id), col(MetricPart.content)).where(
            *self._of(MetricPart, generation), col(MetricPart.response_id).in_(ids)
        )
        return dict((await self._session.execute(statement)).all())

    def _position(self, generation: int) -> Any:
        return select(col(MetricState.change), col(MetricState.sums)).where(*self._of(MetricState, generation))

    def _within(self, generation: int, begins: int, ends: int) -> Iterable[ColumnElement[bool]]:
        moment = col(MetricCount.moment)
        return (*self._of(MetricCount, generation), moment >= begins, moment < ends)

    def _viewed(self, begins: int | None, ends: int | None) -> list[ColumnElement[bool]]:
        mine = [*self._of(FormView)]
        if begins is not None:
            mine.append(col(FormView.moment) >= begins)
        if ends is not None:
            mine.append(col(FormView.moment) < ends)
        return mine

    def _mine(self) -> dict[str, str]:
        return {"tenant_id": self._tenant_id, "form_id": self._form_id}

    def _of(self, table: Any, generation: int | None = None) -> tuple[ColumnElement[bool], ...]:
        mine = col(table.tenant_id) == self._tenant_id, col(table.form_id) == self._form_id
        return mine if generation is None else (*mine, col(table.generation) == generation)


class FormMetricsRepository:
    """What of one tenant's figures is behind."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def behind(self, form_ids: Collection[str], rules: int) -> set[str]:
        """Those of these forms, which are not in the trash, whose figures are behind."""
        statement = self._lagging(rules).where(col(FormCounter.form_id).in_(form_ids))
        return {row.form_id for row in await self._session.execute(statement)}

    async def lag(self, rules: int) -> tuple[int, int, datetime | None]:
        """How many forms are behind, by how many changes in all, and when the one that waits longest last had
        everything; None where that never was, or nothing waits."""
        rows = (await self._session.execute(self._lagging(rules))).all()
        moments = [row.current_at for row in rows]
        oldest = None if any(moment is None for moment in moments) else min(moments, default=None)
        return len(rows), sum(row.changes - (row.change or 0) for row in rows), oldest

    def _lagging(self, rules: int) -> Any:
        counter = FormCounter
        same = and_(
            col(MetricState.tenant_id) == col(counter.tenant_id),
            col(MetricState.form_id) == col(counter.form_id),
            col(MetricState.is_shown).is_(True),
        )
        there = and_(col(Form.tenant_id) == col(counter.tenant_id), col(Form.id) == col(counter.form_id))
        return (
            select(col(counter.form_id), col(counter.changes), col(MetricState.change), col(MetricState.current_at))
            .join(Form, there)
            .outerjoin(MetricState, same)
            .where(
                col(counter.tenant_id) == self._tenant_id,
                col(Form.deleted_at).is_(None),
                col(counter.changes) > 0,
                or_(
                    col(MetricState.change).is_(None),
                    col(MetricState.change) < col(counter.changes),
                    col(MetricState.rules) != rules,
                ),
            )
        )
