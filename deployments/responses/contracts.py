"""What crosses the door of responses: submitting, reading, exporting."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from deployments.kit.review import ReviewState
from deployments.responses.life_contracts import (
    AssignResponse,
    BulkChange,
    ChangeTags,
    Comment,
    EditResponse,
    Language,
    PartialResponse,
    PutComment,
    PutReview,
    ResponseDiff,
    ResponseVersion,
    RevertResponse,
    StartedBulk,
    TagCount,
    Timings,
)
from deployments.responses.verdict_contracts import Verdict

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
    """The stored response. `replayed`: an earlier call with the same key had stored it already.

    A partial one has a `resume_token`, which is known to nobody else and works until `expires_at`.
    """

    id: str
    status: Literal["complete", "partial"]
    version: int
    submitted_at: datetime
    replayed: bool = False
    resume_token: str | None = None
    expires_at: datetime | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        values = (self.id, self.status, self.version, self.submitted_at, self.replayed)
        return SubmittedResponse, (*values, self.resume_token, self.expires_at)


class SubmissionBody(Contract):
    """The request body of a submission, for the API document."""

    answers: dict[str, Any] = Field(description="Answers by field id.")
    meta: dict[str, Any] = Field(default_factory=dict, description="Anything the client wants to keep beside them.")
    status: Literal["complete", "partial"] = Field(
        default="complete",
        description="`partial` saves answers without asking for the required ones; see `resume_token`.",
    )
    started_at: datetime | None = Field(default=None, description="When the person began, by the client's clock.")
    timings: Timings | None = None
    honeypot: str | None = Field(
        default=None, max_length=10_000, description="A field that people do not see: with text in it, it is spam."
    )
    language: Language | None = None
    captcha_token: str | None = Field(
        default=None, max_length=4_096, description="What the form's captcha gave, see `captcha` of the public form."
    )


class Receipt(Contract):
    """The answer to a submission."""

    id: str
    status: Literal["complete", "partial"]
    version: int
    submitted_at: datetime
    resume_token: str | None = Field(
        default=None, description="Of a partial response: what `/api/v1/public/responses/{resume_token}` takes. Secret."
    )
    expires_at: datetime | None = Field(default=None, description="How long the token works; each save renews it.")


class Response(Contract):
    """One person's answers to one version of a form."""

    id: str
    form_id: str
    version: int
    status: Literal["complete", "partial", "quarantined"]
    answers: dict[str, Any]
    meta: dict[str, Any]
    submitted_by: str
    submitted_at: datetime = Field(description="Of a partial response: when it was begun.")
    revision: int = Field(default=1, description="Counts the versions of the answers.")
    updated_at: datetime | None = Field(default=None, description="When anything was last changed.")
    started_at: datetime | None = None
    seconds: float | None = Field(default=None, description="From the start to the submission.")
    timings: dict[str, int] | None = Field(default=None, description="Milliseconds by page id.")
    review: ReviewState = "none"
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    assignee: str | None = Field(default=None, description="The person who is to deal with it.")
    tags: list[str] = Field(default_factory=list)
    suspicion: list[str] = Field(default_factory=list, description="Why it was taken for spam, when it is quarantined.")
    spam_score: float | None = Field(
        default=None, description="With `ai` among the reasons: the probability of spam that the model gave."
    )
    masked: list[str] = Field(
        default_factory=list, description="Answered fields with personal data that are null for you."
    )
    inference: dict[str, dict[str, Verdict]] = Field(
        default_factory=dict, description="What models say, by field and then by name; without what you do not see."
    )


class ResponseDetails(Response):
    """A response with everything that was said about it."""

    comments: list[Comment]
    replayed: bool = Field(default=False, exclude=True)


@dataclass(frozen=True, slots=True)
class WrittenResponse:
    """The JSON text of a `ResponseDetails`, and the revision that it tells of."""

    content: bytes
    revision: int


class TrashedResponse(Response):
    """A response in the trash, and when it will be purged."""

    deleted_at: datetime
    deleted_by: str
    purge_at: datetime


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


RowFormat = Literal["csv", "jsonl", "arrow", "sheet"]
"""How the rows of an export are written: CSV, JSON Lines, an Arrow stream, or the rows of a spreadsheet's XML."""


class ExportResponses(Selection):
    """Which responses in which order, and which columns (keys of columns, or ids of fields for all of theirs); all when
    null.

    Without `labels` there are ids of options and columns instead. With `lists` an answer of several options is one
    column. With `file_links` files are told by their addresses instead of their ids. `details` are more columns of
    metadata. JSON Lines are responses as the list has them.
    """

    sort: str = "submitted_at"
    columns: list[str] | None = None
    labels: bool = True
    lists: bool = False
    details: bool = False
    file_links: bool = False


