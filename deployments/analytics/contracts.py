"""What crosses the door of analytics."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from deployments.analytics.forecast_contracts import ForecastApi
from deployments.analytics.metric_contracts import (
    Bucket,
    FieldFigures,
    FormMetrics,
    MatrixRow,
    MetricsApi,
    NpsFigures,
    NumberFigures,
    OptionCount,
    SeriesPoint,
    TimeSeries,
)
from deployments.analytics.query_contracts import QueriesApi
from deployments.analytics.sql_contracts import SqlApi
from deployments.kit.contract import Contract
from deployments.kit.principal import Principal

__all__ = [
    "AnalyticsApi",
    "AnalyticsHealth",
    "Bucket",
    "FieldFigures",
    "ForecastApi",
    "FormMetrics",
    "LiveLag",
    "MatrixRow",
    "MetricsApi",
    "NpsFigures",
    "NumberFigures",
    "OptionCount",
    "QueriesApi",
    "SeriesPoint",
    "TimeSeries",
]


class LiveLag(Contract):
    """How far the live figures are behind what was stored."""

    forms: int = Field(description="Forms whose figures lack something.")
    changes: int = Field(description="Changes of responses that they lack in all.")
    seconds: float | None = Field(
        description="For how long the figures that wait longest have lacked something, at most; null when some were "
        "never counted."
    )


class AnalyticsHealth(Contract):
    """Whether figures can be asked for, and how far what they are read from has come."""

    status: Literal["ok"]
    live: LiveLag
    tables: int = Field(description="Forms of the tenant that have a table in the lake.")
    oldest_table_at: datetime | None = Field(description="When the table that is longest untouched was written.")


class AnalyticsApi(MetricsApi, SqlApi, QueriesApi, ForecastApi, Protocol):
    """The door of analytics, as the edge calls it."""

    async def health(self, principal: Principal) -> AnalyticsHealth:
        """How the figures of the tenant are."""
        ...
