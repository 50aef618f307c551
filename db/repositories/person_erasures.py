"""Erasures of single persons: how far each is, and which responses and files it has found."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.people import PersonErasure, PersonTrace
from db.repositories.upsert import upsert

RESPONSE: Final = "response"
FILE: Final = "file"


class PersonErasureRepository:
    """The erasures of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(PersonErasure).where(col(PersonErasure.tenant_id) == tenant_id)

    def add(self, row: PersonErasure) -> None:
        """Add an erasure."""
        self._session.add(row)

    async def find(self, erasure_id: str) -> PersonErasure | None:
        return await self._session.scalar(self._mine.where(col(PersonErasure.id) == erasure_id))

    async def find_locked(self, erasure_id: str) -> PersonErasure | None:
        """The erasure as last committed; nobody else changes it until the transaction ends."""
        return await self._session.get(
            PersonErasure, (self._tenant_id, erasure_id), with_for_update=True, populate_existing=True
        )

    async def under_way(self, digest: str, *, dry_run: bool) -> Sequence[PersonErasure]:
        """Those of the same person that have not ended."""
        statement = self._mine.where(
            col(PersonErasure.digest) == digest,
            col(PersonErasure.dry_run).is_(dry_run),
            col(PersonErasure.ended_at).is_(None),
        )
        return (await self._session.scalars(statement.order_by(col(PersonErasure.id)))).all()

    async def page(self, before_id: str | None, limit: int) -> Sequence[PersonErasure]:
        """Up to `limit` erasures, newest first, older than `before_id`."""
        statement = self._mine.order_by(col(PersonErasure.id).desc()).limit(limit)
        if before_id is not None:
            statement = statement.where(col(PersonErasure.id) < before_id)
        return (await self._session.scalars(statement)).all()


class PersonTraceRepository:
    """What one erasure has found."""

    def __init__(self, session: AsyncSession, tenant_id: str, erasure_id: str) -> None:
        self._session = session
        self._key = {"tenant_id": tenant_id, "erasure_id": erasure_id}
        self._mine = col(PersonTrace.tenant_id) == tenant_id, col(PersonTrace.erasure_id) == erasure_id

    async def note(self, kind: str, form_id: str, entity_ids: Collection[str]) -> None:
        """Add responses or files of a form; one that was found before is found once."""
        rows = [
            {**self._key, "entity_id": each, "kind": kind, "form_id": form_id, "erased": False} for each in entity_ids
        ]
        if rows:
            await self._session.execute(upsert(self._session, PersonTrace).values(rows).on_conflict_do_nothing())

    async def forms(self) -> dict[str, int]:
        """How many responses were found, by form."""
        statement = (
            select(col(PersonTrace.form_id), func.count().label("responses"))
            .where(*self._mine, col(PersonTrace.kind) == RESPONSE)
            .group_by(col(PersonTrace.form_id))
        )
        return {row.form_id: row.responses for row in await self._session.execute(statement)}

    async def waiting(self, limit: int) -> tuple[str, Sequence[str]] | None:
        """A form and some of its responses that are not erased yet; None when all are."""
        open_ = (*self._mine, col(PersonTrace.kind) == RESPONSE, col(PersonTrace.erased).is_(False))
        form_id = await self._session.scalar(
            select(col(PersonTrace.form_id)).where(*open_).order_by(col(PersonTrace.form_id)).limit(1)
        )
        if form_id is None:
            return None
        statement = (
            select(col(PersonTrace.entity_id))
            .where(*open_, col(PersonTrace.form_id) == form_id)
            .order_by(col(PersonTrace.entity_id))
            .limit(limit)
        )
        return form_id, (await self._session.scalars(statement)).all()

    async def responses(self, after_id: str, limit: int) -> Sequence[tuple[str, str]]:
        """Form and id of responses, by id, after `after_id`."""
        statement = (
            select(col(PersonTrace.form_id), col(PersonTrace.entity_id))
            .where(*self._mine, col(PersonTrace.kind) == RESPONSE, col(PersonTrace.entity_id) > after_id)
            .order_by(col(PersonTrace.entity_id))
            .limit(limit)
        )
        return [(form_id, entity_id) for form_id, entity_id in await self._session.execute(statement)]

    async def mark(self, entity_ids: Collection[str]) -> None:
        """These are erased."""
        statement = update(PersonTrace).where(*self._mine, col(PersonTrace.entity_id).in_(entity_ids))
        await self._session.execute(statement.values(erased=True))

    async def forget(self) -> None:
        """Forget everything that was found."""
        await self._session.execute(delete(PersonTrace).where(*self._mine))
