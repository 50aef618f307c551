"""L2: buckets as the clocks of a zone show them, without gaps; cells that add up to figures within a stated error."""

import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.analytics.metric_contracts import Bucket
from deployments.analytics.metrics.buckets import edges, edges_before, length_faults
from deployments.analytics.metrics.cells import median_of, moment_of, number_cell, quarter_of, seconds_cell, seconds_of
from deployments.analytics.metrics.figures import median_seconds
from deployments.analytics.metrics.series import points_of

BERLIN, KOLKATA, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Apia")
SAO_PAULO, LORD_HOWE = ZoneInfo("America/Sao_Paulo"), ZoneInfo("Australia/Lord_Howe")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(found: list[datetime]) -> list[float]:
    return [(after - before) / timedelta(hours=1) for before, after in pairwise(found)]


@pytest.mark.parametrize(
    ("zone", "since", "until", "lengths"),
    [
        (BERLIN, "2026-03-28T12:00", "2026-03-30T12:00", [24, 23, 24]),
        (BERLIN, "2026-10-24T12:00", "2026-10-26T12:00", [24, 25, 24]),
        (SAO_PAULO, "2018-11-03T12:00", "2018-11-05T12:00", [24, 23, 24]),  # midnight was skipped
        (APIA, "2011-12-29T12:00", "2011-12-31T08:00", [24, 24]),  # the 30th was left out
        (KOLKATA, "2026-01-01T00:00", "2026-01-02T00:00", [24, 24]),
    ],
)
def test_days_are_as_long_as_the_clocks_say(zone: ZoneInfo, since: str, until: str, lengths: list[float]) -> None:
    found = edges("day", zone, at(since), at(until))
    assert hours(found) == lengths
    assert all(edge.astimezone(zone).hour in (0, 1) for edge in found)


def test_an_hour_that_comes_twice_has_two_buckets_and_none_is_lost() -> None:
    found = edges("hour", BERLIN, at("2026-10-25T00:00"), at("2026-10-25T03:00"))
    assert [edge.astimezone(BERLIN).hour for edge in found[:-1]] == [2, 2, 3]
    assert hours(edges("hour", KOLKATA, at("2026-01-01T00:10"), at("2026-01-01T02:00"))) == [1, 1, 1]


def test_weeks_begin_on_mondays_and_months_on_their_first() -> None:
    weeks = edges("week", BERLIN, at("2026-03-25T12:00"), at("2026-04-08T12:00"))
    assert [edge.astimezone(BERLIN).strftime("%a %H:%M") for edge in weeks] == ["Mon 00:00"] * 4
    months = edges("month", BERLIN, at("2026-01-31T12:00"), at("2026-03-01T12:00"))
    assert [edge.astimezone(BERLIN).strftime("%m-%d %H:%M") for edge in months] == [
        f"{month:02}-01 00:00" for month in (1, 2, 3, 4)
    ]
    before = edges_before("month", BERLIN, months[0], 2)
    assert [edge.astimezone(BERLIN).strftime("%Y-%m-%d") for edge in before] == [
        "2025-11-01",
        "2025-12-01",
        "2026-01-01",
    ]


@given(
    st.sampled_from(("hour", "day", "week", "month")),
    st.sampled_from((BERLIN, KOLKATA, APIA, SAO_PAULO, LORD_HOWE)),
    st.integers(0, 68 * 366 * 24 * 60),
    st.integers(1, 60 * 24 * 9),
)
def test_buckets_join_and_hold_the_span(bucket: Bucket, zone: ZoneInfo, since: int, minutes: int) -> None:
    begins = at("1972-01-02") + timedelta(minutes=since)
    ends = begins + timedelta(minutes=minutes)
    found = edges(bucket, zone, begins, ends)
    assert found[0] <= begins < found[1]
    assert found[-2] < ends <= found[-1]
    assert all(length > 0 for length in hours(found))
    # What was counted by the quarter of an hour is of one bucket.
    assert all(moment_of(quarter_of(edge)) == edge for edge in found)
    earlier = edges_before(bucket, zone, found[0], 3)
    assert len(earlier) == 4
    assert earlier == sorted(set(earlier))


def test_too_many_buckets_are_refused() -> None:
    assert not length_faults("hour", at("2026-01-01"), at("2026-03-25"))
    assert [fault.code for fault in length_faults("hour", at("2026-01-01"), at("2026-03-26"))] == ["buckets.max"]


def test_points_have_no_gaps_and_rates_of_nothing_are_null() -> None:
    starts = edges("day", BERLIN, at("2026-03-28T12:00"), at("2026-03-30T12:00"))
    counts = [
        (quarter_of(at("2026-03-28T22:59")), "starts", 4),
        (quarter_of(at("2026-03-28T22:59")), "submissions", 3),
        (quarter_of(at("2026-03-29T21:59")), "submissions", 2),  # begun before the span
        (quarter_of(at("2026-03-29T22:00")), "starts", 1),
        (quarter_of(at("2026-04-29T22:00")), "starts", 99),
    ]
    assert [point.value for point in points_of("starts", starts, counts)] == [4, 0, 1]
    assert [point.value for point in points_of("completion_rate", starts, counts)] == [0.75, None, 0.0]
    assert [point.value for point in points_of("median_seconds", starts, counts)] == [None, None, None]
    # A day on which nothing at all was counted has its point, too.
    for measure, nothing in (("submissions", 0), ("completion_rate", None)):
        points = points_of(measure, starts, [])
        assert [(point.start, point.value) for point in points] == [(start, nothing) for start in starts[:-1]]


@given(st.lists(st.floats(1, 10**6), min_size=1, max_size=50))
def test_a_median_of_durations_is_within_one_per_cent(seconds: list[float]) -> None:
    """L1: cells are added up over any span."""
    counts = Counter(f"seconds:{seconds_cell(each)}" for each in seconds)
    assert median_seconds(counts) == pytest.approx(statistics.median(seconds), rel=0.010_1)
    assert seconds_of(seconds_cell(0.3)) == 0.5


@given(st.lists(st.one_of(st.integers(-9_999, 9_999), st.decimals(-99, 99, places=2).map(float)), min_size=1))
def test_a_median_of_usual_numbers_is_exact(values: list[float]) -> None:
    cells = Counter(float(number_cell(value)) for value in values)
    assert median_of(cells) == pytest.approx(statistics.median(values))


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_a_cell_is_within_four_digits(value: float) -> None:
    assert abs(Decimal(number_cell(value)) - Decimal(value)) <= abs(Decimal(value)) * Decimal("0.000501")
