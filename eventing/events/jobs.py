"""Facts about jobs."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(EventData):
    """A job was given up after its last attempt."""

    type: ClassVar[str] = "job.failed"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "job_id"
    job_id: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCompleted(EventData):
    """A file was brought in."""

    type: ClassVar[str] = "import.completed"
    entity: ClassVar[str] = "job_id"
    job_id: str
    form_id: str
    imported: int
    skipped: int
    failed: int
