"""Forecasts of figures, alarms on what is not as expected, and drift of what is answered."""

from datetime import datetime
from typing import Annotated, Final, Literal, Protocol, TypeAlias

from pydantic import EmailStr, Field, StringConstraints

from deployments.analytics.metric_contracts import Bucket, Measure
from deployments.kit.contract import Contract, Page
from deployments.kit.moments import WrittenMoment
from deployments.kit.principal import Principal

Model: TypeAlias = Literal["seasonal_naive", "ets", "mstl_ets"]
Sensitivity: TypeAlias = Literal["low", "medium", "high"]
Direction: TypeAlias = Literal["high", "low", "both"]
AlarmKind: TypeAlias = Literal["volume", "drift"]
AlarmName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\S$")]
TimeZone: TypeAlias = Annotated[
    str, Field(max_length=100, description="Of the IANA database, as in `Europe/Berlin`; UTC by default.")
]
FieldId: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]

MOST_HORIZON: Final = 400
"""Most buckets of a forecast."""


class AskForecast(Contract):
    """Which figure, how far ahead, and how wide the intervals are."""

    measure: Measure = "submissions"
    bucket: Bucket = "day"
    horizon: int = Field(default=14, ge=1, le=MOST_HORIZON, description="Buckets ahead, the present one first.")
    timezone: TimeZone = "UTC"
    level: float = Field(
        default=0.8, ge=0.5, le=0.99, description="Share of the buckets that are to lie in their interval."
    )


class ForecastPoint(Contract):
    """What is expected of the bucket that begins at `start`, and the interval for it. Never negative."""

    start: datetime
    expected: float
    lower: float
    upper: float


class ForecastSpan(Contract):
    """What a forecast learned from: complete buckets from `since` to `until`. `outliers` were taken for less than they
    are, because they fit to nothing around them."""

    since: datetime
    until: datetime
    buckets: int
    outliers: int


class ForecastAccuracy(Contract):
    """How a model fared when it had to say what is known by now, from several points in the past."""

    model: Model
    mase: float | None = Field(
        description="Mean absolute scaled error: 1 is what repeating the season before errs by; smaller is better."
    )
    smape: float = Field(description="Symmetric mean absolute percentage error, from 0 to 200.")
    coverage: float = Field(description="Share of the true values that lay in their intervals; `level` would be right.")
    forecasts: int = Field(description="How many values were compared.")


class Forecast(Contract):
    """What is to be expected. Where `enough` is false there is no forecast, and `reason` says why."""

    form_id: str
    measure: Measure
    bucket: Bucket
    timezone: str
    level: float
    enough: bool
    reason: str | None = None
    model: Model | None = None
    learned_from: ForecastSpan | None = None
    accuracy: ForecastAccuracy | None = None
    baseline: ForecastAccuracy | None = Field(default=None, description="The same of repeating the season before.")
    points: list[ForecastPoint] = Field(default=[])


class NewAlarm(Contract):
    """Tell when a figure is not as expected (`volume`), or when people answer differently than before (`drift`)."""

    name: AlarmName
    kind: AlarmKind = "volume"
    measure: Measure = "submissions"
    bucket: Literal["hour", "day", "week"] = Field(
        default="day", description="What is compared as a whole. Drift compares days or weeks with those before."
    )
    timezone: TimeZone = "UTC"
    direction: Direction = "both"
    sensitivity: Sensitivity = "medium"
    min_difference: float | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="What differs by less is never told. By default 10, for rates 0.1, for times 30 seconds.",
    )
    cooldown_hours: int = Field(default=24, ge=0, le=24 * 90, description="For so long after one nothing is told.")
    fields: list[FieldId] = Field(default=[], max_length=100, description="Of drift: these fields only; empty for all.")
    recipients: list[EmailStr] = Field(default=[], max_length=20, description="Who gets a mail.")
    enabled: bool = True


class ChangeAlarm(Contract):
    """What is given is changed; what an alarm looks at stays."""

    name: AlarmName | None = None
    direction: Direction | None = None
    sensitivity: Sensitivity | None = None
    min_difference: float | None = Field(default=None, ge=0, le=1_000_000_000)
    cooldown_hours: int | None = Field(default=None, ge=0, le=24 * 90)
    fields: list[FieldId] | None = Field(default=None, max_length=100)
    recipients: list[EmailStr] | None = Field(default=None, max_length=20)
    enabled: bool | None = None


