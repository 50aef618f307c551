"""Facts about reports."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportGenerated(EventData):
    """A report on a form's responses was made, which can be fetched until `expires_at` (RFC 3339)."""

    type: ClassVar[str] = "report.generated"
    entity: ClassVar[str] = "report_id"
    report_id: str
    form_id: str
    language: str
    responses: int
    bytes: int
    expires_at: str
