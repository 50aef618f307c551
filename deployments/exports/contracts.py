"""What crosses the door of exports: files of responses, ordered and fetched later."""

from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.downloads import OpenedFile
from deployments.kit.principal import Principal

ExportFormat: TypeAlias = Literal["csv", "jsonl", "parquet", "xlsx"]
ExportStateName: TypeAlias = Literal["queued", "running", "ready", "failed", "cancelled"]

FORGET: Final = "exports.forget"
"""The job that takes responses out of the files that were made of them. Its payload is `{"form_id", "response_ids"}`,
its queue `batch`; order it in the transaction that removes the responses for good."""


class OrderExport(Contract):
    """An export to be made. Selection, order and columns are those of the list of responses."""

    format: ExportFormat
    filter: dict[str, Any] = Field(default={}, description="`{field: {operator: value}}`, as in the list.")
    where: str | None = Field(default=None, max_length=2000, description="The text form of a filter.")
    q: str | None = Field(default=None, max_length=500, description="Words that the texts of the answers have.")
    status: str | None = Field(default=None, max_length=20)
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    sort: str = Field(default="submitted_at", pattern="^-?[a-z][A-Za-z0-9_.-]{0,199}$")
    columns: list[str] | None = Field(
        default=None, max_length=5000, description="Columns in their order, or ids of fields; all by default."
    )
    labels: bool = Field(default=True, description="Labels of options and titles of columns, or else their ids.")
    lists: bool = Field(default=False, description="One column for an answer of several options.")
    details: bool = Field(default=False, description="More columns of metadata.")
    file_links: bool = Field(default=False, description="Addresses of files instead of their ids.")


class OrderedExport(Contract):
    """The job that makes the export."""

    export_id: str
    job_id: str
    replayed: bool = Field(default=False, exclude=True)


class Export(Contract):
    """An export of a form's responses."""

    id: str
    form_id: str
    job_id: str
    format: ExportFormat
    state: ExportStateName
    has_personal: bool = Field(description="Whether it may hold personal answers; then not everybody gets to see it.")
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime = Field(description="When it is removed.")
    rows: int
    bytes: int
    download_url: str | None = Field(description="Where the file is, when it is ready.")


class CreateExportLink(Contract):
    """How long the link is to work."""

    expires_in: int | None = Field(
        default=None, ge=1, le=604_800, description="Seconds; by default as long as the file is kept, and never longer."
    )


class ExportLink(Contract):
    """Opens the file for whoever has it."""

    url: str
    expires_at: datetime


class ExportsApi(Protocol):
    """Ordering exports and fetching them."""

    async def order(
        self, principal: Principal, form_id: str, command: OrderExport, idempotency_key: str | None
    ) -> OrderedExport:
        """Order a file. Raises FormNotFound, Invalid, FeatureDisabled, TooManyExports, KeyMismatch."""
        ...

    async def list_exports(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Export]:
        """The form's exports that the reader may fetch, newest first."""
        ...

    async def get(self, principal: Principal, export_id: str) -> Export:
        """An export. Raises ExportNotFound."""
        ...

    async def open(self, principal: Principal, export_id: str) -> OpenedFile:
        """Where the file lies. Raises ExportNotFound, ExportNotReady."""
        ...

    async def create_link(self, principal: Principal, export_id: str, command: CreateExportLink) -> ExportLink:
        """A link to the file that needs no credential. Raises ExportNotFound, ExportNotReady."""
        ...

    async def open_link(self, principal: Principal, link: str) -> OpenedFile:
        """Where the file of a link lies. Raises ExportNotFound, also for a link that is over."""
        ...

    async def delete(self, principal: Principal, export_id: str) -> None:
        """Remove an export; its job is ended. Raises ExportNotFound."""
        ...