class Alarm(Contract):
    """An alarm, and when it looked last."""

    id: str
    form_id: str
    name: str
    kind: AlarmKind
    measure: Measure
    bucket: Literal["hour", "day", "week"]
    timezone: str
    direction: Direction
    sensitivity: Sensitivity
    min_difference: float
    cooldown_hours: int
    fields: list[str]
    recipients: list[str]
    enabled: bool
    checked_until: datetime | None = Field(description="The end of the last bucket that it looked at.")
    finding: str | None = Field(description="What it found then, in a sentence.")
    unusual_since: datetime | None = Field(description="Since when nothing was as expected; null when all is.")
    last_told_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class Compared(Contract):
    """A value that was looked at for comparison."""

    start: datetime
    value: float | None


class DriftedValue(Contract):
    """An option or a range of numbers, and its share of those who answered, now and before."""

    value: str = Field(description="The option's id; `other` for what was written instead.")
    label: str
    count: int
    share: float
    reference_count: int
    reference_share: float


class FieldDrift(Contract):
    """Whether a field is answered differently than before.

    `psi` is the population stability index, `p_value` that of a chi-square test, and `q_value` what is left of it when
    so many fields are looked at (Benjamini and Hochberg). They are null where there are too few answers.
    """

    field: str
    title: str
    state: Literal["stable", "drifted", "too_few"]
    answered: int
    reference_answered: int
    psi: float | None
    p_value: float | None
    q_value: float | None
    values: list[DriftedValue] = Field(default=[], description="Those that changed most, the largest change first.")


class AskDrift(Contract):
    """Which spans are compared: `since` to `until` with `reference_since` to `since`."""

    since: WrittenMoment | None = Field(default=None, description="7 days before `until` by default.")
    until: WrittenMoment | None = Field(default=None, description="Now by default.")
    reference_since: WrittenMoment | None = Field(default=None, description="28 days before `since` by default.")


class Drift(Contract):
    """How the answers of a span differ from those of the reference before it."""

    form_id: str
    since: datetime
    until: datetime
    reference_since: datetime
    responses: int
    reference_responses: int
    fields: list[FieldDrift]


class Anomaly(Contract):
    """Something that was not as expected. Of drift, `fields` says what; of a volume, the values do."""

    id: str
    form_id: str
    alarm_id: str
    kind: AlarmKind
    start: datetime
    end: datetime
    explanation: str
    told: bool = Field(description="False while the cooldown of an earlier one lasted.")
    measure: Measure | None = None
    value: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    unusual_since: datetime
    compared_with: list[Compared] = Field(default=[])
    fields: list[FieldDrift] = Field(default=[])
    found_at: datetime


class ForecastApi(Protocol):
    """What is to be expected of a form, and what was not."""

    async def forecast(self, principal: Principal, form_id: str, wanted: AskForecast) -> Forecast:
        """What is to be expected. Raises FormNotFound, Invalid, ForecastBusy."""
        ...

    async def drift(self, principal: Principal, form_id: str, wanted: AskDrift) -> Drift:
        """How answers have changed; fields with personal data only for who may see that. Raises FormNotFound,
        Invalid, ForecastBusy."""
        ...

    async def create_alarm(self, principal: Principal, form_id: str, new: NewAlarm) -> Alarm:
        """Raises FormNotFound, Invalid, TooManyAlarms."""
        ...

    async def list_alarms(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Alarm]:
        """Those of a form, newest first. Raises FormNotFound."""
        ...

    async def get_alarm(self, principal: Principal, form_id: str, alarm_id: str) -> Alarm:
        """Raises AlarmNotFound."""
        ...

    async def change_alarm(self, principal: Principal, form_id: str, alarm_id: str, change: ChangeAlarm) -> Alarm:
        """Raises AlarmNotFound, Invalid."""
        ...

    async def delete_alarm(self, principal: Principal, form_id: str, alarm_id: str) -> None:
        """What it found goes with it. Raises AlarmNotFound."""
        ...

    async def list_anomalies(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Anomaly]:
        """What the alarms of a form found, newest first. Raises FormNotFound."""
        ...
