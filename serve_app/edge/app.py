"""The Sanic application: every operation registered, the framework's own opinions switched off."""

import itertools
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeAlias

from sanic import Sanic
from sanic.config import Config
from sanic.http import Http

from deployments.kit.cache import Caches
from serve_app.edge.account_pages import ACCOUNT_PAGES
from serve_app.edge.addresses import Address, Handler, router
from serve_app.edge.apis import Apis
from serve_app.edge.connections import Admission
from serve_app.edge.errors import ProblemHandler
from serve_app.edge.form_pages.assets import FORM_ASSETS
from serve_app.edge.form_pages.hosted import HostedForms
from serve_app.edge.limits import RateLimits
from serve_app.edge.live import LiveEvents
from serve_app.edge.lobby import Lobby
from serve_app.edge.metrics import Metrics
from serve_app.edge.operations import Operation
from serve_app.edge.pipeline import Pipeline
from serve_app.edge.routes import OPERATIONS
from serve_app.edge.routes.platform import platform_operations
from serve_app.edge.settings import EdgeSettings
from serve_app.edge.shedding import Shedding
from serve_app.edge.unsubscribe_pages import UNSUBSCRIBE_PAGES

SanicApp: TypeAlias = Sanic[Config, SimpleNamespace]
Around: TypeAlias = Callable[[Operation, Handler], Handler]

_numbers = itertools.count(1)

# How much of a refused body is still read, so that its sender gets to see the answer instead of a reset.
_REFUSED_BODY = 16 * 1024 * 1024


def create_app(
    apis: Apis,
    settings: EdgeSettings,
    limits: RateLimits,
    caches: Caches,
    live: LiveEvents,
    around: Around | None = None,
) -> SanicApp:
    """The application for one event loop; see Pipeline for `limits`, `caches` and `live`, and Edge for `around`.

    Unregister it (`Sanic.unregister_app`) when it is no longer needed.
    """
    metrics = Metrics(apis.lanes, lambda: live.listeners, caches)
    shedding = Shedding()
    pipeline = Pipeline(apis, settings, metrics, limits, caches, live, shedding)
    handlers: dict[str, Handler] = {}
    addresses: list[Address] = []
    permitted: list[tuple[re.Pattern[str], str]] = []
    shared: dict[str, list[Operation]] = {}
    pages = (*ACCOUNT_PAGES, *UNSUBSCRIBE_PAGES, *FORM_ASSETS, *HostedForms().operations())
    for operation in (*OPERATIONS, *pages, *platform_operations(OPERATIONS, settings, metrics)):
        addresses.append(Address(_template(operation.path), _methods(operation), operation.id, reads_body=True))
        handler = pipeline.handler(operation)
        handlers[operation.id] = handler if around is None else around(operation, handler)
        shared.setdefault(operation.path, []).append(operation)
    for number, (path, operations) in enumerate(shared.items()):
        methods = {"OPTIONS", *(method for operation in operations for method in _methods(operation))}
        allow = ", ".join(sorted(methods))
        permitted.append((re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), allow))
        name = f"options_{number}"
        addresses.append(Address(_template(path), ("OPTIONS",), name, reads_body=False))
        handlers[name] = pipeline.preflight(operations, allow)
    app = Sanic(
        f"formstream-edge-{next(_numbers)}",  # Sanic keeps applications by name, for the whole process
        config=_config(settings),
        error_handler=ProblemHandler(),
        router=router(tuple(addresses)),
        configure_logging=False,
    )
    app.ctx.admission = Admission(settings.max_connections, settings.max_connections_per_address)
    app.ctx.shedding = shedding
    app.ctx.lobby = Lobby()
    app.ctx.metrics = metrics
    # For refused methods: the framework names the permitted ones only where an address has no parameters.
    app.ctx.addresses = permitted
    app.ctx.handlers = handlers
    return app


def _methods(operation: Operation) -> tuple[str, ...]:
    # A streamed answer is not made only to be thrown away, and a redirect is a step of a login that is taken once.
    streamed = operation.response_media_type in ("text/csv", "text/event-stream")
    if operation.method == "GET" and not streamed and operation.status != 302:
        return ("GET", "HEAD")
    return (operation.method,)


def _template(path: str) -> str:
    path = re.sub(r"\{(\w+)\}\.(\w+)", r"<\1:ext=\2>", path)
    return path.replace("{", "<").replace("}", ":str>")


def _config(settings: EdgeSettings) -> Config:
    config = Config(env_prefix=None)
    config.ACCESS_LOG = False
    config.MOTD = False
    config.REQUEST_MAX_SIZE = _REFUSED_BODY
    # Typed as whole numbers by the framework, which only compares them.
    config.REQUEST_TIMEOUT = settings.head_timeout_s  # type: ignore[assignment]
    config.RESPONSE_TIMEOUT = 60
    config.KEEP_ALIVE_TIMEOUT = settings.idle_timeout_s  # type: ignore[assignment]
    config.WRITE_TIMEOUT = settings.write_timeout_s
    config.PROXIES_COUNT = settings.proxies or None
    # Sanic rewrites its own classes for speed, which works once in a process.
    config.TOUCHUP = not getattr(Http, "__touched__", False)
    return config
