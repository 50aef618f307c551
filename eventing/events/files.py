"""Facts about files."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUploaded(EventData):
    """Somebody sent a file for a field of a form, and it was found good. No response has it yet."""

    type: ClassVar[str] = "file.uploaded"
    audited: ClassVar[bool] = False
    personal: ClassVar[tuple[str, ...]] = ("name",)
    entity: ClassVar[str] = "file_id"
    file_id: str
    form_id: str
    field: str
    name: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRejected(EventData):
    """A file was sent and not taken; `reason` is the code of the refusal, `file.infected` for malware."""

    type: ClassVar[str] = "file.rejected"
    personal: ClassVar[tuple[str, ...]] = ("name",)
    entity: ClassVar[str] = "file_id"
    file_id: str
    form_id: str
    field: str
    name: str
    reason: str
