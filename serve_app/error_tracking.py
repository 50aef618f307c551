"""Defects, told to a tracker that speaks Sentry's protocol; nothing of it is loaded while none is configured.

What is told: the type of the exception, where in the code it was raised, of which request, tenant, operation or job.
Never its message, local variables, the request or its body: people's answers and secrets get into all of these.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from serve_app.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_TOLD: Final = ("request_id", "tenant", "operation", "context", "method", "kind", "job", "consumer", "duty")
_LONGEST: Final = 200
_CLOSE_S: Final = 2.0


def open_tracker(settings: Settings, service: str) -> ErrorTracker | None:
    """The tracker of a process with this name; None where none is configured."""
    dsn = settings.sentry_dsn.get_secret_value()
    return ErrorTracker(dsn, service, settings.sentry_environment) if dsn else None


class ErrorTracker:
    """Tells of every exception that is logged as an error. A step of the log's chain, see `serve_app.logging`."""

    def __init__(self, dsn: str, service: str, environment: str) -> None:
        from sentry_sdk import Client

        self._service = service
        self._client = Client(
            dsn=dsn,
            environment=environment,
            release=f"formstream@{_version()}",  # else the library asks git
            # Integrations look into requests, variables and other libraries; what is told comes from the log alone.
            default_integrations=False,
            auto_enabling_integrations=False,
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            before_send=_bare,
        )

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Tell of the line's exception, if it has one and is an error; the line goes on as it is."""
        if event.get("level") in ("error", "critical") and (raised := _raised(event.get("exc_info"))) is not None:
            self._tell(raised, event)
        return event

    async def close(self) -> None:
        """Send what waits. What a tracker that is away does not take is lost."""
        await asyncio.to_thread(self._client.close, timeout=_CLOSE_S)

    def _tell(self, raised: BaseException, line: Mapping[str, Any]) -> None:
        from sentry_sdk.utils import event_from_exception

        event, hint = event_from_exception(raised, self._client.options, {"type": "log", "handled": True})
        # Lines of libraries quote what they work on; ours have fixed words, and what varies in fields.
        event["logger"] = str(line.get("logger") or self._service)
        event["transaction"] = "" if "_record" in line else str(line.get("event", ""))
        told = {name: str(line[name])[:_LONGEST] for name in _TOLD if line.get(name)}
        event["tags"] = {"service": self._service, **told}
        self._client.capture_event(event, hint)


def _version() -> str:
    try:
        return importlib.metadata.version("formstream")
    except importlib.metadata.PackageNotFoundError:
        return "checkout"


def _raised(info: Any) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        raised: BaseException | None = info[1]
        return raised
    return sys.exc_info()[1] if info else None


def _bare(event: Event, _: Hint) -> Event:
    """Take out, last of all, what may quote somebody, wherever it came from."""
    for part in ("request", "user", "extra", "breadcrumbs", "logentry", "message"):
        event.pop(part, None)  # type: ignore[misc]
    for exception in event.get("exception", {}).get("values", ()):
        exception["value"] = ""
        exception.pop("mechanism", None)
        for frame in (exception.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    return event
