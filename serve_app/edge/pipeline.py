"""What happens to every request between the server and its handler, in one order for all of them:
credential, permission, rate limit, address, headers, body, handler, answer, count, log."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import structlog
from pydantic import BaseModel
from sanic import Request
from sanic.exceptions import SanicException

from deployments.identity.contracts import TenantProfile
from deployments.kit.cache import Caches
from deployments.kit.calls import CALLER
from deployments.kit.errors import DomainError, NotFound, Unauthenticated
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.responses.life_contracts import tenant_in
from serve_app.edge.answer import Answer
from serve_app.edge.apis import Apis
from serve_app.edge.auth import Authenticator
from serve_app.edge.cookies import CookieSessions
from serve_app.edge.correlation import correlation_id, origin
from serve_app.edge.cors import Cors
from serve_app.edge.dispatch import NoRoom
from serve_app.edge.errors import framework_problem
from serve_app.edge.limits import RateLimited, RateLimits
from serve_app.edge.live import LiveEvents
from serve_app.edge.maintenance import current, is_refused, refusal
from serve_app.edge.metrics import Metrics
from serve_app.edge.operations import Access, Body, Exchange, Headers, Operation, Reply
from serve_app.edge.parsing import parse_json, parse_query, read_body, require_json
from serve_app.edge.resolution import Resolution
from serve_app.edge.settings import EdgeSettings
from serve_app.edge.shedding import Shedding
from serve_app.edge.tenants import Tenants

log = structlog.get_logger(__name__)

_BEARER_SEGMENT = "{resume_token}"
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


_STRICT: Headers = (("strict-transport-security", "max-age=31536000"),)
_PUBLIC_FORM: Headers = (("cross-origin-resource-policy", "cross-origin"),)


@dataclass(slots=True)
class _Visit:
    """What is found out about a request on its way in, and needed on its way out."""

    principal: Principal | None = None
    profile: TenantProfile | None = None
    limits: Headers = ()


class Pipeline:
    """Turns operations into the framework's handlers. `limits` are shared with the other edges, `caches` hear
    of changes of tenants, and `live` hears of events, by whoever owns the pipeline; `shedding` learns of
    refusals for want of room."""

    def __init__(
        self,
        apis: Apis,
        settings: EdgeSettings,
        metrics: Metrics,
        limits: RateLimits,
        caches: Caches,
        live: LiveEvents,
        shedding: Shedding,
    ) -> None:
        self._shedding = shedding
        self._apis = apis
        self._settings = settings
        self._metrics = metrics
        self._objects = ObjectStore(settings.object_store_url, **settings.object_store_options)
        self._cookies = CookieSessions(settings)
        self._cors = Cors(settings)
        self._transport = _STRICT if settings.secure else ()
        self._limits = limits
        self._tenants = Tenants(apis.credentials, caches, domain=settings.tenant_domain)
        self._live = live
        self._resolution = Resolution(self._tenants, settings)
        self._authenticator = Authenticator(apis.credentials, apis.identity, self._resolution, self._cookies, caches)

    def handler(self, operation: Operation) -> Callable[..., Coroutine[Any, Any, Answer | None]]:
        """The framework's handler for an operation. It raises nothing but cancellation."""
        limit: int = getattr(self._settings, operation.max_body)
        waits = is_refused(operation)

        async def handle(request: Request, **path: str) -> Answer | None:
            metrics = self._metrics
            started = perf_counter()
            metrics.in_flight += 1
            error: DomainError | None = None
            visit = _Visit()
            try:
                if waits and (maintenance := await current(self._tenants)) is not None:
                    raise refusal(maintenance)
                principal = await self._admit(operation, request, path, visit)
                answer = await self._answer(operation, request, principal, path, limit, visit)
            except DomainError as failure:
                error = failure
                answer = operation.problem(failure, request)
            except SanicException as failure:
                answer = framework_problem(failure, request)
            except Exception:
                log.exception("request failed", request_id=correlation_id(request), operation=operation.id)
                error = DomainError()
                answer = operation.problem(error, request)
            finally:
                metrics.in_flight -= 1
            if answer is not None:
                answer.add(self._outward(operation, request, visit))
            status = answer.status if answer is not None else operation.status
            duration = perf_counter() - started
            if answer is not None and isinstance(error, NoRoom):
                self._shedding.note(request, operation.id, answer, error.has_room)
            metrics.observe(operation.id, status, duration)
            if status >= 400 or duration > self._settings.slow_s or self._settings.access_log:
                self._log(operation, request, visit.principal, status, duration, error)
            return answer

        handle.__name__ = operation.id
        return handle

    def _outward(self, operation: Operation, request: Request, visit: _Visit) -> Headers:
        """What protects every answer of this address, when it ends, what is left of rate limits, and what a page of
        another origin is told."""
        fixed = _PUBLIC_FORM if operation.scope is Access.PUBLIC and "{tenant}" in operation.path else ()
        ending = operation.deprecated.headers(request.match_info) if operation.deprecated is not None else ()
        headers = (*self._transport, *fixed, *ending, *visit.limits)
        if "origin" not in request.headers:
            return headers
        allowed = visit.profile.allowed_origins if visit.profile is not None else ()
        anonymous = operation.scope is Access.PUBLIC
        return (*headers, *self._cors.headers(request, allowed, anonymous=anonymous))

    def preflight(self, operations: Sequence[Operation], methods: str) -> Callable[..., Coroutine[Any, Any, Answer]]:
        """The framework's handler for OPTIONS at the address of `operations`, which takes `methods`.

        A preflight has no credential, so where one is needed nothing tells whose origins count. Every origin may ask
        there, without cookies: the answer is only readable for the origins of the credential's tenant.
        """
        public = any(operation.scope is Access.PUBLIC for operation in operations)

        async def handle(request: Request, **path: str) -> Answer:
            allowed: Sequence[str] = () if public else ("*",)
            if (named := _named(path)) is not None:
                with suppress(DomainError):
                    profile = await self._tenants.find(await self._resolution.of_path(request, {"tenant": named}))
                    allowed = profile.allowed_origins if profile is not None else ()
            headers = (*self._transport, *self._cors.preflight(request, methods, allowed))
            return Answer(204, b"", "", correlation_id(request), headers)

        return handle

    async def _admit(self, operation: Operation, request: Request, path: dict[str, str], visit: _Visit) -> Principal:
        """The caller, who may use the operation and has not used it too often."""
        scope = operation.scope
        circumstances = origin(request)
        # Of this request from here on: the connection's task has answered others before.
        CALLER.set(circumstances)
        if scope is Access.PUBLIC:
            tenant_id = PLATFORM_TENANT
            if (named := _named(path)) is not None:
                tenant_id = await self._resolution.of_path(request, {"tenant": named})
            elif operation.selects_tenant:
                tenant_id = await self._resolution.of_nobody(request)
            principal = Principal.anonymous(tenant_id, circumstances)
        else:
            try:
                principal = await self._authenticator.principal(request, circumstances)
            except Unauthenticated:
                self._require_room(visit, self._limits.charge_refusal(circumstances.address))
                raise
        visit.principal = principal
        if operation.rate is not None:
            if principal.tenant_id != PLATFORM_TENANT:
                visit.profile = await self._profile(operation, principal.tenant_id)
            self._require_room(visit, self._limits.charge(operation.rate, principal, visit.profile))
        _permit(operation, principal, path)
        CALLER.set(principal)
        return principal

    async def _profile(self, operation: Operation, tenant_id: str) -> TenantProfile | None:
        try:
            return await self._tenants.find(tenant_id)
        except DomainError:
            # A directory that is away must not cost a submission: its own context may be there.
            if operation.scope is Access.PUBLIC:
                return None
            raise

    @staticmethod
    def _require_room(visit: _Visit, charged: tuple[Headers, float]) -> None:
        visit.limits, wait = charged
        if wait:
            raise RateLimited(retry_after=wait)

    async def _answer(
        self,
        operation: Operation,
        request: Request,
        principal: Principal,
        path: dict[str, str],
        limit: int,
        visit: _Visit,
    ) -> Answer | None:
        for segment in path.values():
            if not _SEGMENT.fullmatch(segment):
                raise NotFound

        async def renewed() -> Principal:
            found = await self._authenticator.principal(request, principal.origin)
            _permit(operation, found, path)
            return found

        exchange = Exchange(
            request, self._apis, self._settings, self._objects, principal, path, self._cookies, renewed, self._live
        )
        exchange.allowed_origins = visit.profile.allowed_origins if visit.profile is not None else ()
        if operation.query is not None:
            exchange.query = parse_query(request, operation.query)
        if operation.body is not Body.STREAM:
            exchange.body = await self._body(operation, request, limit)
        reply = await operation.handler(exchange)
        if reply.stream is not None:
            reply.headers = (*reply.headers, *self._outward(operation, request, visit))
            return await _stream(request, reply, reply.stream)
        answer = Answer(
            reply.status or operation.status, _encoded(reply), reply.media_type, correlation_id(request), reply.headers
        )
        if reply.length is not None:  # of what a GET would bring
            answer.headers["content-length"] = reply.length
        return answer

    async def _body(self, operation: Operation, request: Request, limit: int) -> Any:
        if operation.request is not None and not operation.optional_body:
            require_json(request)
        body = await read_body(request, limit, self._settings.deadline_s)
        if operation.optional_body and body:
            require_json(request)
        elif operation.optional_body:
            body = b"{}"
        return body if operation.adapter is None else parse_json(body, operation.adapter)

    def _log(
        self,
        operation: Operation,
        request: Request,
        principal: Principal | None,
        status: int,
        duration: float,
        error: DomainError | None,
    ) -> None:
        fields: dict[str, Any] = {
            "request_id": correlation_id(request),
            "operation": operation.id,
            "method": request.method,
            # Whoever has a resume token may read what was saved under it.
            "path": operation.path if _BEARER_SEGMENT in operation.path else request.path[:512],
            "status": status,
            "duration_ms": round(duration * 1000, 1),
        }
        if principal is not None:
            fields |= {"tenant": principal.tenant_id, "subject": principal.subject}
        if error is not None:
            fields["code"] = error.code
        (log.error if status >= 500 else log.info)("request", **fields)


