"""What crosses the door of audit: entries of the trail, and whether it is whole."""

from datetime import datetime
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal


class AuditEntry(Contract):
    """One thing somebody did. `hash` is the SHA-256 of the rest, with the hash of the entry before."""

    sequence: int
    at: datetime
    actor: str = Field(description="Id of the person or key, `system:…` for the platform itself.")
    action: str = Field(description="What was done, as in `form.published`.")
    entity_id: str
    form_id: str | None
    address: str
    user_agent: str
    request_id: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


class FindEntries(Contract):
    """Which entries, newest first; what is not given does not matter."""

    actor: str | None = Field(default=None, max_length=200, description="Id of the person or key.")
    action: str | None = Field(default=None, max_length=100, description="What was done, as in `form.published`.")
    entity_id: str | None = Field(default=None, max_length=200, description="Id of what it was done to.")
    form_id: str | None = Field(default=None, max_length=200, description="Id of the form it belongs to.")
    since: AwareDatetime | None = Field(default=None, description="Not before this time.")
    until: AwareDatetime | None = Field(default=None, description="Before this time.")


class AuditHead(Contract):
    """The end of the chain: who knows it from earlier can tell whether the chain was replaced since."""

    sequence: int
    hash: str


class Verification(Contract):
    """Whether the chain is whole."""

    valid: bool
    entries: int = Field(description="How many entries were checked.")
    head: AuditHead
    first_broken: int | None = Field(description="Sequence of the first entry that is changed, missing or extra.")


class AuditApi(Protocol):
    """What was done in a tenant, by whom, from where; provably unchanged."""

    async def list_entries(
        self, principal: Principal, query: FindEntries, cursor: str | None, limit: int
    ) -> Page[AuditEntry]: ...

    async def verify(self, principal: Principal) -> Verification: ...

    async def holds(self, principal: Principal, sequence: int, digest: str) -> bool: ...
