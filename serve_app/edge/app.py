"""The Sanic application: every operation registered, the framework's own opinions switched off."""

import itertools
from types import SimpleNamespace
from typing import TypeAlias

from sanic import Sanic
from sanic.config import Config
from sanic.http import Http

from serve_app.edge.account_pages import ACCOUNT_PAGES
from serve_app.edge.apis import Apis
from serve_app.edge.errors import ProblemHandler
from serve_app.edge.metrics import Metrics
from serve_app.edge.operations import Operation
from serve_app.edge.pipeline import Pipeline
from serve_app.edge.routes import OPERATIONS
from serve_app.edge.routes.platform import platform_operations
from serve_app.edge.settings import EdgeSettings

SanicApp: TypeAlias = Sanic[Config, SimpleNamespace]

_numbers = itertools.count(1)

# How much of a refused body is still read, so that its sender gets to see the answer instead of a reset.
_REFUSED_BODY = 16 * 1024 * 1024


def create_app(apis: Apis, settings: EdgeSettings) -> SanicApp:
    """The application for one event loop. Unregister it (`Sanic.unregister_app`) when it is no longer needed."""
    # Sanic keeps applications by name, for the whole process.
    name = f"formstream-edge-{next(_numbers)}"
    app = Sanic(name, config=_config(settings), error_handler=ProblemHandler(), configure_logging=False)
    metrics = Metrics(apis.lanes)
    pipeline = Pipeline(apis, settings, metrics)
    for operation in (*OPERATIONS, *ACCOUNT_PAGES, *platform_operations(OPERATIONS, settings, metrics)):
        _register(app, pipeline, operation)
    return app


def _register(app: SanicApp, pipeline: Pipeline, operation: Operation) -> None:
    # A streamed answer is not made only to be thrown away.
    headable = operation.method == "GET" and operation.response_media_type != "text/csv"
    app.route(
        operation.path.replace("{", "<").replace("}", ":str>"),
        methods=("GET", "HEAD") if headable else (operation.method,),
        name=operation.id,
        # The pipeline reads bodies itself: after the credential, and up to the operation's own limit.
        ignore_body=True,
        # Said here, or Sanic reads the handler's source code to find out.
        error_format="json",
    )(pipeline.handler(operation))


def _config(settings: EdgeSettings) -> Config:
    config = Config(env_prefix=None)
    config.ACCESS_LOG = False
    config.MOTD = False
    config.REQUEST_MAX_SIZE = _REFUSED_BODY
    config.REQUEST_TIMEOUT = 15
    config.RESPONSE_TIMEOUT = 60
    config.KEEP_ALIVE_TIMEOUT = 75
    config.PROXIES_COUNT = settings.proxies or None
    # Sanic rewrites its own classes for speed, which works once in a process.
    config.TOUCHUP = not getattr(Http, "__touched__", False)
    return config
