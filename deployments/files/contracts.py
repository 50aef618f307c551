"""What crosses the door of files: references to bytes, never the bytes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.downloads import OpenedFile
from deployments.kit.principal import Principal

MAX_LINK_LIFE_S = 7 * 86_400


class BeginUpload(Contract):
    """The wish to send a file for a field of a form, named by exactly one of `slug` and `form_id`.

    `size` in bytes is exact, or with `at_most` what it will not exceed.
    """

    slug: str | None = None
    form_id: str | None = None
    field: str = Field(max_length=200)
    name: str = Field(max_length=1_000)
    size: int = Field(ge=1)
    at_most: bool = False


class Upload(Contract):
    """A file on its way: `offset` bytes of `size` are there. Its pieces go below the key `folder` of the object store.

    `upload_id` is secret: whoever knows it may go on with the upload. `is_short_of_quota` tells that it is the tenant's
    storage quota that allows no more than `size`. `file` is there when all bytes are and were found good.
    """

    id: str
    form_id: str
    upload_id: str
    offset: int
    size: int
    expires_at: datetime
    folder: str
    is_short_of_quota: bool = False
    file: "StoredFile | None" = None


class AppendPart(Contract):
    """A piece that lies in the object store. With `is_last` the file ends with it, short of its size if need be."""

    start: int
    size: int
    object: str
    is_last: bool = False


class StoredFile(Contract):
    """A file that can be an answer: `id` is what the answer names."""

    id: str
    name: str
    size: int = Field(description="In bytes, as it is kept: metadata of images is gone.")
    type: str = Field(description="Media type, found out from the content.")
    sha256: str


class FileInfo(Contract):
    """What is known of a file. `scanned`: a malware scanner found nothing in it."""

    id: str
    form_id: str
    field: str
    response_id: str | None
    name: str
    size: int
    type: str
    sha256: str
    scanned: bool
    uploaded_by: str
    created_at: datetime


class CreateLink(Contract):
    """How long the link is good."""

    expires_in: int | None = Field(
        default=None, ge=1, le=MAX_LINK_LIFE_S, description="In seconds; 15 minutes unless the platform says otherwise."
    )


class FileLink(Contract):
    """An address that anybody can fetch the file from until `expires_at`."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file of another backend, found good, whose bytes are in the object store under its id."""

    id: str
    form_id: str
    field_id: str
    name: str
    type: str
    size: int
    sha256: str
    scanned: bool
    uploaded_by: str


class FilesApi(Protocol):
    """Files of answers: taking, finding, handing out."""

    async def begin_upload(self, principal: Principal, command: BeginUpload) -> Upload: ...

    async def find_upload(self, principal: Principal, upload_id: str) -> Upload: ...

    async def append_part(self, principal: Principal, upload_id: str, part: AppendPart) -> Upload: ...

    async def cancel_upload(self, principal: Principal, upload_id: str, short_of_quota: bool) -> None:
        """Forget an upload, or a file that no response has yet. `short_of_quota` tells of the quota that ended it."""
        ...

    async def list_files(
        self, principal: Principal, response_id: str, cursor: str | None, limit: int
    ) -> Page[FileInfo]: ...

    async def get_file(self, principal: Principal, file_id: str) -> FileInfo: ...

    async def open_file(self, principal: Principal, file_id: str) -> OpenedFile: ...

    async def create_link(self, principal: Principal, file_id: str, command: CreateLink) -> FileLink: ...

    async def open_link(self, principal: Principal, link: str) -> OpenedFile: ...
