"""Every event type is on the catalogue's one page, closed, versioned and readable from the wire (E1)."""

import dataclasses
import re
import types
import typing
from typing import Any

import pytest

from eventing.events.catalogue import CATALOGUE, TYPES
from eventing.events.envelope import EventData, Origin
from eventing.outbox import make_event
from eventing.subjects import event_filter, event_subject
from tests.architecture.rooms import modules

# Two parts: what it is about, and what happened to it, in the past tense.
SHAPE = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
SAMPLES: dict[Any, Any] = {str: "täxt", int: 3, bool: True, float: 0.5, list: ["a", "b"], dict: {"a": [1, None, "ü"]}}


def _example(kind: type[EventData]) -> EventData:
    hints = typing.get_type_hints(kind)
    return kind(**{spec.name: _sample(hints[spec.name]) for spec in dataclasses.fields(kind)})  # type: ignore[arg-type]


def _sample(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _sample(typing.get_args(hint)[0])
    return SAMPLES[origin or hint]


def test_every_event_class_is_in_the_catalogue() -> None:
    """E1: nobody can emit what is not documented."""
    # With slots, a dataclass is made twice; the first of the two can be reached by nobody.
    defined = {
        kind
        for module in modules()
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, EventData) and kind.__module__ == module.__name__
    }

    assert defined - {EventData} == set(CATALOGUE)


def test_type_names_are_unique() -> None:
    assert len(TYPES) == len(CATALOGUE)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.type)
class TestEventType:
    def test_has_a_well_formed_type_and_version(self, kind: type[EventData]) -> None:
        assert SHAPE.fullmatch(kind.type)
        assert isinstance(kind.version, int)
        assert kind.version >= 1
        assert kind.__doc__

    def test_names_its_entity(self, kind: type[EventData]) -> None:
        """E3: order is kept per entity, so every event says which one it is about."""
        fields = {spec.name for spec in dataclasses.fields(kind)}  # type: ignore[arg-type]

        assert kind.entity in fields
        assert typing.get_type_hints(kind)[kind.entity] is str

    def test_has_a_subject(self, kind: type[EventData]) -> None:
        assert event_subject("acme", kind.type) == f"events.acme.{kind.type}"
        assert event_filter(kind.type) == f"events.*.{kind.type}"

    def test_round_trips_over_the_wire(self, kind: type[EventData]) -> None:
        fact = _example(kind)
        event = make_event(fact, tenant_id="acme", actor="usr_1", origin=Origin("request-1", "192.0.2.1", "agent"))

        received = type(event).decode(event.encode())

        assert received == event
        assert received.read(kind) == fact

    def test_refuses_an_undeclared_field(self, kind: type[EventData]) -> None:
        event = make_event(_example(kind), tenant_id="acme", actor="usr_1", origin=Origin())
        strange = dataclasses.replace(event, data={**event.data, "surprise": 1})

        with pytest.raises(ValueError, match="surprise"):
            strange.read(kind)

    def test_keeps_the_actors_address_inside(self, kind: type[EventData]) -> None:
        origin = Origin("request-1", "192.0.2.1", "agent")

        public = make_event(_example(kind), tenant_id="acme", actor="usr_1", origin=origin).public()

        assert public.keys() == {"type", "id", "timestamp", "tenant_id", "data"}
        assert "192.0.2.1" not in str(public)
