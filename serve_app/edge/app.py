"""The Sanic application: every operation registered, the framework's own opinions switched off."""

import itertools
import re
from types import SimpleNamespace
from typing import TypeAlias

from sanic import Sanic
from sanic.config import Config
from sanic.http import Http

from serve_app.edge.account_pages import ACCOUNT_PAGES
from serve_app.edge.apis import Apis
from serve_app.edge.connections import Admission
from serve_app.edge.errors import ProblemHandler
from serve_app.edge.form_pages.assets import FORM_ASSETS
from serve_app.edge.form_pages.hosted import HostedForms
from serve_app.edge.limits import RateLimits
from serve_app.edge.metrics import Metrics
from serve_app.edge.operations import Operation
from serve_app.edge.pipeline import Pipeline
from serve_app.edge.recent import Changes
from serve_app.edge.routes import OPERATIONS
from serve_app.edge.routes.platform import platform_operations
from serve_app.edge.settings import EdgeSettings

SanicApp: TypeAlias = Sanic[Config, SimpleNamespace]

_numbers = itertools.count(1)

# How much of a refused body is still read, so that its sender gets to see the answer instead of a reset.
_REFUSED_BODY = 16 * 1024 * 1024


def create_app(apis: Apis, settings: EdgeSettings, limits: RateLimits, changes: Changes) -> SanicApp:
    """The application for one event loop; see Pipeline for `limits` and `changes`.

    Unregister it (`Sanic.unregister_app`) when it is no longer needed.
    """
    # Sanic keeps applications by name, for the whole process.
    name = f"formstream-edge-{next(_numbers)}"
    app = Sanic(name, config=_config(settings), error_handler=ProblemHandler(), configure_logging=False)
    app.ctx.admission = Admission(settings.max_connections, settings.max_connections_per_address)
    # For refused methods: the framework names the permitted ones only where an address has no parameters.
    app.ctx.addresses = []
    metrics = Metrics(apis.lanes)
    pipeline = Pipeline(apis, settings, metrics, limits, changes)
    addresses: dict[str, list[Operation]] = {}
    pages = (*ACCOUNT_PAGES, *FORM_ASSETS, *HostedForms().operations())
    for operation in (*OPERATIONS, *pages, *platform_operations(OPERATIONS, settings, metrics)):
        _register(app, pipeline, operation)
        addresses.setdefault(operation.path, []).append(operation)
    for number, (path, operations) in enumerate(addresses.items()):
        methods = {"OPTIONS", *(method for operation in operations for method in _methods(operation))}
        allow = ", ".join(sorted(methods))
        app.ctx.addresses.append((re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), allow))
        preflight = pipeline.preflight(operations, allow)
        app.route(_template(path), methods=("OPTIONS",), name=f"options_{number}", error_format="json")(preflight)
    return app


def _register(app: SanicApp, pipeline: Pipeline, operation: Operation) -> None:
    app.route(
        _template(operation.path),
        methods=_methods(operation),
        name=operation.id,
        # The pipeline reads bodies itself: after the credential, and up to the operation's own limit.
        ignore_body=True,
        # Said here, or Sanic reads the handler's source code to find out.
        error_format="json",
    )(pipeline.handler(operation))


def _methods(operation: Operation) -> tuple[str, ...]:
    # A streamed answer is not made only to be thrown away, and a redirect is a step of a login that is taken once.
    if operation.method == "GET" and operation.response_media_type != "text/csv" and operation.status != 302:
        return ("GET", "HEAD")
    return (operation.method,)


def _template(path: str) -> str:
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
