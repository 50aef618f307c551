"""The rules of tenants: who may see them, make them, change them."""

import re
from datetime import timedelta
from typing import Any, Final

from db.models.identity import Tenant as TenantRow
from db.repositories.tenants import TenantDirectory, TenantHostRepository, TenantRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.contracts import (
    TENANT_ID,
    CreateTenant,
    NewTenant,
    SignedUp,
    SignUp,
    Tenant,
    TenantSettings,
    UpdateTenant,
)
from deployments.identity.errors import HostTaken, SettingProtected, SignupDisabled, TenantNotFound, TenantTaken
from deployments.identity.permissions import PLATFORM_ADMIN
from deployments.identity.service import sessions, users
from deployments.identity.service.paging import after, page
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import AccessTokens
from deployments.kit.contract import Page
from deployments.kit.egress import url_faults
from deployments.kit.errors import Fault, Invalid
from deployments.kit.features import FEATURES, unknown_features
from deployments.kit.principal import Principal
from eventing.events.envelope import EventData, Origin
from eventing.events.identity import TenantCreated, TenantUpdated
from eventing.events.tenancy import TenantDeleted, TenantResumed, TenantSuspended
from eventing.outbox import record

# Whoever owned one of these would receive what is meant for everybody, look like the platform in a host name, or have
# forms at addresses that mean something else.
_RESERVED: Final = frozenset({"admin", "api", "default", "platform", "responses", "system", "www"})
_OWN_SETTINGS: Final = frozenset({"allowed_origins", "locale"})


def require_signup(settings: IdentitySettings, command: SignUp) -> None:
    """Raise SignupDisabled, or TenantTaken for an id that only a platform administrator gives away."""
    if not settings.signup_enabled:
        raise SignupDisabled
    if command.tenant.id in _RESERVED:
        raise TenantTaken


async def sign_up(
    unit: UnitOfWork, tokens: AccessTokens, settings: IdentitySettings, origin: Origin, command: SignUp, hashed: str
) -> SignedUp:
    """The tenant, its owner and the owner's first session. Raises TenantTaken."""
    user = users.new_row(unit.tenant, command.user, "owner", hashed)
    tenant = await _add(unit, command.tenant, TenantSettings(), actor=user.id, origin=origin)
    await users.add(unit, user, actor=user.id, origin=origin)
    session = sessions.begin(unit, tokens, settings, user, origin)
    return SignedUp(tenant=tenant, **session.model_dump())


async def create(unit: UnitOfWork, principal: Principal, command: CreateTenant, hashed: str | None) -> Tenant:
    """A tenant, with an owner when the command names one. Raises TenantTaken; Invalid with a fault for each unknown
    feature and each origin that no browser sends."""
    principal.require(PLATFORM_ADMIN)
    _refuse_unusable(command.settings.model_dump())
    new = NewTenant(id=command.id, name=command.name)
    tenant = await _add(unit, new, command.settings, actor=principal.subject, origin=principal.origin)
    if command.owner is not None and hashed is not None:
        owner = users.new_row(unit.tenant, command.owner, "owner", hashed)
        await users.add(unit, owner, actor=principal.subject, origin=principal.origin)
    return tenant


async def list_all(unit: UnitOfWork, principal: Principal, cursor: str | None, limit: int) -> Page[Tenant]:
    """Every customer, by id."""
    principal.require(PLATFORM_ADMIN)
    rows = await TenantDirectory(unit.session).page_over_all_tenants(after(cursor), limit + 1)
    return page(rows, limit, _to_tenant)


def reachable(principal: Principal, tenant_id: str) -> str:
    """The id, when it is one that the principal may know about. Raises TenantNotFound."""
    own = tenant_id == principal.tenant_id or principal.may(PLATFORM_ADMIN)
    if not own or re.fullmatch(TENANT_ID, tenant_id) is None:
        raise TenantNotFound
    return tenant_id


async def get(unit: UnitOfWork, principal: Principal) -> Tenant:
    """The unit's tenant. Raises TenantNotFound."""
    principal.require("tenant:read")
    row = await TenantRepository(unit.session, unit.tenant).get()
    return _to_tenant(_existing(row))


async def update(unit: UnitOfWork, principal: Principal, command: UpdateTenant) -> Tenant:
    """The tenant after the change. Raises TenantNotFound; SettingProtected with a fault for each such setting; Invalid
    with a fault for each unknown feature and each origin that no browser sends."""
    principal.require("tenant:write")
    given = {} if command.settings is None else command.settings.model_dump(mode="json", exclude_unset=True)
    _refuse_unusable(given)
    _refuse_protected(principal, given)
    row = _existing(await TenantRepository(unit.session, unit.tenant).get_locked())
    settings = _merge(row.settings, given)
    if "hosts" in given:
        await _give_hosts(unit, settings["hosts"])
    changed = sorted(f"settings.{key}" for key in given if settings[key] != row.settings.get(key))
    if command.name is not None and command.name != row.name:
        changed.insert(0, "name")
        row.name = command.name
    row.settings = settings
    return _changed(unit, principal, row, changed)


