"""J3: when schedules are due, over changes of the clock and over absences."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.jobs.cron import MOST, ON_TIME, Due, Missed, NotCron, due, first_after, occurrences

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def firsts(cron: str, time_zone: str, after: str, number: int) -> list[datetime]:
    return list(islice(occurrences(cron, time_zone, at(after)), number))


def test_times_are_those_of_the_zone() -> None:
    assert firsts("30 6 * * MON-FRI", BERLIN, "2026-01-02T00:00Z", 2) == [
        at("2026-01-02T06:30+01:00"),
        at("2026-01-05T06:30+01:00"),
    ]
    assert firsts("0 6 * * *", "Asia/Kathmandu", "2026-01-02T00:00Z", 1) == [at("2026-01-02T00:15Z")]


class TestClocksGoForward:
    """On 29 March 2026 02:00 to 03:00 does not exist in Berlin."""

    def test_a_time_that_does_not_exist_comes_right_after_the_gap(self) -> None:
        assert firsts("30 2 * * *", BERLIN, "2026-03-28T00:00Z", 3) == [
            at("2026-03-28T02:30+01:00"),
            at("2026-03-29T03:00+02:00"),
            at("2026-03-30T02:30+02:00"),
        ]

    def test_times_in_the_gap_come_once_together(self) -> None:
        assert firsts("0,20,40 2 * * *", BERLIN, "2026-03-29T00:00Z", 2) == [
            at("2026-03-29T03:00+02:00"),
            at("2026-03-30T02:00+02:00"),
        ]

    def test_what_repeats_goes_by_real_time(self) -> None:
        half_hours = firsts("*/30 * * * *", BERLIN, "2026-03-29T00:00Z", 4)
        assert [later - former for former, later in pairwise(half_hours)] == [timedelta(minutes=30)] * 3


class TestClocksGoBack:
    """On 25 October 2026 02:00 to 03:00 comes twice in Berlin."""

    def test_a_time_that_comes_twice_counts_once(self) -> None:
        assert firsts("30 2 * * *", BERLIN, "2026-10-24T12:00Z", 2) == [
            at("2026-10-25T02:30+02:00"),
            at("2026-10-26T02:30+01:00"),
        ]

    @pytest.mark.parametrize("minute", range(0, 60, 5))
    def test_also_for_who_asks_within_the_second_hour(self, minute: int) -> None:
        assert firsts("30 2 * * *", BERLIN, f"2026-10-25T01:{minute:02}Z", 1) == [at("2026-10-26T02:30+01:00")]

    def test_what_repeats_goes_by_real_time(self) -> None:
        hours = firsts("15 * * * *", BERLIN, "2026-10-24T23:30Z", 4)
        assert [later - former for former, later in pairwise(hours)] == [timedelta(hours=1)] * 3


@given(
    cron=st.sampled_from(["30 2 * * *", "0 * * * *", "*/7 1-3 * * SUN", "59 23 L * *", "0,30 2 25-31 3,10 *"]),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    after=st.integers(0, 6 * 365 * 86_400).map(lambda seconds: at("2024-01-01T00:00Z") + timedelta(seconds=seconds)),
)
def test_moments_are_later_and_in_order(cron: str, zone: str, after: datetime) -> None:
    """A run that follows from a run is the one that followed from the beginning: nothing comes twice."""
    found = list(islice(occurrences(cron, zone, after), 5))
    assert [after, *found] == sorted({after, *found})
    assert all(moment.tzinfo is UTC for moment in found)
    assert first_after(cron, zone, found[1]) == found[2]


@given(cron=st.text(alphabet="0123456789*/,-#LWMONJA ", max_size=20), zone=st.text(max_size=20))
def test_garbage_is_refused_as_such(cron: str, zone: str) -> None:
    for expression, time_zone in ((cron, "UTC"), ("0 0 * * *", zone)):
        with suppress(NotCron):
            assert first_after(expression, time_zone, at("2026-01-01T00:00Z")) > at("2026-01-01T00:00Z")


@pytest.mark.parametrize(
    "cron", ["", "0 0 * *", "0 0 0 0 * *", "61 * * * *", "0 0 30 2 *", "@daily", "0 0 29 2 MON#6", "* * * * FUN"]
)
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(NotCron):
        first_after(cron, "UTC", at("2026-01-01T00:00Z"))


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "\0", "x" * 5000])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(NotCron):
        first_after("0 0 * * *", zone, at("2026-01-01T00:00Z"))


class TestAfterAnAbsence:
    """Each day at six; the last that was dealt with is that of 1 May."""

    NEXT = at("2026-05-02T06:00Z")

    @pytest.mark.parametrize("missed", ["skip", "run_once", "run_all"])
    def test_on_time_each_policy_runs_once(self, missed: Missed) -> None:
        for late in (timedelta(), ON_TIME):
            assert due("0 6 * * *", "UTC", self.NEXT, self.NEXT + late, missed) == Due(
                (self.NEXT,), self.NEXT + timedelta(days=1)
            )

    def test_skip_leaves_out_what_was_missed(self) -> None:
        now = self.NEXT + ON_TIME + timedelta(seconds=1)
        assert due("0 6 * * *", "UTC", self.NEXT, now, "skip") == Due((), self.NEXT + timedelta(days=1))
        assert due("0 6 * * *", "UTC", self.NEXT, at("2026-05-04T06:00Z"), "skip").runs == (at("2026-05-04T06:00Z"),)

    def test_run_once_makes_up_for_all_with_the_latest(self) -> None:
        assert due("0 6 * * *", "UTC", self.NEXT, at("2026-05-04T12:00Z"), "run_once") == Due(
            (at("2026-05-04T06:00Z"),), at("2026-05-05T06:00Z")
        )

    def test_run_all_makes_up_for_each_in_order(self) -> None:
        runs = due("0 6 * * *", "UTC", self.NEXT, at("2026-05-04T12:00Z"), "run_all").runs
        assert runs == (self.NEXT, at("2026-05-03T06:00Z"), at("2026-05-04T06:00Z"))

    def test_run_all_is_bounded(self) -> None:
        found = due("*/5 * * * *", "UTC", self.NEXT, at("2026-05-04T12:00Z"), "run_all")
        assert len(found.runs) == MOST
        assert found.runs[-1] == at("2026-05-04T12:00Z")

    @pytest.mark.parametrize("missed", ["skip", "run_once", "run_all"])
    def test_a_clock_that_was_years_behind_costs_little(self, missed: Missed) -> None:
        now = at("2036-05-02T06:30:10Z")
        found = due("* * * * *", "UTC", self.NEXT, now, missed)
        assert found.next_run_at == at("2036-05-02T06:31Z")
        assert found.runs[-1] == at("2036-05-02T06:30Z")
        assert len(found.runs) == (MOST if missed == "run_all" else 1)
