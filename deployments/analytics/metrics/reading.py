"""Answering with figures."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from db.models.metrics import MetricState
from db.repositories.metrics import MetricRepository
from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.analytics.errors import FormNotFound, InvalidQuestion
from deployments.analytics.metric_contracts import FormMetrics, SeriesQuestion, Span, TimeSeries
from deployments.analytics.metrics import buckets
from deployments.analytics.metrics.cells import EVER, QUARTER, moment_of, quarter_of
from deployments.analytics.metrics.figures import fields_of, median_seconds, pages_of
from deployments.analytics.metrics.series import Asked, points_of
from deployments.kit.engine import Definition, stored_definition
from deployments.kit.personal import personal_fields
from deployments.kit.principal import Principal
from deployments.kit.problems import faults_of

Question = TypeVar("Question", bound=Span)

_ROUND_UP: Final = QUARTER - timedelta(microseconds=1)


def checked(question: type[Question], **asked: Any) -> Question:
    """What is asked for. Raises InvalidQuestion with everything that is wrong."""
    try:
        return question.model_validate(asked)
    except ValidationError as error:
        raise InvalidQuestion(faults=faults_of(error)) from None


async def metrics_of(unit: UnitOfWork, principal: Principal, form_id: str, asked: Span) -> FormMetrics:
    """The figures of a form, read in one snapshot. Raises FormNotFound."""
    definitions = await _definitions(unit, form_id)
    figures, now = MetricRepository(unit.session, unit.tenant, form_id), utc_now()
    state = await figures.shown()
    ever = {} if state is None else await figures.counts(state.generation, EVER)
    begins = None if asked.since is None else quarter_of(asked.since)
    ends = None if asked.until is None else quarter_of(asked.until + _ROUND_UP)
    span = ever
    if state is not None and (begins is not None or ends is not None):
        least, most = EVER + 1 if begins is None else begins, -EVER if ends is None else ends
        span = await figures.sums_between(state.generation, least, most)
    starts, submissions = span.get("starts", 0), span.get("submissions", 0)
    personal = personal_fields(definitions)
    hidden = frozenset[str]() if principal.may("responses:read_personal", form_id) else personal
    return FormMetrics(
        form_id=form_id,
        since=None if begins is None else moment_of(begins),
        until=None if ends is None else moment_of(ends),
        as_of=await _as_of(figures, state, now),
        views=await figures.views(begins, ends),
        starts=starts,
        submissions=submissions,
        partials=span.get("partials", 0),
        completion_rate=min(1.0, submissions / starts) if starts else None,
        median_seconds=median_seconds(span),
        pages=pages_of(definitions, ever),
        fields=fields_of(definitions, ever, state.sums if state is not None else {}, personal, hidden),
    )


async def series_of(unit: UnitOfWork, form_id: str, asked: Asked) -> TimeSeries:
    """A measure over time, read in one snapshot. Raises FormNotFound."""
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound
    figures = MetricRepository(unit.session, unit.tenant, form_id)
    state = await figures.shown()
    earlier, edges = asked.edges_before(), asked.edges
    begins, ends = quarter_of((earlier or edges)[0]), quarter_of(edges[-1] + _ROUND_UP)
    counts: list[tuple[int, str, int]] = []
    if asked.measure == "views":
        counts = [(moment, "views", count) for moment, count in await figures.views_between(begins, ends)]
    elif state is not None:
        for prefix in asked.prefixes:
            counts += await figures.counts_between(state.generation, begins, ends, prefix)
    return TimeSeries(
        form_id=form_id,
        measure=asked.measure,
        bucket=asked.bucket,
        timezone=asked.zone.key,
        points=points_of(asked.measure, edges, counts),
        previous=points_of(asked.measure, earlier, counts) if earlier else None,
    )


def asked_for(question: SeriesQuestion) -> Asked:
    """The buckets of a question. Raises InvalidQuestion when they are too many."""
    ends = question.until or max(utc_now(), (question.since or utc_now()) + timedelta(microseconds=1))
    begins = question.since or ends - buckets.DEFAULT_SPAN
    if faults := buckets.length_faults(question.bucket, begins, ends):
        raise InvalidQuestion(faults=faults)
    zone = ZoneInfo(question.timezone)
    found = buckets.edges(question.bucket, zone, begins, ends)
    return Asked(question.measure, question.bucket, zone, found, compare=question.compare)


async def _definitions(unit: UnitOfWork, form_id: str) -> Sequence[Definition]:
    forms = PublishedFormRepository(unit.session, unit.tenant)
    if not await forms.exists(form_id):
        raise FormNotFound
    return [stored_definition(version.definition) for version in await forms.versions(form_id)]


async def _as_of(figures: MetricRepository, state: MetricState | None, now: datetime) -> datetime:
    changes = await figures.changes()
    if not changes or (state is not None and state.change >= changes):
        return now
    return state.current_at if state is not None and state.current_at is not None else moment_of(0)