async def suspend(unit: UnitOfWork, principal: Principal) -> Tenant:
    """The tenant, suspended; nothing happens when it is so already. Raises TenantNotFound, for a deleted one too."""
    principal.require(PLATFORM_ADMIN)
    row = _existing(await TenantRepository(unit.session, unit.tenant).get_locked())
    if row.status != "suspended":
        row.status = "suspended"
        _record(unit, principal, TenantSuspended(tenant_id=row.id))
        return _changed(unit, principal, row, ["status"])
    return _to_tenant(row)


async def resume(unit: UnitOfWork, principal: Principal) -> Tenant:
    """The tenant, active again after a suspension, or after its deletion while the grace period lasts.

    Nothing happens when it is active already. Raises TenantNotFound, for a tenant whose grace period is over too.
    """
    principal.require(PLATFORM_ADMIN)
    row = await TenantRepository(unit.session, unit.tenant).get_locked()
    if row is None or (row.status == "deleted" and not _in_grace(row)):
        raise TenantNotFound
    if row.status != "active":
        row.status, row.deleted_at, row.erase_after = "active", None, None
        _record(unit, principal, TenantResumed(tenant_id=row.id))
        return _changed(unit, principal, row, ["status"])
    return _to_tenant(row)


async def delete(unit: UnitOfWork, principal: Principal, settings: IdentitySettings) -> Tenant:
    """The tenant, closed at once and resumable until `erase_after`. Raises TenantNotFound, for a deleted one too."""
    if not principal.may(PLATFORM_ADMIN):
        principal.require("tenant:own")
    row = _existing(await TenantRepository(unit.session, unit.tenant).get_locked())
    now = utc_now()
    row.status, row.deleted_at = "deleted", now
    row.erase_after = now + timedelta(days=settings.tenant_grace_days)
    _record(unit, principal, TenantDeleted(tenant_id=row.id, erase_after=row.erase_after.isoformat()))
    return _changed(unit, principal, row, ["status"])


def _in_grace(row: TenantRow) -> bool:
    return row.erase_after is not None and utc_now() < row.erase_after


def _record(unit: UnitOfWork, principal: Principal, fact: EventData) -> None:
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def _add(unit: UnitOfWork, new: NewTenant, settings: TenantSettings, *, actor: str, origin: Origin) -> Tenant:
    now = utc_now()
    document = settings.model_dump(mode="json")
    row = TenantRow(id=new.id, name=new.name, settings=document, created_at=now, updated_at=now)
    if not await TenantRepository(unit.session, unit.tenant).add(row):
        raise TenantTaken
    await _give_hosts(unit, settings.hosts)
    record(unit, TenantCreated(tenant_id=new.id, name=new.name), actor=actor, origin=origin)
    return _to_tenant(row)


async def _give_hosts(unit: UnitOfWork, hosts: list[str]) -> None:
    taken = await TenantHostRepository(unit.session, unit.tenant).replace(sorted(set(hosts)))
    if taken:
        faults = tuple(
            Fault(f"/settings/hosts/{number}", HostTaken.code, HostTaken.title)
            for number, host in enumerate(hosts)
            if host in taken
        )
        raise HostTaken(faults=faults)


def _changed(unit: UnitOfWork, principal: Principal, row: TenantRow, changed: list[str]) -> Tenant:
    if changed:
        row.updated_at = utc_now()
        fact = TenantUpdated(tenant_id=row.id, changed=changed)
        record(unit, fact, actor=principal.subject, origin=principal.origin)
    return _to_tenant(row)


def _refuse_protected(principal: Principal, given: dict[str, Any]) -> None:
    if principal.may(PLATFORM_ADMIN):
        return
    protected = sorted(given.keys() - _OWN_SETTINGS - {"features"})
    protected += [f"features/{name}" for name in sorted(given.get("features", ())) if not FEATURES[name].own]
    if protected:
        raise SettingProtected(
            faults=tuple(Fault(f"/settings/{key}", SettingProtected.code, SettingProtected.title) for key in protected)
        )


def _refuse_unusable(given: dict[str, Any]) -> None:
    faults = list(unknown_features(given.get("features") or {}, "/settings/features"))
    for number, origin in enumerate(given.get("allowed_origins") or ()):
        if origin != "*":
            faults += url_faults(origin, f"/settings/allowed_origins/{number}")
    if faults:
        raise Invalid(faults=tuple(faults))


def _merge(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in given.items():
        merged[key] = {**settings.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def _existing(row: TenantRow | None) -> TenantRow:
    if row is None or row.status == "deleted":
        raise TenantNotFound
    return row


def _to_tenant(row: TenantRow) -> Tenant:
    return Tenant.model_validate(row.model_dump())
