"""What the edge must know of a tenant to route, limit and answer for it, remembered for a moment."""

from collections.abc import Awaitable, Callable

from deployments.identity.contracts import CredentialsApi, TenantProfile
from deployments.kit.cache import FRESH_OF_PRIMARY_S, Cache, Caches, Key
from deployments.kit.errors import NotFound
from deployments.kit.principal import PLATFORM_TENANT


class Tenants:
    """Finds tenants by id and by host name. An answer holds for `ttl_s` seconds, or until the tenant changes.

    That a tenant is not there is not remembered: it may be there with the next request.
    """

    def __init__(
        self,
        credentials: CredentialsApi,
        caches: Caches,
        *,
        domain: str = "",
        ttl_s: float = FRESH_OF_PRIMARY_S,
        capacity: int = 10_000,
    ) -> None:
        self._credentials = credentials
        self._caches = caches
        self._suffix = f".{domain}" if domain else ""
        self._by_id: Cache[TenantProfile] = Cache("tenants", caches, fresh_s=ttl_s, capacity=capacity, ahead=True)
        self._by_host: Cache[TenantProfile] = Cache(
            "hosts", caches, fresh_s=ttl_s, capacity=capacity, ahead=True, owner=lambda profile: profile.id
        )

    async def find(self, tenant_id: str) -> TenantProfile | None:
        """The tenant, whatever its status. Raises Unavailable while nobody can tell."""
        return await _found(self._by_id, Key(tenant_id, "tenant"), lambda: self._credentials.find_tenant(tenant_id))

    async def find_by_host(self, host: str) -> TenantProfile | None:
        """The tenant of a host name: its label below the platform's domain, or a name that was given to it."""
        label = host.removesuffix(self._suffix) if self._suffix and host.endswith(self._suffix) else ""
        if label and "." not in label:
            return await self.find(label)
        # Whose a host name is, it alone tells.
        key = Key(PLATFORM_TENANT, "host", host)
        return await _found(self._by_host, key, lambda: self._ask_host(host))

    async def _ask_host(self, host: str) -> TenantProfile | None:
        as_of = self._caches.clock()
        profile = await self._credentials.find_tenant_by_host(host)
        if profile is not None:
            self._by_id.learn(Key(profile.id, "tenant"), profile, as_of)
        return profile


async def _found(
    cache: Cache[TenantProfile], key: Key, ask: Callable[[], Awaitable[TenantProfile | None]]
) -> TenantProfile | None:
    async def load() -> TenantProfile:
        profile = await ask()
        if profile is None:
            raise _Nowhere
        return profile

    try:
        return await cache.get(key, load)
    except _Nowhere:
        return None


class _Nowhere(NotFound):
    """There is no such tenant."""
