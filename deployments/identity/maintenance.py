"""The platform's maintenance: a switch in the settings of its own tenant, which every edge looks at each second."""

from datetime import datetime

from db.models.identity import PLATFORM_TENANT, Tenant
from db.repositories.tenants import TenantRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.identity.contracts import Maintenance
from deployments.kit.audit import audit
from deployments.kit.errors import NotFound
from deployments.kit.principal import Principal

_SETTING = "maintenance"


class NotPrepared(NotFound):
    code, title = "platform.not_prepared", "The platform has no tenant of its own yet; run `formstream migrate`"


async def begin(database: Database, principal: Principal, reason: str, until: datetime | None) -> Maintenance:
    """From within a second on, writes are refused; once more with other words changes those. Raises NotPrepared."""
    async with database.write(PLATFORM_TENANT) as unit:
        row = await _platform(unit)
        current = row.settings.get(_SETTING)
        since = Maintenance.model_validate(current).since if current else utc_now()
        begun = Maintenance(reason=reason, since=since, until=until)
        row.settings = {**row.settings, _SETTING: begun.model_dump(mode="json")}
        audit(unit, principal, "platform.maintenance_begun", PLATFORM_TENANT, reason=reason)
    return begun


async def end(database: Database, principal: Principal) -> Maintenance | None:
    """From within a second on, writes are taken again; what was ended, None when there was none. Raises NotPrepared."""
    async with database.write(PLATFORM_TENANT) as unit:
        row = await _platform(unit)
        ended = row.settings.get(_SETTING)
        if ended is None:
            return None
        row.settings = {name: value for name, value in row.settings.items() if name != _SETTING}
        audit(unit, principal, "platform.maintenance_ended", PLATFORM_TENANT)
    return Maintenance.model_validate(ended)


async def current(database: Database) -> Maintenance | None:
    """What is going on, None for nothing."""
    async with database.read(PLATFORM_TENANT) as unit:
        row = await TenantRepository(unit.session, unit.tenant).get()
    found = row.settings.get(_SETTING) if row is not None else None
    return None if found is None else Maintenance.model_validate(found)


async def _platform(unit: UnitOfWork) -> Tenant:
    row = await TenantRepository(unit.session, unit.tenant).get_locked()
    if row is None:
        raise NotPrepared
    return row
