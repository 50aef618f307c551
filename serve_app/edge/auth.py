"""Who is asking: from the Authorization header to a verified Principal, before anything else is looked at."""

import re
import time
from dataclasses import replace
from typing import TypeAlias

from sanic import Request

from deployments.identity.contracts import IdentityApi
from deployments.kit.calls import Origin
from deployments.kit.errors import DomainError, Forbidden, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from serve_app.edge.cookies import CookieSessions
from serve_app.edge.recent import Changes, Recent, SingleFlight
from serve_app.edge.resolution import Resolution, TenantNotFound

_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")
_PLATFORM_ADMIN = "platform:admin"

Verdict: TypeAlias = Principal | DomainError


class Authenticator:
    """Asks identity who holds a credential, and remembers the answer for `ttl_s` seconds.

    So a revoked credential works for at most `ttl_s` seconds more, and no longer than until `changes` hears of its
    tenant. Refusals are remembered apart from principals:
    a flood of invalid credentials cannot push valid ones out. Requests with the same credential share one question.
    """

    def __init__(
        self,
        identity: IdentityApi,
        resolution: Resolution,
        cookies: CookieSessions,
        changes: Changes,
        *,
        ttl_s: float = 1.0,
        capacity: int = 10_000,
    ) -> None:
        self._identity = identity
        self._resolution = resolution
        self._cookies = cookies
        self._changes = changes
        self._accepted = Recent[Principal](ttl_s, capacity)
        self._refused = Recent[DomainError](ttl_s, capacity)
        self._asking = SingleFlight[Verdict]()

    async def principal(self, request: Request, origin: Origin) -> Principal:
        """The caller, in the tenant that they act for.

        The credential is that of the Authorization header, else that of the session cookie. Raises Unauthenticated
        without a valid one, CsrfFailed for a cookie whose use is not proved meant, Forbidden for a suspended holder,
        TenantNotFound when the request names a tenant that the credential does not open, TenantAmbiguous when it
        names two. Platform administrators may name any tenant.
        """
        credential = _bearer(request, self._cookies)
        found = self._known(credential)
        if found is None:
            found = await self._asking.ask(credential, lambda: self._verdict(credential))
        if isinstance(found, DomainError):
            raise type(found)(found.detail, faults=found.faults, retry_after=found.retry_after)
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

    def _known(self, credential: str) -> Verdict | None:
        principal = self._accepted.get(credential)
        if principal is None:
            return self._refused.get(credential)
        return self._accepted.get(credential, self._changes.latest(principal.tenant_id))

    async def _verdict(self, credential: str) -> Verdict:
        asked_at = time.monotonic()
        try:
            principal = await self._identity.authenticate(credential)
        except (Unauthenticated, Forbidden) as error:
            verdict = error.with_traceback(None)
            self._refused.put(credential, verdict, asked_at)
            return verdict
        except DomainError as error:
            return error.with_traceback(None)
        self._accepted.put(credential, principal, asked_at)
        return principal


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
