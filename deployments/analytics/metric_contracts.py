"""Live figures of a form: what a dashboard shows."""

from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from deployments.kit.contract import Contract
from deployments.kit.moments import WrittenMoment
from deployments.kit.principal import Principal

Bucket: TypeAlias = Literal["hour", "day", "week", "month"]
Measure: TypeAlias = Literal["views", "starts", "submissions", "completion_rate", "median_seconds"]
FieldKind: TypeAlias = Literal["options", "numbers", "nps", "matrix", "texts", "dates", "files"]


EARLIEST: Final = datetime(1972, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class Span(Contract):
    """From when to when."""

    since: WrittenMoment | None = Field(default=None, description="Where the span begins; from 1972.")
    until: WrittenMoment | None = Field(default=None, description="Where it ends; up to 2200.")

    @field_validator("since", "until")
    @classmethod
    def _in_range(cls, value: datetime | None) -> datetime | None:
        if value is not None and not EARLIEST <= value <= LATEST:
            raise PydanticCustomError("span.range", "A time lies between 1972 and 2200.")
        return value

    @field_validator("until")
    @classmethod
    def _after_since(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if value is not None and since is not None and value <= since:
            raise PydanticCustomError("span.empty", "The span ends before it begins.")
        return value


class SeriesQuestion(Span):
    """What a time series is to show."""

    measure: Measure
    bucket: Bucket = "day"
    timezone: str = Field(default="UTC", max_length=100, description="Of the IANA database, as in `Europe/Berlin`.")
    compare: bool = Field(default=False, description="Also the span of as many buckets before.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise PydanticCustomError("timezone.unknown", "The IANA database has no zone of this name.") from None
        return value


class OptionCount(Contract):
    """How often something was chosen; `share` is of those who answered the field, and may add up to more than 1 where
    several can be chosen."""

    value: str = Field(description="The option's id, or what was written where `other` is allowed and counted alone.")
    label: str
    count: int
    share: float


class NumberBin(Contract):
    """Answers from `lower` up to, but not including, `upper`; the last bin includes it."""

    lower: float
    upper: float
    count: int


class NumberFigures(Contract):
    """Figures of numeric answers; null where nobody answered. `stdev` is of the sample. Count, sum, mean and stdev are
    exact; minimum, median, maximum and bins are too of whole numbers below 10,000, and else to four significant
    digits."""

    count: int
    sum: float
    mean: float | None
    stdev: float | None
    minimum: float | None
    median: float | None
    maximum: float | None
    bins: list[NumberBin] = Field(default=[])


class NpsFigures(Contract):
    """Net promoter score: the share of promoters (9, 10) minus that of detractors (0 to 6), from -100 to 100."""

    promoters: int
    passives: int
    detractors: int
    score: float | None


class MatrixRow(Contract):
    """The answers to one row of a matrix; of a ranking, how often an option was put at each rank."""

    row: str
    label: str
    answered: int
    options: list[OptionCount]
    mean_rank: float | None = Field(default=None, description="Of a ranking: 1 is best.")


class FieldFigures(Contract):
    """What was answered to a field by complete responses. What does not fit the kind is empty or null; words of texts
    are never shown here."""

    field: str
    type: str = Field(description="The type of the element, as in the definition.")
    kind: FieldKind
    title: str
    personal: bool
    answered: int
    skipped: int = Field(description="Complete responses without an answer to it.")
    options: list[OptionCount] = Field(default=[])
    numbers: NumberFigures | None = None
    nps: NpsFigures | None = None
    rows: list[MatrixRow] = Field(default=[])


class PageFigures(Contract):
    """How many came to a page, and how many of them did not get further."""

    page: str
    title: str
    reached: int
    left: int


class FormMetrics(Contract):
    """The figures of a form. Times, views and counts are of the span that was asked for; distributions of answers are
    of all complete responses as they are now."""

    form_id: str
    since: datetime | None = Field(description="Where the span begins: what was asked for, down to the quarter hour.")
    until: datetime | None = Field(description="Where it ends, up to the quarter hour.")
    as_of: datetime = Field(description="What was stored before this is counted.")
    views: int = Field(description="How often the form was opened; up to a second old.")
    starts: int = Field(description="Responses that were begun in the span, complete by now or not.")
    submissions: int = Field(description="Complete responses that are not in the trash and not in quarantine.")
    partials: int = Field(description="Responses that were begun in the span and are not complete.")
    completion_rate: float | None = Field(description="Submissions among starts, at most 1; null without starts.")
    median_seconds: float | None = Field(
        description="From the first look at the form to the submission, within 1 %; null where nobody measured."
    )
    pages: list[PageFigures] = Field(default=[], description="Of all responses as they are now.")
    fields: list[FieldFigures] = Field(default=[], description="Of all complete responses as they are now.")


class SeriesPoint(Contract):
    """The value of the bucket that begins at `start`; null where it has none, like a rate of nothing."""

    start: datetime
    value: float | None


class TimeSeries(Contract):
    """One measure over time, without gaps: every bucket of the span is there."""

    form_id: str
    measure: Measure
    bucket: Bucket
    timezone: str
    points: list[SeriesPoint]
    previous: list[SeriesPoint] | None = Field(
        default=None, description="The span of equal length before, bucket by bucket, when it was asked for."
    )


class Recount(Contract):
    """The job that counts the figures of a form anew."""

    job_id: str


class FormViews(Contract):
    """How often a form was opened in the quarter of an hour that begins at `since`."""

    tenant_id: str
    form_id: str
    since: datetime
    views: int = Field(gt=0)


class ViewBatch(Contract):
    """What an edge counted since its batch before. `number` counts its batches from 1: one that is told again counts
    once."""

    edge: str
    number: int = Field(ge=1)
    views: list[FormViews]


class MetricsApi(Protocol):
    """Live figures."""

    async def metrics(
        self, principal: Principal, form_id: str, since: datetime | None, until: datetime | None
    ) -> FormMetrics:
        """The figures of a form. Raises FormNotFound, Invalid."""
        ...

    async def timeseries(
        self,
        principal: Principal,
        form_id: str,
        measure: Measure,
        bucket: Bucket,
        timezone: str,
        since: datetime | None,
        until: datetime | None,
        compare: bool,
    ) -> TimeSeries:
        """A measure over time. `timezone` is a name of the IANA database; the last 30 days by default, at most 2,000
        buckets. Raises FormNotFound, Invalid."""
        ...

    async def recount(self, principal: Principal, form_id: str) -> Recount:
        """Have the figures counted anew; those of before are shown meanwhile. Raises FormNotFound."""
        ...

    async def count_views(self, principal: Principal, batch: ViewBatch) -> None:
        """Count views; for the edges themselves."""
        ...
