"""Facts about exports of responses."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCompleted(EventData):
    """A form's responses were made into a file, which can be fetched until `expires_at` (RFC 3339)."""

    type: ClassVar[str] = "export.completed"
    entity: ClassVar[str] = "export_id"
    export_id: str
    form_id: str
    format: str
    rows: int
    bytes: int
    expires_at: str
