"""Facts about responses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from eventing.events.envelope import EventData, Upcast


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSubmitted(EventData):
    """A person answered a form. `answers` are as stored; `imported` marks those brought in from a file."""

    type: ClassVar[str] = "response.submitted"
    audited: ClassVar[bool] = False
    personal: ClassVar[tuple[str, ...]] = ("answers",)
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    form_version: int
    status: str
    answers: dict[str, Any]
    imported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStarted(EventData):
    """A person saved a part of their answers for the first time."""

    type: ClassVar[str] = "response.started"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    form_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseUpdated(EventData):
    """Somebody changed the answers of a response. `changed` are the fields; what they hold is asked for."""

    type: ClassVar[str] = "response.updated"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    form_version: int
    revision: int
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReviewed(EventData):
    """Somebody decided about a response: `review` took the place of `previous`."""

    type: ClassVar[str] = "response.reviewed"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    review: str
    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseAssigned(EventData):
    """A response was given to a person, or to nobody."""

    type: ClassVar[str] = "response.assigned"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    assignee: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTagged(EventData):
    """Tags were added to a response, or taken from it."""

    type: ClassVar[str] = "response.tagged"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    added: list[str]
    removed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCommented(EventData):
    """Somebody commented on a response, or changed or removed a comment, as `action` says."""

    type: ClassVar[str] = "response.commented"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    comment_id: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDeleted(EventData):
    """A response went to the trash."""

    type: ClassVar[str] = "response.deleted"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseQuarantined(EventData):
    """A response was taken for spam and is kept apart. `reasons` are the names of the signs; with `ai` among them
    `score` is the probability of spam that the model gave."""

    type: ClassVar[str] = "response.quarantined"
    version: ClassVar[int] = 2
    older: ClassVar[Mapping[int, Upcast]] = {1: lambda data: {**data, "score": None}}
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    reasons: list[str]
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReleased(EventData):
    """A response that had been taken for spam was released; `response.submitted` follows if there was none yet."""

    type: ClassVar[str] = "response.released"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRestored(EventData):
    """A response came back from the trash."""

    type: ClassVar[str] = "response.restored"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsePurged(EventData):
    """A response was removed for good: from the trash, or because nobody went on with it in time."""

    type: ClassVar[str] = "response.purged"
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
