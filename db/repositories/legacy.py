"""Queries on imports of another backend: runs, and what became of each document."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.legacy import LegacyDocument, LegacyRun
from db.models.responses import Response
from db.repositories.responses import PURGED

KEPT = "kept"
MADE = "made"


class LegacyRepository:
    """The imports of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(LegacyDocument).where(col(LegacyDocument.tenant_id) == tenant_id)

    def begin(self, run: LegacyRun) -> None:
        """Keep a new run."""
        self._session.add(run)

    async def run(self, run_id: str) -> LegacyRun | None:
        """A run."""
        return await self._session.get(LegacyRun, (self._tenant_id, run_id))

    async def runs(self, *statuses: str) -> Sequence[LegacyRun]:
        """The runs with one of these statuses, all without one, oldest first."""
        query = select(LegacyRun).where(col(LegacyRun.tenant_id) == self._tenant_id).order_by(col(LegacyRun.id))
        if statuses:
            query = query.where(col(LegacyRun.status).in_(statuses))
        return (await self._session.scalars(query)).all()

    async def known(self, collection: str, source_ids: Collection[str]) -> dict[str, LegacyDocument]:
        """What became of those of these documents that were read before, by any run."""
        wanted = col(LegacyDocument.collection) == collection, col(LegacyDocument.source_id).in_(source_ids)
        return {row.source_id: row for row in await self._session.scalars(self._mine.where(*wanted))}

    async def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep what became of documents. Raises IntegrityError when another run is at the same ones."""
        if rows:
            await (await self._session.connection()).execute(insert(LegacyDocument), list(rows))

    async def tallies(self, run_id: str) -> dict[tuple[str, str], int]:
        """How many documents of a run came to what, by collection and outcome."""
        kinds = col(LegacyDocument.collection), col(LegacyDocument.outcome)
        query = select(*kinds, func.count()).where(*self._of(run_id)).group_by(*kinds)
        return {(collection, outcome): count for collection, outcome, count in await self._session.execute(query)}

    async def page(
        self, run_id: str, collection: str, outcome: str, after: str, limit: int
    ) -> Sequence[LegacyDocument]:
        """Documents of a run that came to an outcome, in the order of their ids, after an id."""
        kind = col(LegacyDocument.collection) == collection, col(LegacyDocument.outcome) == outcome
        later = col(LegacyDocument.source_id) > after
        query = self._mine.where(col(LegacyDocument.run_id) == run_id, *kind, later)
        return (await self._session.scalars(query.order_by(col(LegacyDocument.source_id)).limit(limit))).all()

    async def has_strangers(self, run_id: str, form_id: str, collection: str) -> bool:
        """Whether a form has responses that a run did not make."""
        made = select(col(LegacyDocument.new_id)).where(
            *self._of(run_id),
            col(LegacyDocument.form_id) == form_id,
            col(LegacyDocument.collection) == collection,
        )
        there = select(col(Response.id)).where(
            col(Response.tenant_id) == self._tenant_id,
            col(Response.form_id) == form_id,
            col(Response.status) != PURGED,
        )
        # Compared here: without figures of the tables, PostgreSQL would look each response up among all documents.
        return not set((await self._session.scalars(there)).all()) <= set((await self._session.scalars(made)).all())

    async def of_form(self, run_id: str, form_id: str) -> dict[str, int]:
        """How many documents of a run became a form, or a part of it, by collection."""
        kind = col(LegacyDocument.collection)
        made = col(LegacyDocument.form_id) == form_id, col(LegacyDocument.outcome) == MADE
        query = select(kind, func.count()).where(*self._of(run_id), *made).group_by(kind)
        return {row[0]: row[1] for row in await self._session.execute(query)}

    async def forget(self, run_id: str, collection: str, source_ids: Collection[str]) -> None:
        """These documents were never read."""
        which = col(LegacyDocument.collection) == collection, col(LegacyDocument.source_id).in_(source_ids)
        await self._session.execute(delete(LegacyDocument).where(*self._of(run_id), *which))

    async def forget_form(self, run_id: str, form_id: str) -> None:
        """Nor were the form, its versions, its responses and their files."""
        own = col(LegacyDocument.form_id) == form_id
        await self._session.execute(delete(LegacyDocument).where(*self._of(run_id), own))

    async def forget_rest(self, run_id: str) -> None:
        """Nor anything of the run that it did not make."""
        rest = col(LegacyDocument.outcome).not_in((MADE, KEPT))
        await self._session.execute(delete(LegacyDocument).where(*self._of(run_id), rest))

    async def keep(self, run_id: str, collection: str, source_ids: Collection[str]) -> None:
        """What these documents became stays."""
        which = col(LegacyDocument.collection) == collection, col(LegacyDocument.source_id).in_(source_ids)
        await self._session.execute(update(LegacyDocument).where(*self._of(run_id), *which).values(outcome=KEPT))

    def _of(self, run_id: str) -> tuple[Any, ...]:
        return col(LegacyDocument.tenant_id) == self._tenant_id, col(LegacyDocument.run_id) == run_id


class LegacyDirectory:
    """The runs of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def runs_in_any_tenant(self, run_id: str | None = None) -> Sequence[LegacyRun]:
        """All runs, or the one with this id, oldest first."""
        query = select(LegacyRun).order_by(col(LegacyRun.started_at), col(LegacyRun.id))
        if run_id is not None:
            query = query.where(col(LegacyRun.id) == run_id)
        return (await self._session.scalars(query)).all()
