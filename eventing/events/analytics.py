"""Facts about figures that are not as expected."""

from dataclasses import dataclass
from typing import Any, ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyDetected(EventData):
    """A figure was not as expected in a whole bucket of time, from `start` to before `end` (RFC 3339).

    `lower` and `upper` bound what would have been as expected; `compared_with` are the values of the same weekday or
    hour before, with their `start`. `unusual_since` is the first bucket of those that were not as expected one after
    the other. `explanation` says all that in a sentence.
    """

    type: ClassVar[str] = "analytics.anomaly_detected"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "anomaly_id"
    anomaly_id: str
    alarm_id: str
    form_id: str
    name: str
    measure: str
    bucket: str
    timezone: str
    start: str
    end: str
    direction: str
    value: float
    expected: float
    lower: float
    upper: float
    unusual_since: str
    compared_with: list[Any]
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetected(EventData):
    """Fields were answered differently from `start` to before `end` than from `reference_since` to before `start`.

    Each of `fields` has its id, title, indices, and the values whose shares changed most, as in the answer of
    `GET /api/v2/analytics/forms/{form_id}/drift`. Fields with personal data are not looked at.
    """

    type: ClassVar[str] = "analytics.drift_detected"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "anomaly_id"
    anomaly_id: str
    alarm_id: str
    form_id: str
    name: str
    start: str
    end: str
    reference_since: str
    unusual_since: str
    fields: list[Any]
    explanation: str
