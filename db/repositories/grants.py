"""Queries on grants per form."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.grants import FormGrant
from db.repositories.upsert import upsert


class FormGrantRepository:
    """The grants of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def count_of_user(self, user_id: str) -> int:
        """How many grants a person has."""
        statement = select(func.count()).where(
            col(FormGrant.tenant_id) == self._tenant_id, col(FormGrant.user_id) == user_id
        )
        return await self._session.scalar(statement) or 0

    async def page(self, form_id: str, after_user_id: str | None, limit: int) -> Sequence[FormGrant]:
        """The grants for a form by user id, after `after_user_id`."""
        statement = (
            select(FormGrant)
            .where(col(FormGrant.tenant_id) == self._tenant_id, col(FormGrant.form_id) == form_id)
            .order_by(col(FormGrant.user_id))
            .limit(limit)
        )
        if after_user_id is not None:
            statement = statement.where(col(FormGrant.user_id) > after_user_id)
        return (await self._session.scalars(statement)).all()

    async def find(self, form_id: str, user_id: str) -> FormGrant | None:
        """The grant of a person for a form."""
        return await self._session.get(FormGrant, (self._tenant_id, form_id, user_id))

    async def put(self, grant: FormGrant) -> None:
        """Store the grant; one that the person has for the form already gets its role."""
        if grant.tenant_id != self._tenant_id:
            raise ValueError("a repository stores grants of its own tenant only")
        insert = upsert(self._session, FormGrant).values(**grant.model_dump())
        changes = {"role": grant.role, "granted_by": grant.granted_by, "created_at": grant.created_at}
        await self._session.execute(
            insert.on_conflict_do_update(index_elements=["tenant_id", "form_id", "user_id"], set_=changes)
        )

    async def remove(self, form_id: str, user_id: str) -> bool:
        """Whether there was such a grant."""
        statement = (
            delete(FormGrant)
            .where(
                col(FormGrant.tenant_id) == self._tenant_id,
                col(FormGrant.form_id) == form_id,
                col(FormGrant.user_id) == user_id,
            )
            .returning(col(FormGrant.user_id))
        )
        return (await self._session.execute(statement)).first() is not None
