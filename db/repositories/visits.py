"""Queries on those who answer: responses by network address, and captchas."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.visits import AddressCount, CaptchaPass, CaptchaProvider
from db.repositories.upsert import upsert
from db.types import UTCDateTime

_FEW = 20


class AddressCountRepository:
    """How often addresses answered one tenant's forms lately."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def add(self, form_id: str, caller: str, now: datetime, expires_at: datetime) -> AddressCount:
        """Count one more, in a new period when the last one has ended; the count after it. Some periods of the form
        that have ended are forgotten."""
        table = AddressCount
        await self._forget_ended(form_id, caller, now)
        ended = col(table.expires_at) <= now
        insert = upsert(self._session, table).values(
            tenant_id=self._tenant_id, form_id=form_id, caller=caller, responses=1, expires_at=expires_at
        )
        insert = insert.on_conflict_do_update(
            index_elements=["tenant_id", "form_id", "caller"],
            set_={
                "responses": case((ended, 1), else_=col(table.responses) + 1),
                # Typed, or SQLite would store it in a spelling that compares as long ended.
                "expires_at": case((ended, literal(expires_at, UTCDateTime())), else_=col(table.expires_at)),
            },
        )
        options = {"populate_existing": True}
        return (await self._session.execute(insert.returning(table), execution_options=options)).scalar_one()

    async def _forget_ended(self, form_id: str, but: str, now: datetime) -> None:
        mine = col(AddressCount.tenant_id) == self._tenant_id, col(AddressCount.form_id) == form_id
        ended = (
            select(col(AddressCount.caller))
            .where(*mine, col(AddressCount.expires_at) <= now, col(AddressCount.caller) != but)
            .order_by(col(AddressCount.caller))
            .limit(_FEW)
            # Whoever forgets the same ones at this moment does it for us.
            .with_for_update(skip_locked=True)
        )
        callers = (await self._session.scalars(ended)).all()
        if callers:
            await self._session.execute(delete(AddressCount).where(*mine, col(AddressCount.caller).in_(callers)))


class CaptchaRepository:
    """The captcha provider of one tenant, and the tokens that it was asked about."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def provider(self) -> CaptchaProvider | None:
        return await self._session.get(CaptchaProvider, self._tenant_id)

    async def put(self, row: CaptchaProvider) -> None:
        """Set the tenant's provider."""
        await self._session.merge(row)

    async def remove(self) -> bool:
        """Forget the provider; whether there was one."""
        row = await self.provider()
        if row is not None:
            await self._session.delete(row)
        return row is not None

    async def claim(self, digest: str, call: str, expires_at: datetime) -> CaptchaPass | None:
        """The call may ask about the token, and nobody else; what is known of the token when somebody asked before."""
        values = {"tenant_id": self._tenant_id, "digest": digest, "call": call, "verdict": "", "expires_at": expires_at}
        insert = upsert(self._session, CaptchaPass).values(values).on_conflict_do_nothing()
        if await self._session.scalar(insert.returning(col(CaptchaPass.digest))) is not None:
            return None
        return await self._session.scalar(select(CaptchaPass).where(*self._is(digest)).with_for_update())

    async def find(self, digests: Sequence[str]) -> CaptchaPass | None:
        """What is known of a token by one of these digests."""
        if not digests:
            return None
        mine = col(CaptchaPass.tenant_id) == self._tenant_id, col(CaptchaPass.digest).in_(digests)
        return await self._session.scalar(select(CaptchaPass).where(*mine).limit(1).with_for_update())

    async def decide(self, digest: str, verdict: str) -> None:
        """Note what the provider said."""
        await self._session.execute(update(CaptchaPass).where(*self._is(digest)).values(verdict=verdict))

    async def forget(self, digest: str) -> None:
        """The provider said nothing: it may be asked again."""
        await self._session.execute(delete(CaptchaPass).where(*self._is(digest)))

    def _is(self, digest: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return col(CaptchaPass.tenant_id) == self._tenant_id, col(CaptchaPass.digest) == digest


class VisitDirectory:
    """What is remembered of visitors of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def forget_in_any_tenant(self, now: datetime, limit: int) -> int:
        """Forget up to `limit` counts, and as many tokens, whose time is over; how many."""
        counts = (
            select(col(AddressCount.tenant_id), col(AddressCount.form_id), col(AddressCount.caller))
            .where(col(AddressCount.expires_at) <= now)
            .limit(limit)
        )
        tokens = (
            select(col(CaptchaPass.tenant_id), col(CaptchaPass.digest))
            .where(col(CaptchaPass.expires_at) <= now)
            .limit(limit)
        )
        found = [tuple(row) for row in await self._session.execute(counts)]
        for tenant_id, form_id, caller in found:
            await self._session.execute(
                delete(AddressCount).where(
                    col(AddressCount.tenant_id) == tenant_id,
                    col(AddressCount.form_id) == form_id,
                    col(AddressCount.caller) == caller,
                    col(AddressCount.expires_at) <= now,
                )
            )
        shown = [tuple(row) for row in await self._session.execute(tokens)]
        for tenant_id, digest in shown:
            await self._session.execute(
                delete(CaptchaPass).where(col(CaptchaPass.tenant_id) == tenant_id, col(CaptchaPass.digest) == digest)
            )
        return max(len(found), len(shown))