def _permit(operation: Operation, principal: Principal, path: Mapping[str, str]) -> None:
    """Raise Forbidden unless the principal has the permission that the operation needs."""
    scope = operation.scope
    if isinstance(scope, str) and not (operation.per_form and principal.forms_granted(scope)):
        principal.require(scope, path.get("form_id"))


def _named(path: Mapping[str, str]) -> str | None:
    """The tenant that the address of a public operation names."""
    return tenant_in(path["resume_token"]) if "resume_token" in path else path.get("tenant")


def _encoded(reply: Reply) -> bytes:
    value = reply.value
    if isinstance(value, BaseModel):
        return value.model_dump_json().encode()
    return value or b""


async def _stream(request: Request, reply: Reply, stream: AsyncIterator[bytes]) -> Answer | None:
    """Send a stream. Failing before its first piece is an ordinary failure; after it, the connection is broken,
    so that nobody takes what came for the whole."""
    async with _closing(stream) as pieces:
        return await _send(request, reply, pieces)


@asynccontextmanager
async def _closing(stream: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """The stream; what it holds is given back at once, and not when somebody gets around to it."""
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def _send(request: Request, reply: Reply, pieces: AsyncIterator[bytes]) -> Answer | None:
    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        first = b""
    response = Answer(reply.status or 200, b"", reply.media_type, correlation_id(request), reply.headers)
    if reply.length is not None:
        response.headers["content-length"] = reply.length
    try:
        await request.respond(response)
        await response.send(first)
        async for piece in pieces:
            await response.send(piece)
        await response.send(b"", end_stream=True)
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("stream broken", request_id=correlation_id(request), path=request.path)
        cast(asyncio.Transport, request.transport).abort()
        raise asyncio.CancelledError from None
    return None
