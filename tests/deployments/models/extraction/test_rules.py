"""A3: which of two counts, where spans are, what clocks do, and what hostile texts cost."""

from datetime import UTC, datetime, timedelta, timezone
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from deployments.models.contracts import EntityType
from deployments.models.extraction.findings import PRIORITY, Finding, resolved
from deployments.models.extraction.reading import Reading, folded
from tests.deployments.models.extraction.finding import entities, found

# One thing looks like two: the longest counts, then the type.
OVERLAPS = [
    ("https://shop.example/2024-05-01/order-12345", ["url"]),
    ("write to joe@example.com", ["email"]),
    ("order no. 0301234567", ["order_number"]),
    ("call 030 1234567 about it", ["phone"]),
    ("order 4711-2024-05-01", ["order_number"]),
    ("in 20 minutes", ["datetime"]),
    ("20 pounds", ["money"]),
    ("May 5 at 5", ["datetime"]),
    ("$20k, 20 kg", ["money", "quantity"]),
    ("ticket 2026-05-03", ["date"]),
]


@pytest.mark.parametrize(("text", "expected"), OVERLAPS)
def test_overlaps(text: str, expected: list[str]) -> None:
    assert [kind for kind, _, _ in found(text, country="DE")] == expected


def test_the_longest_counts_then_the_type_then_the_first() -> None:
    def kept(*given: tuple[EntityType, int, int]) -> list[tuple[str, int, int]]:
        return [(each.type, each.start, each.end) for each in resolved(Finding(*one) for one in given)]

    assert kept(("date", 2, 6), ("url", 0, 9), ("time", 8, 12)) == [("url", 0, 9)]
    assert kept(("person", 0, 9), ("date", 6, 9)) == [("date", 6, 9)]
    assert kept(("person", 0, 4), ("place", 2, 9)) == [("place", 2, 9)]
    assert kept(("quantity", 0, 4), ("money", 0, 4)) == [("money", 0, 4)]
    assert kept(("date", 3, 6), ("date", 0, 4), ("place", 6, 7)) == [("date", 0, 4), ("place", 6, 7)]
    assert kept(("money", 0, 3), ("money", 2, 5), ("money", 4, 7)) == [("money", 0, 3), ("money", 4, 7)]
    assert len(set(PRIORITY)) == 12


@pytest.mark.parametrize("before", ["", "👩‍👩‍👧 ", "e\u0301 ", "مرحبا ", "日本語 ", "ﬁ ", "İ "])
def test_spans_count_code_points(before: str) -> None:
    text = f"{before}pay 20 € to joe@example.com tomorrow"
    spans = [(each.type, text[each.start : each.end]) for each in entities(text)]
    assert spans == [("money", "20 €"), ("email", "joe@example.com"), ("date", "tomorrow")]


def test_a_shadow_has_a_byte_for_each_code_point() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x30000)]))
    assert len(folded(every)) == len(every)
    assert len(Reading(every).shadow) == len(every)


YEAR_END = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
CLOCKS_GO_ON = datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN)
CLOCKS_GO_BACK = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
LEAP = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "value"),
    [
        ("tomorrow", YEAR_END, "2027-01-01"),
        ("in an hour", YEAR_END, "2027-01-01T00:30+00:00"),
        ("next week", YEAR_END, "2027-01-04/2027-01-10"),
        ("on January 2nd", YEAR_END, "2027-01-02"),
        ("on December 30", YEAR_END, "2026-12-30"),
        ("this quarter", YEAR_END, "2026-10-01/2026-12-31"),
        ("in 2 months", YEAR_END, "2027-02-28"),
        ("in one hour", CLOCKS_GO_ON, "2026-03-29T03:30+02:00"),
        ("in one hour", CLOCKS_GO_BACK, "2026-10-25T02:30+01:00"),
        ("tomorrow at 2:30", CLOCKS_GO_ON - timedelta(days=1), "2026-03-29T02:30"),
        ("today", datetime(2026, 5, 1, 0, 30, tzinfo=timezone(timedelta(hours=9))), "2026-05-01"),
        ("1 year ago", LEAP, "2023-02-28"),
        ("on 29 February", LEAP + timedelta(days=60), "2028-02-29"),
        ("99999 years ago", LEAP, None),
        ("in 9999 years", LEAP, None),
    ],
)
def test_values_around_the_ends_of_years_and_changes_of_clocks(text: str, moment: datetime, value: str | None) -> None:
    """Elapsed time is counted in elapsed time; what a clock or a calendar shows is left as it was said."""
    assert [one for _, _, one in found(text, "date", "datetime", moment=moment)] == ([value] if value else [])


@pytest.mark.parametrize(
    "text",
    [
        *("1 " * 10_000, "1." * 10_000, "a@" * 10_000, "$1" * 10_000, "1.2.3 4/5 " * 2_000, "zwei" * 5_000),
        *("one " * 5_000, "😀" * 20_000, "A b " * 5_000, "order 123 may 5 " * 1_250),
    ],
    ids=lambda text: repr(text[:10]),
)
def test_no_text_takes_long(text: str) -> None:
    """A3: twenty thousand characters of whatever kind; processor time, since others may want the processor too."""
    began = process_time()
    assert len(entities(text, country="US")) <= 1_000
    assert process_time() - began < 4