METADATA: Final = (
    *("_id", "_submitted_at", "_version", "_status", "_submitted_by", "_started_at", "_seconds", "_revision"),
    *("_updated_at", "_review", "_assignee", "_language", "_tags", "_commented", "_has_files", "_change"),
)
"""The columns of metadata that rows with `details` have, by their keys."""


class ImportRow(Contract):
    """A response that was given elsewhere. `key` names it within its source, so that it is taken once."""

    key: str
    line: int
    answers: dict[str, Any]
    meta: dict[str, Any] = Field(default_factory=dict)
    submitted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CarriedResponse:
    """A response of another backend to a version of a form."""

    form_id: str
    version: int
    answers: dict[str, Any]
    meta: dict[str, Any]
    submitted_by: str
    submitted_at: datetime
    started_at: datetime | None = None


class RejectedRow(Contract):
    line: int
    detail: str


class ImportOutcome(Contract):
    """What became of a batch of rows: stored, known already, refused with reasons."""

    imported: int
    skipped: int
    rejected: list[RejectedRow]


class ExportChunk(Contract):
    """The next `rows` of an export and where those after them start; null after the last."""

    content: bytes
    next_cursor: str | None
    rows: int = 0


class ExportState(Contract):
    """What an export would be made of now. The same `tag` means the same rows; `rows` counts them when asked to, null
    when that takes too long."""

    tag: str
    rows: int | None = None


class ChangedMonths(Contract):
    """The months (`2026-03`, in UTC) of complete responses that changed after a change, up to the change `change`, when
    the form had `version` as its newest."""

    change: int
    version: int
    months: list[str]
    personal: list[str] = Field(description="The fields with personal data.")


class ChangedRows(Contract):
    """What became of a form's responses after a change, up to `through`: those that are complete and neither in the
    trash nor in quarantine as a stream of Arrow's IPC format, of the others the ids. A table that has the rows of each
    piece put in the place of those with the same ids, and the `gone` ones taken out, is the form's as of the last
    piece."""

    content: bytes
    gone: list[str]
    through: int
    has_more: bool = Field(description="Whether there are more at once.")
    personal: list[str] = Field(description="The fields with personal data.")


