"""Facts about responses."""

from dataclasses import dataclass
from typing import Any, ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSubmitted(EventData):
    """A person answered a form. `answers` are as stored; `imported` marks those brought in from a file."""

    type: ClassVar[str] = "response.submitted"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    form_version: int
    status: str
    answers: dict[str, Any]
    imported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDeleted(EventData):
    """A response went to the trash."""

    type: ClassVar[str] = "response.deleted"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
