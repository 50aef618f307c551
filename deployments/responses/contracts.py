"""What crosses the door of responses: submitting, reading, exporting."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class SubmitResponse:
    """Answers as they came: `body` is the JSON text of `{"answers": {…}, "meta": {…}}`, parsed by the context.

    Exactly one of `slug` and `form_id` names the form. A plain class and raw bytes, because this is the hot path.
    """

    body: bytes
    slug: str | None = None
    form_id: str | None = None
    idempotency_key: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return SubmitResponse, (self.body, self.slug, self.form_id, self.idempotency_key)


@dataclass(frozen=True, slots=True)
class SubmittedResponse:
    """The stored response. `replayed`: an earlier call with the same key had stored it already."""

    id: str
    status: Literal["complete", "partial"]
    version: int
    submitted_at: datetime
    replayed: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        return SubmittedResponse, (self.id, self.status, self.version, self.submitted_at, self.replayed)


class SubmissionBody(Contract):
    """The request body of a submission, for the API document."""

    answers: dict[str, Any] = Field(description="Answers by field id.")
    meta: dict[str, Any] = Field(default_factory=dict, description="Anything the client wants to keep beside them.")


class Receipt(Contract):
    """The answer to a submission."""

    id: str
    status: Literal["complete", "partial"]
    version: int
    submitted_at: datetime


class Response(Contract):
    """One person's answers to one version of a form."""

    id: str
    form_id: str
    version: int
    status: Literal["complete", "partial"]
    answers: dict[str, Any]
    meta: dict[str, Any]
    submitted_by: str
    submitted_at: datetime


class Selection(Contract):
    """Which responses; everything that is given must hold. See docs/reference/query.md.

    `filter` is `{field: {operator: value}}`, `where` the text form of the same, `q` words of the answers' texts.
    """

    filter: dict[str, Any] = Field(default_factory=dict)
    where: str | None = None
    q: str | None = None
    status: str | None = None
    version: int | None = None


class ListResponses(Selection):
    """Which responses, in which order: by metadata or an answer, `-` for descending; without a value they come last.

    `fields` names the answers to give, all when it is null.
    """

    form_id: str
    sort: str = "-submitted_at"
    fields: list[str] | None = None
    cursor: str | None = None
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)
    include_total: bool = False


class Change(Contract):
    """A response as it was left by its last change; none when it was deleted."""

    id: str
    change: int = Field(description="Number of the change; higher than that of every earlier change of the form.")
    deleted: bool
    response: Response | None


class Changes(Contract):
    """The next changes of a form's responses. `next_cursor` is always given: ask with it again for what comes later."""

    data: list[Change]
    next_cursor: str
    has_more: bool = Field(description="Whether there are more at once.")


class ExportResponses(Selection):
    """Which responses, and which columns (keys of columns, or ids of fields for all of theirs); all when null."""

    columns: list[str] | None = None


class ImportRow(Contract):
    """A response that was given elsewhere. `key` names it within its source, so that it is taken once."""

    key: str
    line: int
    answers: dict[str, Any]
    meta: dict[str, Any] = Field(default_factory=dict)
    submitted_at: datetime | None = None


class RejectedRow(Contract):
    line: int
    detail: str


class ImportOutcome(Contract):
    """What became of a batch of rows: stored, known already, refused with reasons."""

    imported: int
    skipped: int
    rejected: list[RejectedRow]


class ExportChunk(Contract):
    """A piece of a CSV file (UTF-8) and where the next one starts; null after the last."""

    content: bytes
    next_cursor: str | None


class ResponsesApi(Protocol):
    """Taking, reading and exporting responses."""

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse: ...

    async def get(self, principal: Principal, response_id: str) -> Response: ...

    async def list_responses(self, principal: Principal, query: ListResponses) -> Page[Response]: ...

    async def list_changes(self, principal: Principal, form_id: str, after: str | None, limit: int) -> Changes:
        """The responses that changed after the cursor, by their last change. Misses none, whenever it is asked."""
        ...

    async def delete(self, principal: Principal, response_id: str) -> None: ...

    async def import_rows(self, principal: Principal, form_id: str, rows: list[ImportRow]) -> ImportOutcome: ...

    async def export_csv(
        self, principal: Principal, form_id: str, cursor: str | None, wanted: ExportResponses | None = None
    ) -> ExportChunk:
        """The next piece of the form's responses as CSV, oldest first; the header comes with the first piece."""
        ...
