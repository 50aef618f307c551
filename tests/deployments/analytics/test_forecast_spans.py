"""L5: the buckets that are looked at are those of the zone, also where its clock is turned."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.analytics.forecasts.spans import begins, later, zone_of
from deployments.kit.errors import Invalid

BERLIN = zone_of("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("bucket", "begin", "next_one"),
    [
        ("hour", "2025-10-26T02:00+02:00", "2025-10-26T02:00+01:00"),
        ("day", "2025-10-26T00:00+02:00", "2025-10-27T00:00+01:00"),
        ("week", "2025-10-20T00:00+02:00", "2025-10-27T00:00+01:00"),
        ("month", "2025-10-01T00:00+02:00", "2025-11-01T00:00+01:00"),
    ],
)
def test_a_bucket_ends_when_the_clock_of_the_zone_says_so(bucket: Any, begin: str, next_one: str) -> None:
    start = begins(at("2025-10-26T02:30+02:00"), bucket, BERLIN)
    assert start == at(begin)
    assert later(start, bucket, BERLIN, 1) == at(next_one)
    assert later(at(next_one), bucket, BERLIN, -1) == start


def test_months_go_over_the_turn_of_the_year() -> None:
    assert later(at("2025-12-01T00:00+01:00"), "month", BERLIN, 14) == at("2027-02-01T00:00+01:00")


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../etc/passwd", "/etc/passwd", "Europe", "a\0b"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        zone_of(name)
