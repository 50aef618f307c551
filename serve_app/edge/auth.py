"""Who is asking: from the Authorization header to a verified Principal, before anything else is looked at."""

import re
from dataclasses import replace

from sanic import Request

from deployments.identity.contracts import CredentialsApi, IdentityApi
from deployments.kit.cache import FRESH_OF_PRIMARY_S, Cache, Caches, Key
from deployments.kit.calls import Origin
from deployments.kit.errors import Forbidden, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from serve_app.edge.cookies import CookieSessions
from serve_app.edge.resolution import Resolution, TenantNotFound

_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")
_PLATFORM_ADMIN = "platform:admin"


class Authenticator:
    """Finds out who holds a credential, and remembers the answer for `ttl_s` seconds.

    So a revoked credential works for at most `ttl_s` seconds more, and no longer than until `caches` hear of its
    tenant. Refusals are remembered apart from principals:
    a flood of invalid credentials cannot push valid ones out. Requests with the same credential share one question.
    """

    def __init__(
        self,
        credentials: CredentialsApi,
        identity: IdentityApi,
        resolution: Resolution,
        cookies: CookieSessions,
        caches: Caches,
        *,
        ttl_s: float = FRESH_OF_PRIMARY_S,
        capacity: int = 10_000,
    ) -> None:
        self._credentials = credentials
        self._identity = identity
        self._resolution = resolution
        self._cookies = cookies
        self._known: Cache[Principal] = Cache(
            "credentials",
            caches,
            fresh_s=ttl_s,
            capacity=capacity,
            absent=(Unauthenticated, Forbidden),
            absent_s=ttl_s,
            ahead=True,
            owner=lambda principal: principal.tenant_id,
        )

    async def principal(self, request: Request, origin: Origin) -> Principal:
        """The caller, in the tenant that they act for.

        The credential is that of the Authorization header, else that of the session cookie. Raises Unauthenticated
        without a valid one, CsrfFailed for a cookie whose use is not proved meant, Forbidden for a suspended holder,
        TenantNotFound when the request names a tenant that the credential does not open, TenantAmbiguous when it
        names two. Platform administrators may name any tenant.
        """
        credential = _bearer(request, self._cookies)
        # Whose a credential is, it alone tells.
        key = Key(PLATFORM_TENANT, "credential", credential)
        found = await self._known.get(key, lambda: self._credentials.authenticate(credential))
        tenant_id = found.tenant_id
        wanted = await self._resolution.selected(request)
        if wanted is not None and wanted != tenant_id:
            tenant_id = await self._selected(found, wanted)
        return replace(found, tenant_id=tenant_id, origin=origin)

    async def _selected(self, principal: Principal, wanted: str) -> str:
        if principal.tenant_id != PLATFORM_TENANT or not principal.may(_PLATFORM_ADMIN):
            raise TenantNotFound
        if not await self._resolution.exists(wanted):
            raise TenantNotFound
        return (await self._identity.get_tenant(principal, wanted)).id


def _bearer(request: Request, cookies: CookieSessions) -> str:
    header: str | None = request.headers.getone("authorization", None)
    if header is None:
        credential = cookies.access_token(request)
        if credential is not None and _CREDENTIAL.fullmatch(credential):
            return credential
        raise Unauthenticated("Send a credential as `Authorization: Bearer …`.")
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not _CREDENTIAL.fullmatch(credential):
        raise Unauthenticated("Send a credential as `Authorization: Bearer …`.")
    return credential
