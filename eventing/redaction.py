"""Events of which a person was erased: the facts stay, what they tell of the person goes."""

from dataclasses import replace
from typing import Any, Final

from eventing.events.catalogue import CATALOGUE
from eventing.events.envelope import Event, Origin

_PERSONAL: Final = {kind.type: kind.personal for kind in CATALOGUE}

TELLING: Final = tuple(sorted(name for name, fields in _PERSONAL.items() if fields))
"""The types of events that tell of the person who answered."""


def redacted(envelope: str) -> str:
    """The stored text of an event without the person: same id, type, time and entity, so it can be replayed.

    The personal fields of its type are empty, and so is its origin. Raises ValueError when the text is no event.
    """
    event = Event.decode(envelope)
    fields = _PERSONAL.get(event.type, tuple(event.data))
    emptied: dict[str, Any] = {name: type(event.data[name])() for name in fields if name in event.data}
    return replace(event, origin=Origin(), data={**event.data, **emptied}).encode()
