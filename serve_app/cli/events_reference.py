"""The reference of events, made from the catalogue that is recorded, delivered and streamed."""

from collections.abc import Mapping
from typing import Any

import orjson

from deployments.events.contracts import EventType
from deployments.events.service import known_types

_HEAD = """# Events

What can happen, by name. Every event carries the members that
[the guide](../guides/events.md) describes; `data` is what its type says here, and `version` counts the changes of that.
Events of earlier versions stay as they were recorded. This page is made by `formstream events` from
`eventing/events/catalogue.py`; `GET /api/v1/events/types` has the same, with a JSON Schema of each `data`.

| Event | Version | Webhooks | Audit trail | What it means |
|---|---|---|---|---|
"""


def reference() -> str:
    """All types of events as a Markdown page."""
    kinds = known_types().data
    return _HEAD + "".join(_row(kind) for kind in kinds) + "".join(_section(kind) for kind in kinds)


def _row(kind: EventType) -> str:
    link = f"[`{kind.type}`](#{kind.type.replace('.', '')})"
    marks = " | ".join("yes" if mark else "" for mark in (kind.delivered, kind.audited))
    return f"| {link} | {kind.version} | {marks} | {kind.description} |\n"


def _section(kind: EventType) -> str:
    members = ", ".join(f"`{name}` ({_type(schema)})" for name, schema in kind.data_schema["properties"].items())
    example = orjson.dumps(kind.example, option=orjson.OPT_INDENT_2).decode()
    return f"\n## {kind.type}\n\n{kind.description} Carries {members}.\n\n```json\n{example}\n```\n"


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema["type"] == "array" and "type" in schema.get("items", {}):
        return f"array of {schema['items']['type']}"
    return str(schema["type"])
