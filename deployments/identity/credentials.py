"""Who holds a credential and which tenant a request names: what is read on the way of every request.

Read where it is asked, without a call to another process: see docs/decisions/0024.
"""

from functools import partial

from db.repositories.holders import (
    KeyHolder,
    SessionHolder,
    TenantFacts,
    key_holder_in_any_tenant,
    session_holder,
    tenant_facts,
    tenant_facts_of_host,
)
from db.session import Database
from db.types import utc_now
from deployments.identity.contracts import TenantProfile
from deployments.identity.keys import KEY_PREFIX, KeyUsage
from deployments.identity.permissions import GRANTS, scopes_of
from deployments.identity.settings import IdentitySettings
from deployments.identity.signing_keys import KeyRing
from deployments.identity.tokens import AccessTokens, Claims, fingerprint
from deployments.kit.errors import Unauthenticated
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_active
from deployments.kit.vault import Vault


class Credentials:
    """Reads who callers are and what is to be known of tenants. Changes nothing but when a key was last used."""

    def __init__(self, database: Database, settings: IdentitySettings, vault: Vault) -> None:
        self._database = database
        self._ring = KeyRing(settings, vault)
        self._tokens = AccessTokens(settings, self._ring)
        self.key_usage = KeyUsage(database)

    async def authenticate(self, credential: str) -> Principal:
        if credential.startswith(KEY_PREFIX):
            return await self._program(credential)
        await self._ring.refresh(self._database)
        claims = self._tokens.read(credential)
        ask = partial(session_holder, tenant_id=claims.tenant_id, user_id=claims.user_id, family_id=claims.family_id)
        return _person(claims, await self._database.view(ask, claims.tenant_id))

    async def find_tenant(self, tenant_id: str) -> TenantProfile | None:
        return _profile(await self._database.view(partial(tenant_facts, tenant_id=tenant_id), tenant_id))

    async def find_tenant_by_host(self, host: str) -> TenantProfile | None:
        return _profile(await self._database.view(partial(tenant_facts_of_host, host=host)))

    async def close(self) -> None:
        """Let the notes of used keys be written."""
        await self.key_usage.drain()

    async def _program(self, key: str) -> Principal:
        holder = await self._database.view(partial(key_holder_in_any_tenant, key_hash=fingerprint(key)))
        if holder is None:
            raise Unauthenticated
        principal = _of_key(holder)
        self.key_usage.note(holder, utc_now())
        return principal


def _person(claims: Claims, holder: SessionHolder | None) -> Principal:
    """The person, with the rights of this moment. Raises Unauthenticated, TenantSuspended."""
    if holder is None or holder.user_status != "active" or not holder.session_alive:
        raise Unauthenticated
    require_active(holder.tenant_status, Unauthenticated)
    return Principal(
        claims.tenant_id,
        claims.user_id,
        "user",
        holder.role,
        scopes_of(holder.role),
        grants={form_id: GRANTS.get(role, frozenset()) for form_id, role in holder.grants.items()},
        session_id=claims.family_id,
    )


def _of_key(holder: KeyHolder) -> Principal:
    """The program, with what its creator may still do. Raises Unauthenticated, TenantSuspended."""
    if holder.revoked_at is not None:
        raise Unauthenticated
    if holder.expires_at is not None and holder.expires_at <= utc_now():
        raise Unauthenticated
    require_active(holder.tenant_status, Unauthenticated)
    scopes = frozenset(holder.scopes)
    if holder.creator_role is not None:
        if holder.creator_status != "active":
            raise Unauthenticated
        scopes &= scopes_of(holder.creator_role)
    return Principal(holder.tenant_id, holder.key_id, "api_key", scopes=scopes)


def _profile(facts: TenantFacts | None) -> TenantProfile | None:
    if facts is None:
        return None
    settings = {name: facts.settings[name] for name in TenantProfile.model_fields.keys() & facts.settings.keys()}
    return TenantProfile.model_validate({"id": facts.id, "status": facts.status, **settings})
