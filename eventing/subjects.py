"""The names on the wire: `events.<tenant>.<type>` for facts, `nudge.*` (core NATS, lossy) to wake somebody early."""

import re
from typing import Final

from eventing.errors import InvalidSubject

EVENTS_FILTER: Final = "events.>"
NUDGE_RELAY: Final = "nudge.relay"
NUDGE_PUBLISHED: Final = "nudge.published"
"""Of which tenants events were published: a JSON array of their ids (core NATS, lossy)."""

EDGE_TALLY: Final = "edge.tally"
"""What each edge tells the others of the requests that it admitted (core NATS, lossy)."""

NUDGE_CHANGED: Final = "nudge.changed"
"""Which tenants changed, and in what: an array of who tells it and an array of topics (core NATS, lossy)."""

_CHANGED: Final = "changed."

_TOKEN = re.compile(r"[a-z0-9_-]+")


def event_subject(tenant_id: str, event_type: str) -> str:
    """The subject of one tenant's events of a dotted type, e.g. `events.acme.response.submitted`.

    Raises InvalidSubject unless the tenant and every part of the type match `[a-z0-9_-]+`: a wildcard or an
    empty part would reach another tenant's subject, and the client library lets both through.
    """
    return ".".join(("events", _token(tenant_id), *map(_token, event_type.split("."))))


def event_filter(event_type: str) -> str:
    """The filter for events of one type from all tenants, e.g. `events.*.response.submitted`."""
    return ".".join(("events", "*", *map(_token, event_type.split("."))))


def tenant_filter(tenant_id: str) -> str:
    """The filter for all events of one tenant, e.g. `events.acme.>`. Raises InvalidSubject."""
    return f"events.{_token(tenant_id)}.>"


def job_nudge(queue: str) -> str:
    """The subject that wakes the workers of a queue. Raises InvalidSubject."""
    return f"nudge.jobs.{_token(queue)}"


def change_topic(area: str, tenant_id: str) -> str:
    """The topic of commits that change something of a tenant. An area is the first word of the types of events."""
    return f"{_CHANGED}{area}.{tenant_id}"


def change_in(topic: str) -> tuple[str, str] | None:
    """The area and the tenant that a topic tells of; None for one about something else."""
    if not topic.startswith(_CHANGED):
        return None
    area, _, tenant_id = topic.removeprefix(_CHANGED).partition(".")
    return area, tenant_id


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise InvalidSubject(f"{text!r} cannot be part of a subject: only a-z, 0-9, '_' and '-' are allowed")
    return text
