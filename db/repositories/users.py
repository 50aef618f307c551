"""Queries on the people of a tenant."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.federation import UserIdentity
from db.models.identity import User
from db.repositories.upsert import upsert


class UserRepository:
    """The people of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def get(self, user_id: str) -> User | None:
        """The person with this id."""
        return await self._session.get(User, (self._tenant_id, user_id))

    async def get_locked(self, user_id: str) -> User | None:
        """The person as last committed; nobody else who asks for the lock proceeds until the transaction ends."""
        # NO KEY UPDATE: rows that refer to the person may still be inserted meanwhile.
        return await self._session.get(User, (self._tenant_id, user_id), with_for_update={"key_share": True})

    async def find_by_email(self, email: str) -> User | None:
        """The person with this normalised e-mail."""
        query = select(User).where(col(User.tenant_id) == self._tenant_id, col(User.email) == email)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def lock_with_role(self, role: str) -> Sequence[User]:
        """Everybody active with the role, by id; nobody else who asks for the lock proceeds until the end."""
        query = (
            select(User)
            .where(col(User.tenant_id) == self._tenant_id, col(User.role) == role, col(User.status) == "active")
            .order_by(col(User.id))
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(query)).all()

    async def any_with_role(self, role: str) -> bool:
        """Whether somebody has the role."""
        query = select(col(User.id)).where(col(User.tenant_id) == self._tenant_id, col(User.role) == role).limit(1)
        return (await self._session.execute(query)).first() is not None

    async def active_with_role(self, role: str) -> Sequence[User]:
        """Everybody active with the role, by id."""
        query = select(User).where(
            col(User.tenant_id) == self._tenant_id, col(User.role) == role, col(User.status) == "active"
        )
        return (await self._session.scalars(query.order_by(col(User.id)))).all()

    async def count_active(self) -> int:
        """How many people are not deactivated."""
        mine = col(User.tenant_id) == self._tenant_id, col(User.status) != "deactivated"
        return await self._session.scalar(select(func.count()).select_from(User).where(*mine)) or 0

    async def add(self, user: User) -> bool:
        """Whether the person was added: False when the tenant has the e-mail already."""
        if user.tenant_id != self._tenant_id:
            raise ValueError("a repository adds people of its own tenant only")
        insert = upsert(self._session, User).values(**user.model_dump())
        insert = insert.on_conflict_do_nothing(index_elements=["tenant_id", "email"])
        return (await self._session.execute(insert.returning(col(User.id)))).first() is not None

    async def among(self, user_ids: Collection[str]) -> Sequence[User]:
        """Those of these people that there are."""
        query = select(User).where(col(User.tenant_id) == self._tenant_id, col(User.id).in_(user_ids))
        return (await self._session.scalars(query)).all()

    async def with_emails(self, emails: Collection[str]) -> Sequence[User]:
        """The people with these normalised e-mails."""
        query = select(User).where(col(User.tenant_id) == self._tenant_id, col(User.email).in_(emails))
        return (await self._session.scalars(query)).all()

    async def is_linked(self, user_id: str) -> bool:
        """Whether a provider's account opens this one."""
        mine = col(UserIdentity.tenant_id) == self._tenant_id, col(UserIdentity.user_id) == user_id
        query = select(col(UserIdentity.user_id)).where(*mine).limit(1)
        return (await self._session.execute(query)).first() is not None

    async def remove(self, user: User) -> None:
        """Delete an account that nobody has used, with what refers to it."""
        await self._session.delete(user)
        await self._session.flush()

    async def move(self, user: User, email: str) -> None:
        """Give the person another normalised e-mail. Raises IntegrityError when the tenant has it already."""
        user.email = email
        await self._session.flush()

    async def page(self, after: str | None, limit: int) -> list[User]:
        """Up to `limit` people by id (oldest first), after the id `after`."""
        query = select(User).where(col(User.tenant_id) == self._tenant_id).order_by(col(User.id)).limit(limit)
        if after is not None:
            query = query.where(col(User.id) > after)
        return list((await self._session.execute(query)).scalars())
