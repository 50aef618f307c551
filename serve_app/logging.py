"""Logs as JSON lines on stderr, each with the tenant and the request it belongs to."""

import logging
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

from deployments.kit.principal import Principal
from eventing.caller import CALLER, current_origin

REDACTED = "[redacted]"
_SECRET_WORDS = ("authorization", "password", "secret", "token", "credential", "api_key", "cookie")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def configure(level: str = "info", service: str = "formstream", tracker: Processor | None = None) -> None:
    """Send every log of this process, structlog's and the standard library's, to stderr as JSON lines.

    `level` is the lowest level that is written: debug, info, warning, error or critical; ValueError for another.
    `service` names the process in each line, and `tracker` is told of them before exceptions become text.
    """
    # Serve replaces `sys.stderr` in replicas by a logger that holds lines back until it has a thousand.
    stream = sys.__stderr__ or sys.stderr
    threshold = _LEVELS.get(level.lower())
    if threshold is None:
        raise ValueError(f"unknown log level {level!r}; use one of {', '.join(_LEVELS)}")

    def name_service(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_service,
        add_caller,
        *([tracker] if tracker is not None else []),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)


def add_caller(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add `request_id` and `tenant` of the call that is being carried out."""
    caller = CALLER.get()
    if isinstance(caller, Principal):
        event.setdefault("tenant", caller.tenant_id)
    if request_id := current_origin().request_id:
        event.setdefault("request_id", request_id)
    return event


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of fields whose names say that they are secret, at any depth."""
    for name, value in event.items():
        event[name] = REDACTED if _is_secret(name) else _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: REDACTED if _is_secret(str(name)) else _redacted(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(member) for member in value]
    return value


@lru_cache(1_024)
def _is_secret(name: str) -> bool:
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in _SECRET_WORDS)


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")
