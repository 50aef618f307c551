"""Queries on invitations."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.invitations import Invitation


class InvitationRepository:
    """The invitations of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def add(self, invitation: Invitation) -> None:
        """Store an invitation; one to the same, the whole tenant or the same form, may not be there any more."""
        if invitation.tenant_id != self._tenant_id:
            raise ValueError("a repository stores invitations of its own tenant only")
        self._session.add(invitation)
        await self._session.flush()

    async def get(self, invitation_id: str) -> Invitation | None:
        """The invitation with this id."""
        return await self._session.get(Invitation, (self._tenant_id, invitation_id))

    async def page(self, after: str | None, limit: int, *, to_forms_only: bool) -> Sequence[Invitation]:
        """Up to `limit` invitations by id (oldest first), after the id `after`."""
        query = (
            select(Invitation)
            .where(col(Invitation.tenant_id) == self._tenant_id)
            .order_by(col(Invitation.id))
            .limit(limit)
        )
        if to_forms_only:
            query = query.where(col(Invitation.form_id).is_not(None))
        if after is not None:
            query = query.where(col(Invitation.id) > after)
        return (await self._session.scalars(query)).all()

    async def renew(self, invitation_id: str, token_hash: str, expires_at: datetime) -> bool:
        """Give the invitation another link; False when it is gone."""
        statement = (
            update(Invitation)
            .where(col(Invitation.tenant_id) == self._tenant_id, col(Invitation.id) == invitation_id)
            .values(token_hash=token_hash, expires_at=expires_at)
            .returning(col(Invitation.id))
        )
        return (await self._session.execute(statement)).first() is not None

    async def remove(self, invitation_id: str) -> bool:
        """Whether there was such an invitation."""
        statement = delete(Invitation).where(
            col(Invitation.tenant_id) == self._tenant_id, col(Invitation.id) == invitation_id
        )
        return (await self._session.execute(statement.returning(col(Invitation.id)))).first() is not None

    async def remove_pending(self, email: str, form_id: str | None) -> str | None:
        """Remove what the address was invited to before, the tenant or the form; the id of that invitation."""
        same = col(Invitation.form_id).is_(None) if form_id is None else col(Invitation.form_id) == form_id
        statement = delete(Invitation).where(
            col(Invitation.tenant_id) == self._tenant_id, col(Invitation.email) == email, same
        )
        found: str | None = await self._session.scalar(statement.returning(col(Invitation.id)))
        return found

    async def take(self, invitation_id: str, token_hash: str, now: datetime) -> bool:
        """Remove an invitation that is accepted: True for one of those who try, and only while its link is valid."""
        statement = delete(Invitation).where(
            col(Invitation.tenant_id) == self._tenant_id,
            col(Invitation.id) == invitation_id,
            col(Invitation.token_hash) == token_hash,
            col(Invitation.expires_at) > now,
        )
        return (await self._session.execute(statement.returning(col(Invitation.id)))).first() is not None


class InvitationDirectory:
    """Invitations looked up before the tenant is known: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_in_any_tenant(self, token_hash: str) -> Invitation | None:
        """The invitation with this hash."""
        query = select(Invitation).where(col(Invitation.token_hash) == token_hash)
        return (await self._session.execute(query)).scalar_one_or_none()
