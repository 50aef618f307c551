"""One payload of every type and version of event that was ever written, kept as it was.

A file is made once, by `python -m tests.eventing.corpus`, and never changed or removed: events of that version are in
databases and backups, and have to be read for ever.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from eventing.events.envelope import Event, EventData, Origin
from eventing.events.example import example_of
from eventing.events.schema import schema_of

FOLDER = Path(__file__).parent


def file_of(kind: type[EventData]) -> Path:
    """Where the payload of the type's present version is kept."""
    return FOLDER / f"{kind.type}.v{kind.version}.json"


def payload_of(kind: type[EventData]) -> bytes:
    """What is kept of a new version: an event as it goes on the wire, and the shape of its data."""
    data = example_of(kind)
    event = Event(
        id="evt_0190a3f5c1d27c3e8b1f4a6d9e2c7b50",
        type=kind.type,
        version=kind.version,
        timestamp=datetime(2026, 3, 1, 12, tzinfo=UTC),
        tenant_id="acme",
        entity_id=data[kind.entity],
        form_id=data.get("form_id"),
        actor="usr_0190a3f5c1d27c3e8b1f4a6d9e2c7b50",
        origin=Origin("0190a3f5c1d27c3e8b1f4a6d9e2c7b50", "192.0.2.1", "agent/1.0"),
        data=data,
    )
    kept: dict[str, Any] = {"event": orjson.Fragment(event.encode()), "data_schema": schema_of(kind)}
    return orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
