"""Facts about logging in with a provider of one's own."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class SsoConnectionCreated(EventData):
    """A tenant's people may log in with a provider."""

    type: ClassVar[str] = "sso_connection.created"
    entity: ClassVar[str] = "connection_id"
    connection_id: str
    name: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SsoConnectionUpdated(EventData):
    """What a tenant says about a provider changed; these are the names of what did."""

    type: ClassVar[str] = "sso_connection.updated"
    entity: ClassVar[str] = "connection_id"
    connection_id: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SsoConnectionDeleted(EventData):
    """A tenant's people may log in with a provider no more; who they are there was forgotten."""

    type: ClassVar[str] = "sso_connection.deleted"
    entity: ClassVar[str] = "connection_id"
    connection_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFederated(EventData):
    """An account was linked to who the person is at a provider."""

    type: ClassVar[str] = "user.federated"
    entity: ClassVar[str] = "user_id"
    user_id: str
    connection_id: str
    issuer: str
    subject: str
