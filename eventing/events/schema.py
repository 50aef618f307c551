"""The shape of an event's data as JSON Schema."""

from typing import Any

from pydantic import TypeAdapter

from eventing.events.envelope import EventData


def schema_of(kind: type[EventData]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a type's data: closed, every member named."""
    schema = TypeAdapter(kind).json_schema()
    for member in schema["properties"].values():
        member.pop("title", None)
    return {name: schema[name] for name in ("type", "properties", "required", "additionalProperties") if name in schema}
