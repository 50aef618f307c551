"""The rules of API keys."""

import re
from datetime import datetime, timedelta
from typing import Final

from db.models.identity import ApiKey as ApiKeyRow
from db.repositories.credentials import ApiKeyRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import ApiKey, CreateApiKey, CreatedApiKey
from deployments.identity.errors import ApiKeyNeedsPerson, ApiKeyNotFound, ScopeNotHeld
from deployments.identity.keys import SHOWN_LENGTH, new_key
from deployments.identity.permissions import KNOWN_SCOPES, PLATFORM_ADMIN
from deployments.identity.service.paging import after, page
from deployments.identity.tokens import fingerprint
from deployments.kit.contract import Page
from deployments.kit.errors import Fault, Invalid
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.events.identity import ApiKeyCreated, ApiKeyRevoked
from eventing.outbox import record

_LONGEST_LIFE: Final = timedelta(days=3660)
_ID: Final = r"key_[0-9a-f]{32}"


async def create(unit: UnitOfWork, principal: Principal, command: CreateApiKey) -> CreatedApiKey:
    """The key and, this once, its secret. Raises Invalid with every fault, ScopeNotHeld, ApiKeyNeedsPerson."""
    principal.require("api_keys:write")
    if principal.kind == "api_key":
        raise ApiKeyNeedsPerson
    now = utc_now()
    _check(command, now)
    _refuse_unheld(principal, command.scopes)
    secret = new_key()
    row = ApiKeyRow(
        tenant_id=unit.tenant,
        id=new_id("key"),
        name=command.name,
        scopes=sorted(set(command.scopes)),
        key_hash=fingerprint(secret),
        prefix=secret[:SHOWN_LENGTH],
        created_by=principal.subject,
        created_at=now,
        expires_at=command.expires_at,
    )
    ApiKeyRepository(unit.session, unit.tenant).add(row)
    fact = ApiKeyCreated(api_key_id=row.id, name=row.name, scopes=row.scopes)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return CreatedApiKey(**_to_api_key(row).model_dump(), key=secret)


async def list_all(unit: UnitOfWork, principal: Principal, cursor: str | None, limit: int) -> Page[ApiKey]:
    """The tenant's keys, oldest first, without their secrets."""
    principal.require("api_keys:read")
    rows = await ApiKeyRepository(unit.session, unit.tenant).page(after(cursor), limit + 1)
    return page(rows, limit, _to_api_key)


async def revoke(unit: UnitOfWork, principal: Principal, api_key_id: str) -> None:
    """End the key; nothing happens when it has ended before. Raises ApiKeyNotFound."""
    principal.require("api_keys:write")
    if re.fullmatch(_ID, api_key_id) is None:
        raise ApiKeyNotFound
    row = await ApiKeyRepository(unit.session, unit.tenant).get_locked(api_key_id)
    if row is None:
        raise ApiKeyNotFound
    if row.revoked_at is None:
        row.revoked_at = utc_now()
        record(unit, ApiKeyRevoked(api_key_id=row.id), actor=principal.subject, origin=principal.origin)


def _check(command: CreateApiKey, now: datetime) -> None:
    faults = [
        Fault(f"/scopes/{index}", "scope.unknown", "there is no such scope")
        for index, scope in enumerate(command.scopes)
        if scope not in KNOWN_SCOPES
    ]
    if command.expires_at is not None and not now < command.expires_at <= now + _LONGEST_LIFE:
        faults.append(Fault("/expires_at", "datetime.range", "the key must end within the next ten years"))
    if faults:
        raise Invalid(faults=tuple(faults))


def _refuse_unheld(principal: Principal, scopes: list[str]) -> None:
    # The right over all tenants never belongs to a key that one tenant can see.
    grantable = KNOWN_SCOPES if principal.tenant_id == PLATFORM_TENANT else KNOWN_SCOPES - {PLATFORM_ADMIN}
    faults = tuple(
        Fault(f"/scopes/{index}", ScopeNotHeld.code, ScopeNotHeld.title)
        for index, scope in enumerate(scopes)
        if scope not in grantable or not principal.may(scope)
    )
    if faults:
        raise ScopeNotHeld(faults=faults)


def _to_api_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey.model_validate(row.model_dump(exclude={"tenant_id", "key_hash", "created_by"}))
