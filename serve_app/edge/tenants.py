"""What the edge must know of a tenant to route, limit and answer for it, remembered for a moment."""

import time

from deployments.identity.contracts import IdentityApi, TenantProfile
from serve_app.edge.recent import Changes, Recent, SingleFlight


class Tenants:
    """Finds tenants by id and by host name. An answer holds for `ttl_s` seconds, or until the tenant is forgotten.

    That a tenant is not there is not remembered: it may be there with the next request.
    """

    def __init__(
        self, identity: IdentityApi, changes: Changes, *, domain: str = "", ttl_s: float = 1.0, capacity: int = 10_000
    ) -> None:
        self._identity = identity
        self._changes = changes
        self._suffix = f".{domain}" if domain else ""
        self._by_id = Recent[TenantProfile](ttl_s, capacity)
        self._by_host = Recent[str](ttl_s, capacity)
        self._asking = SingleFlight[TenantProfile | None]()

    async def find(self, tenant_id: str) -> TenantProfile | None:
        """The tenant, whatever its status. Raises Unavailable while identity cannot be asked."""
        found = self._by_id.get(tenant_id, self._changes.latest(tenant_id))
        if found is None:
            found = await self._asking.ask(tenant_id, lambda: self._ask(tenant_id))
        return found

    async def find_by_host(self, host: str) -> TenantProfile | None:
        """The tenant of a host name: its label below the platform's domain, or a name that was given to it."""
        label = host.removesuffix(self._suffix) if self._suffix and host.endswith(self._suffix) else ""
        if label and "." not in label:
            return await self.find(label)
        known = self._by_host.get(host)
        if known is not None:
            profile = await self.find(known)
            return profile if profile is not None and host in profile.hosts else None
        return await self._asking.ask(f"host {host}", lambda: self._ask_host(host))

    async def _ask(self, tenant_id: str) -> TenantProfile | None:
        asked_at = time.monotonic()
        profile = await self._identity.find_tenant(tenant_id)
        if profile is not None:
            self._by_id.put(tenant_id, profile, asked_at)
        return profile

    async def _ask_host(self, host: str) -> TenantProfile | None:
        asked_at = time.monotonic()
        profile = await self._identity.find_tenant_by_host(host)
        if profile is not None:
            self._by_host.put(host, profile.id, asked_at)
            self._by_id.put(profile.id, profile, asked_at)
        return profile