class ResponsesApi(Protocol):
    """Taking, reading and exporting responses."""

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        """The stored response. Raises CaptchaPending when a provider has to be asked first: see `submit_screened`."""
        ...

    async def submit_screened(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        """The same, which takes as long as a provider of captchas needs to answer."""
        ...

    async def resume(self, principal: Principal, token: str) -> PartialResponse:
        """What was saved under a token. Raises PartialNotFound, AlreadyCompleted."""
        ...

    async def save_partial(
        self, principal: Principal, token: str, body: bytes, idempotency_key: str | None
    ) -> PartialResponse:
        """Merge answers into what was saved, or complete it. Raises PartialNotFound, AlreadyCompleted, InvalidAnswers,
        FormClosed, FormFull and the failures of the key."""
        ...

    async def save_screened(
        self, principal: Principal, token: str, body: bytes, idempotency_key: str | None
    ) -> PartialResponse:
        """The same for a call that raised CaptchaPending; takes as long as a provider of captchas needs to answer."""
        ...

    async def get(self, principal: Principal, response_id: str) -> ResponseDetails:
        """A response. Raises ResponseNotFound."""
        ...

    async def get_as_json(self, principal: Principal, response_id: str) -> WrittenResponse:
        """What `get` answers as JSON, for those who only hand it on."""
        ...

    async def list_responses(self, principal: Principal, query: ListResponses) -> Page[Response]:
        """A page. Raises Invalid with every fault of the query, FormNotFound, SearchBehind, DeadlineExceeded."""
        ...

    async def list_as_json(self, principal: Principal, query: ListResponses) -> bytes:
        """What `list_responses` answers as JSON, for those who only hand it on."""
        ...

    async def pick(self, principal: Principal, form_id: str, ids: list[str], selection: Selection) -> list[Response]:
        """Those of these responses of a form that a selection without words finds, in any order. Raises Invalid,
        FormNotFound."""
        ...

    async def edit(
        self, principal: Principal, response_id: str, command: EditResponse, idempotency_key: str | None
    ) -> ResponseDetails:
        """The response with changed answers. Raises ResponseNotFound, RevisionOutdated, InvalidAnswers, NotComplete and
        the failures of the key."""
        ...

    async def revert(
        self, principal: Principal, response_id: str, command: RevertResponse, idempotency_key: str | None
    ) -> ResponseDetails:
        """The response with the answers of an earlier revision, as a new one."""
        ...

    async def list_versions(
        self, principal: Principal, response_id: str, cursor: str | None, limit: int
    ) -> Page[ResponseVersion]: ...

    async def get_version(self, principal: Principal, response_id: str, revision: int) -> ResponseVersion: ...

    async def diff(self, principal: Principal, response_id: str, before: int | None, after: int | None) -> ResponseDiff:
        """What changed between two revisions; by default between the latest two."""
        ...

    async def quarantine(self, principal: Principal, response_id: str) -> ResponseDetails:
        """Take a response for spam. Raises ResponseNotFound, Unquarantinable."""
        ...

    async def release(self, principal: Principal, response_id: str, override_quotas: bool = False) -> ResponseDetails:
        """Take a suspect for an honest response. Raises ResponseNotFound, NotReleasable, FormFull, QuotaReached,
        InvalidAnswers, AlreadyAnswered."""
        ...

    async def review(self, principal: Principal, response_id: str, command: PutReview) -> ResponseDetails: ...

    async def assign(self, principal: Principal, response_id: str, command: AssignResponse) -> ResponseDetails: ...

    async def change_tags(self, principal: Principal, response_id: str, command: ChangeTags) -> ResponseDetails: ...

    async def list_tags(self, principal: Principal, form_id: str) -> Page[TagCount]: ...

    async def list_comments(self, principal: Principal, response_id: str) -> Page[Comment]: ...

    async def add_comment(self, principal: Principal, response_id: str, command: PutComment) -> Comment: ...

    async def edit_comment(
        self, principal: Principal, response_id: str, comment_id: str, command: PutComment
    ) -> Comment: ...

    async def delete_comment(self, principal: Principal, response_id: str, comment_id: str) -> None: ...

    async def delete(self, principal: Principal, response_id: str) -> None:
        """Put a response in the trash."""
        ...

    async def list_trash(
        self, principal: Principal, form_id: str, cursor: str | None, limit: int
    ) -> Page[TrashedResponse]: ...

    async def restore(self, principal: Principal, response_id: str, override_quotas: bool = False) -> ResponseDetails:
        """Take a response out of the trash. Raises ResponseNotFound, FormFull, QuotaReached, InvalidAnswers,
        AlreadyAnswered."""
        ...

    async def purge(self, principal: Principal, response_id: str) -> None:
        """Remove a response in the trash for good."""
        ...

    async def start_bulk(
        self, principal: Principal, form_id: str, command: BulkChange, idempotency_key: str | None
    ) -> StartedBulk:
        """Order a job that changes many responses. Raises FormNotFound and the failures of the key."""
        ...

    async def list_changes(self, principal: Principal, form_id: str, after: str | None, limit: int) -> Changes:
        """The responses that changed after the cursor, by their last change. Misses none, whenever it is asked."""
        ...

    async def changes_as_json(self, principal: Principal, form_id: str, after: str | None, limit: int) -> bytes:
        """What `list_changes` answers as JSON, for those who only hand it on."""
        ...

    async def import_rows(self, principal: Principal, form_id: str, rows: list[ImportRow]) -> ImportOutcome: ...

    async def export_chunk(
        self,
        principal: Principal,
        form_id: str,
        cursor: str | None,
        wanted: ExportResponses | None = None,
        rows: RowFormat = "csv",
    ) -> ExportChunk:
        """The next rows of the form's responses; the header comes with the first. Each call sees the responses as they
        are at its time; the columns are those of the first call. Raises FormNotFound, Invalid, FeatureDisabled,
        SearchBehind, DeadlineExceeded."""
        ...

    async def export_state(
        self, principal: Principal, form_id: str, wanted: ExportResponses, *, count: bool = False
    ) -> ExportState:
        """What an export would be made of. Raises as `export_chunk` does."""
        ...

    async def changed_rows(
        self, principal: Principal, form_id: str, after: int, wanted: ExportResponses, limit: int
    ) -> ChangedRows:
        """The next rows that changed after a change, in the columns that `wanted` says; it selects and sorts nothing.
        Raises FormNotFound, DeadlineExceeded."""
        ...

    async def changed_months(self, principal: Principal, form_id: str, after: int) -> ChangedMonths:
        """Where complete responses, or what is left of them, changed after a change. Raises FormNotFound."""
        ...
