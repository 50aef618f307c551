"""Queries on alarms and what they found."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.alarms import Alarm, Anomaly
from db.models.forms import Form
from db.models.identity import Tenant
from db.repositories.upsert import upsert


class AlarmRepository:
    """The alarms of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, row: Alarm) -> None:
        self._session.add(row)

    async def find(self, alarm_id: str, *, for_update: bool = False) -> Alarm | None:
        """The alarm; with `for_update` as last committed, and nobody else changes it meanwhile."""
        return await self._session.get(
            Alarm, (self._tenant_id, alarm_id), with_for_update=for_update or None, populate_existing=for_update
        )

    async def count(self, form_id: str) -> int:
        """How many a form has."""
        statement = select(func.count()).select_from(Alarm).where(*self._of(form_id))
        return await self._session.scalar(statement) or 0

    async def page(self, form_id: str, before_id: str | None, limit: int) -> Sequence[Alarm]:
        """Those of a form, newest first, older than `before_id`."""
        statement = select(Alarm).where(*self._of(form_id)).order_by(col(Alarm.id).desc()).limit(limit)
        if before_id is not None:
            statement = statement.where(col(Alarm.id) < before_id)
        return (await self._session.scalars(statement)).all()

    async def delete(self, form_id: str, alarm_id: str) -> bool:
        """Whether it was there to be removed."""
        statement = delete(Alarm).where(*self._of(form_id), col(Alarm.id) == alarm_id).returning(col(Alarm.id))
        return await self._session.scalar(statement) is not None

    async def note(self, anomaly: Mapping[str, Any]) -> bool:
        """Keep what an alarm found; False when that of this bucket is known."""
        insert = upsert(self._session, Anomaly).values(tenant_id=self._tenant_id, **anomaly)
        added = insert.on_conflict_do_nothing(index_elements=["tenant_id", "alarm_id", "start"])
        return await self._session.scalar(added.returning(col(Anomaly.id))) is not None

    async def anomalies(self, form_id: str, before_id: str | None, limit: int) -> Sequence[Anomaly]:
        """What the alarms of a form found, newest first, older than `before_id`."""
        mine = col(Anomaly.tenant_id) == self._tenant_id, col(Anomaly.form_id) == form_id
        statement = select(Anomaly).where(*mine).order_by(col(Anomaly.id).desc()).limit(limit)
        if before_id is not None:
            statement = statement.where(col(Anomaly.id) < before_id)
        return (await self._session.scalars(statement)).all()

    def _of(self, form_id: str) -> tuple[Any, Any]:
        return col(Alarm.tenant_id) == self._tenant_id, col(Alarm.form_id) == form_id


class AlarmDirectory:
    """The alarms of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def due_in_any_tenant(self, now: datetime, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Up to `limit` alarms that are to look again, of active tenants and forms that are there, as tenant and id,
        after a tenant and an id."""
        key = col(Alarm.tenant_id), col(Alarm.id)
        statement = (
            select(*key)
            .join(Form, and_(col(Form.tenant_id) == key[0], col(Form.id) == col(Alarm.form_id)))
            .join(Tenant, col(Tenant.id) == key[0])
            .where(
                col(Alarm.next_check_at) <= now,
                col(Form.deleted_at).is_(None),
                col(Tenant.status) == "active",
                tuple_(*key) > after,
            )
            .order_by(*key)
            .limit(limit)
        )
        return [(tenant_id, alarm_id) for tenant_id, alarm_id in (await self._session.execute(statement)).all()]
