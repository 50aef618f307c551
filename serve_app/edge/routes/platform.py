"""The edge's own operations: health, metrics, the API document and its page."""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from functools import cache, partial

import orjson
import structlog

from deployments.identity.contracts import TenantProfile
from deployments.kit.errors import DomainError, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT
from serve_app.edge.apis import Probe
from serve_app.edge.docs import ASSETS, PAGE_POLICY, asset
from serve_app.edge.metrics import Metrics
from serve_app.edge.openapi import document
from serve_app.edge.operations import Access, Exchange, Handler, Operation, Reply
from serve_app.edge.postman import collection
from serve_app.edge.settings import EdgeSettings

log = structlog.get_logger(__name__)

_PROBE_S = 2.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def health(_: Exchange) -> Reply:
    return Reply(b'{"status":"ok"}')


async def ready(metrics: Metrics, x: Exchange) -> Reply:
    names = list(x.apis.probes)
    measured = asyncio.create_task(metrics.events.refresh(x.apis.events))
    platform = asyncio.create_task(_platform(x))
    failures = await asyncio.gather(*(_failure(name, x.apis.probes[name]) for name in names))
    await measured
    profile = await platform
    maintenance = profile.maintenance if profile is not None else None
    failing = [name for name, failed in zip(names, failures, strict=True) if failed]
    degraded = metrics.events.degraded
    report: dict[str, object] = {
        "status": "unavailable" if failing else "maintenance" if maintenance else "degraded" if degraded else "ok",
        "checked": names,
        "failing": failing,
        "degraded": degraded,
        "oldest_unpublished_event_s": metrics.events.oldest_unpublished_s,
    }
    if maintenance is not None:
        report["maintenance"] = maintenance.model_dump(mode="json")
    headers = (("retry-after", "1"),) if failing else ()
    return Reply(orjson.dumps(report), status=503 if failing else 200, headers=headers)


async def _platform(x: Exchange) -> TenantProfile | None:
    try:
        async with asyncio.timeout(_PROBE_S):
            return await x.apis.credentials.find_tenant(PLATFORM_TENANT)
    except (DomainError, TimeoutError):
        return None  # the probes say what is away


async def _failure(name: str, probe: Probe) -> bool:
    try:
        async with asyncio.timeout(_PROBE_S):
            await probe()
    except Exception as error:  # noqa: BLE001 - whatever a probe raises means the same
        log.warning("not ready", probe=name, reason=type(error).__name__)
        return True
    return False


async def health_cache(metrics: Metrics, x: Exchange) -> Reply:
    await metrics.caches.refresh(x.apis.caches)
    return Reply(orjson.dumps(metrics.caches.report()))


def _require_token(x: Exchange) -> None:
    wanted = f"Bearer {x.settings.metrics_token.get_secret_value()}"
    given = x.header("authorization") or ""
    if x.settings.metrics_token and not secrets.compare_digest(given.encode(), wanted.encode()):
        raise Unauthenticated("Send the token of the metrics as `Authorization: Bearer …`.")


async def metrics_text(metrics: Metrics, x: Exchange) -> Reply:
    _require_token(x)
    # Together: each waits a while for who does not answer.
    await asyncio.gather(
        metrics.events.refresh(x.apis.events),
        metrics.jobs.refresh(x.apis.jobs),
        metrics.caches.refresh(x.apis.caches),
        metrics.processes.refresh(x.apis.processes),
        metrics.webhooks.refresh(x.apis.webhooks),
        metrics.platform.refresh(x.apis.tenancy),
    )
    return Reply(metrics.render(), media_type=_TEXT)


async def openapi_document(rendered: Callable[[], bytes], _: Exchange) -> Reply:
    return Reply(await asyncio.to_thread(rendered), headers=(("cache-control", "public, no-cache"),))


async def docs_asset(name: str, _: Exchange) -> Reply:
    content, media_type = await asyncio.to_thread(asset, name)
    headers = (("cache-control", "public, max-age=3600"), ("content-security-policy", PAGE_POLICY))
    return Reply(content, media_type=media_type, headers=headers)


def platform_operations(
    operations: Iterable[Operation], settings: EdgeSettings, metrics: Metrics
) -> tuple[Operation, ...]:
    """The operations that describe and watch the others."""
    own: tuple[Operation, ...] = (
        _own("health", "/health", "Whether the edge runs", health),
        _own(
            "ready",
            "/health/ready",
            "Whether requests can be taken: 503 names who cannot; `degraded` names what else does not work",
            partial(ready, metrics),
        ),
        _own(
            "health_cache",
            "/health/cache",
            "What is remembered, and how often it answers",
            partial(health_cache, metrics),
        ),
        _own(
            "metrics",
            "/metrics",
            "Metrics of this replica; 401 where they have a token of their own",
            partial(metrics_text, metrics),
            "text/plain",
            errors=(401,),
        ),
    )
    if settings.docs:
        shown = (*operations, *own)
        rendered = cache(lambda: orjson.dumps(document(shown)))
        collected = cache(lambda: orjson.dumps(collection(document(shown))))
        own += (
            _own("openapi", "/api/v1/openapi.json", "This document", partial(openapi_document, rendered)),
            _own("postman", "/api/v1/postman.json", "It for Postman", partial(openapi_document, collected)),
            *(
                _own(f"docs_{name.replace('.', '_').replace('-', '_')}", path, name, partial(docs_asset, name), "*/*")
                for path, name in ASSETS
            ),
        )
    return own


def _own(
    operation_id: str,
    path: str,
    summary: str,
    handler: Handler,
    media_type: str = "application/json",
    errors: tuple[int, ...] = (),
) -> Operation:
    return Operation(
        id=operation_id,
        method="GET",
        path=path,
        summary=summary,
        tag="Platform",
        scope=Access.PUBLIC,
        rate=None,
        handler=handler,
        response=dict[str, object] if media_type == "application/json" else str,
        response_media_type=media_type,
        documented=media_type != "*/*",
        errors=errors,
    )
