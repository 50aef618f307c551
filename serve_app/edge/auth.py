"""Who is asking: from the Authorization header to a verified Principal, before anything else is looked at."""

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TypeAlias

from sanic import Request

from deployments.identity.contracts import IdentityApi
from deployments.kit.calls import Origin
from deployments.kit.errors import DomainError, Forbidden, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from serve_app.edge.cookies import CookieSessions
from serve_app.edge.resolution import Resolution, TenantNotFound

_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")
_PLATFORM_ADMIN = "platform:admin"

Verdict: TypeAlias = Principal | DomainError


class Authenticator:
    """Asks identity who holds a credential, and remembers the answer for `ttl_s` seconds.

    So a revoked credential works for at most `ttl_s` seconds more. Refusals are remembered apart from principals:
    a flood of invalid credentials cannot push valid ones out. Requests with the same credential share one question.
    """

    def __init__(
        self,
        identity: IdentityApi,
        resolution: Resolution,
        cookies: CookieSessions,
        *,
        ttl_s: float = 1.0,
        capacity: int = 10_000,
    ) -> None:
        self._identity = identity
        self._resolution = resolution
        self._cookies = cookies
        self._accepted = _Recent(ttl_s, capacity)
        self._refused = _Recent(ttl_s, capacity)
        self._asking: dict[str, asyncio.Task[Verdict]] = {}

    async def principal(self, request: Request, origin: Origin) -> Principal:
        """The caller, in the tenant that they act for.

        The credential is that of the Authorization header, else that of the session cookie. Raises Unauthenticated
        without a valid one, CsrfFailed for a cookie whose use is not proved meant, Forbidden for a suspended holder,
        TenantNotFound when the request names a tenant that the credential does not open, TenantAmbiguous when it
        names two. Platform administrators may name any tenant.
        """
        credential = _bearer(request, self._cookies)
        found = self._accepted.get(credential)
        if found is None:
            found = self._refused.get(credential) or await self._ask(credential)
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

    async def _ask(self, credential: str) -> Verdict:
        task = self._asking.get(credential)
        if task is None:
            task = self._asking[credential] = asyncio.create_task(self._verdict(credential))
            task.add_done_callback(lambda _: self._asking.pop(credential, None))
        # Shielded: a client that leaves must not fail the others who wait for the same answer.
        return await asyncio.shield(task)

    async def _verdict(self, credential: str) -> Verdict:
        try:
            principal = await self._identity.authenticate(credential)
        except (Unauthenticated, Forbidden) as error:
            verdict = error.with_traceback(None)
            self._refused.put(credential, verdict)
            return verdict
        except DomainError as error:
            return error.with_traceback(None)
        self._accepted.put(credential, principal)
        return principal


class _Recent:
    """The latest verdicts, each for a while."""

    def __init__(self, ttl_s: float, capacity: int) -> None:
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._entries: OrderedDict[str, tuple[float, Verdict]] = OrderedDict()

    def get(self, credential: str) -> Verdict | None:
        entry = self._entries.get(credential)
        if entry is None:
            return None
        if entry[0] < time.monotonic():
            del self._entries[credential]
            return None
        return entry[1]

    def put(self, credential: str, verdict: Verdict) -> None:
        # All entries live equally long, so the oldest is also the first to end.
        self._entries.pop(credential, None)
        self._entries[credential] = (time.monotonic() + self._ttl_s, verdict)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


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
