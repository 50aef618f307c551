"""Facts about what models did."""

from dataclasses import dataclass
from typing import Any, ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceCompleted(EventData):
    """Models looked at a revision of a response. `results` are by field and then by name: what `inference` of the
    response says, and `vector` where only the direction of the text was kept."""

    type: ClassVar[str] = "inference.completed"
    audited: ClassVar[bool] = False
    personal: ClassVar[tuple[str, ...]] = ("results",)
    entity: ClassVar[str] = "response_id"
    response_id: str
    form_id: str
    form_version: int
    revision: int
    results: dict[str, Any]
