"""Counting attempts to get in, before anybody is known: needs an unscoped unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.accounts import LoginAttempts
from db.repositories.upsert import upsert
from db.types import UTCDateTime


@dataclass(frozen=True, slots=True, order=True)
class AttemptKey:
    """Whose attempts are counted together."""

    tenant_id: str
    subject: str


class LoginAttemptsDirectory:
    """The counters of all tenants."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def start_in_any_tenant(self, key: AttemptKey, now: datetime, expires_at: datetime) -> LoginAttempts:
        """Count one more attempt, in a new window when the last one has ended; the counters after it."""
        table = LoginAttempts
        ended = col(table.expires_at) <= now
        insert = upsert(self._session, table).values(
            tenant_id=key.tenant_id, subject=key.subject, started=1, failed=0, expires_at=expires_at
        )
        insert = insert.on_conflict_do_update(
            index_elements=["tenant_id", "subject"],
            set_={
                "started": case((ended, 1), else_=col(table.started) + 1),
                "failed": case((ended, 0), else_=col(table.failed)),
                # Typed, or SQLite would store it in a spelling that compares as long ended.
                "expires_at": case((ended, literal(expires_at, UTCDateTime())), else_=col(table.expires_at)),
            },
        )
        options = {"populate_existing": True}
        return (await self._session.execute(insert.returning(table), execution_options=options)).scalar_one()

    async def fail_in_any_tenant(self, key: AttemptKey) -> int:
        """Count a failure; how many there are now."""
        statement = update(LoginAttempts).where(*_is(key)).values(failed=col(LoginAttempts.failed) + 1)
        return await self._session.scalar(statement.returning(col(LoginAttempts.failed))) or 0

    async def release_in_any_tenant(self, keys: Sequence[AttemptKey]) -> None:
        """Take back attempts that did not fail."""
        for key in keys:
            statement = update(LoginAttempts).where(*_is(key), col(LoginAttempts.started) > 0)
            await self._session.execute(statement.values(started=col(LoginAttempts.started) - 1))

    async def forget_in_any_tenant(self, key: AttemptKey) -> None:
        """Begin anew."""
        await self._session.execute(delete(LoginAttempts).where(*_is(key)))

    async def prune_in_any_tenant(self, now: datetime, limit: int) -> None:
        """Forget up to `limit` windows that have ended."""
        ended = (
            select(col(LoginAttempts.tenant_id), col(LoginAttempts.subject))
            .where(col(LoginAttempts.expires_at) <= now)
            .order_by(col(LoginAttempts.expires_at))
            .limit(limit)
        )
        for tenant_id, subject in (await self._session.execute(ended)).all():
            still = (*_is(AttemptKey(tenant_id, subject)), col(LoginAttempts.expires_at) <= now)
            await self._session.execute(delete(LoginAttempts).where(*still))


def _is(key: AttemptKey) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(LoginAttempts.tenant_id) == key.tenant_id, col(LoginAttempts.subject) == key.subject
