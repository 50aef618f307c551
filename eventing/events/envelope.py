"""What every event carries around its data, and how it is spelled on the wire (CloudEvents 1.0 attributes)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, TypeVar

import orjson
from pydantic import ConfigDict, TypeAdapter


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change came from: the request behind it, and its W3C trace context."""

    request_id: str = ""
    address: str = ""
    user_agent: str = ""
    traceparent: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # Crosses a handle with each call; the generated state methods of slotted dataclasses cost five times this.
        return Origin, (self.request_id, self.address, self.user_agent, self.traceparent)


Upcast: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


class EventData:
    """Mark of the classes that describe a fact. `entity` names the field that holds the entity's id.

    What people and programs did on purpose is `audited`; what follows from it, in great numbers, is not. `personal`
    names the fields that tell of the person who answered, and are emptied when that person is erased.

    Events are kept for ever, so a class whose fields change gets the next `version`, and in `older` the step from each
    earlier version to the one after it: a function from data to data, by the version that it takes.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1
    older: ClassVar[Mapping[int, Upcast]] = MappingProxyType({})
    audited: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ()
    entity: ClassVar[str]
    __slots__: ClassVar[tuple[str, ...]] = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


Data = TypeVar("Data", bound=EventData)
Kind: TypeAlias = type[Data]  # inside `Event`, `type` is a field


@dataclass(frozen=True, slots=True)
class Event:
    """A fact with its circumstances. `timestamp` is aware UTC; `data` is what the type's class describes."""

    id: str
    type: str
    version: int
    timestamp: datetime
    tenant_id: str
    entity_id: str
    form_id: str | None
    actor: str
    origin: Origin = field(default_factory=Origin)
    data: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> str:
        """The JSON text that is stored and sent."""
        return orjson.dumps(self).decode()

    @classmethod
    def decode(cls, text: str | bytes) -> "Event":
        """The event of a stored text. Raises ValueError when it is not one."""
        event: Event = _adapter(cls).validate_json(text)
        return event

    def read(self, kind: Kind[Data]) -> Data:
        """The data as its class, brought up to the class's version. Raises ValueError when it does not fit."""
        if kind.type != self.type:
            raise ValueError(f"{self.type} is not {kind.type}")
        data: Data = _adapter(kind).validate_python(self._upcast(kind))
        return data

    def _upcast(self, kind: Kind[Data]) -> dict[str, Any]:
        if self.version > kind.version:
            raise ValueError(f"{self.type} of version {self.version} is newer than this program")
        data = self.data
        for version in range(self.version, kind.version):
            if version not in kind.older:
                raise ValueError(f"nothing reads version {version} of {self.type}")
            data = kind.older[version](data)
        return data

    def public(self) -> dict[str, Any]:
        """What leaves the platform: without the actor's address and agent."""
        return {
            "type": self.type,
            "id": self.id,
            "timestamp": self.timestamp,
            "tenant_id": self.tenant_id,
            "data": self.data,
        }


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def data_of(fact: EventData) -> dict[str, Any]:
    """The fields of a fact, one level deep (nested values are plain already)."""
    # The slots of these classes are their fields; `dataclasses.fields` would build a list for every event.
    return {name: getattr(fact, name) for name in fact.__slots__}
