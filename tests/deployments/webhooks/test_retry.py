"""W: when a delivery is tried again."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.webhooks.retry import Schedule, next_delay


def delays(schedule: Schedule, rng: random.Random) -> list[float]:
    found: list[float] = []
    while (delay := next_delay(schedule, len(found), None, rng)) is not None:
        found.append(delay)
    return found


def test_the_default_is_ten_attempts_within_75_6_hours() -> None:
    exact = delays(Schedule(jitter=0), random.Random(1))
    assert exact == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert sum(exact) / 3600 == pytest.approx(75.6, abs=0.02)


def test_each_wait_differs_by_at_most_the_jitter_and_does_differ() -> None:
    rng = random.Random(7)
    waits = [next_delay(Schedule((0, 100)), 1, None, rng) for _ in range(500)]
    assert all(wait is not None and 80 <= wait <= 120 for wait in waits)
    assert min(w for w in waits if w) < 85
    assert max(w for w in waits if w) > 115


def test_a_seed_repeats_the_same_waits() -> None:
    assert delays(Schedule(), random.Random(3)) == delays(Schedule(), random.Random(3))


def test_the_receivers_wish_lengthens_a_wait_and_never_shortens_it() -> None:
    schedule = Schedule((0, 100), jitter=0)
    assert next_delay(schedule, 1, 250.0, random.Random(1)) == 250
    assert next_delay(schedule, 1, 3.0, random.Random(1)) == 100
    assert next_delay(schedule, 1, 0.0, random.Random(1)) == 100


def test_the_receivers_wish_grants_no_further_attempt() -> None:
    assert next_delay(Schedule((0, 1)), 2, 60.0, random.Random(1)) is None


@given(
    waits=st.lists(st.floats(0, 1e9), min_size=1, max_size=20),
    jitter=st.floats(0, 1),
    made=st.integers(0, 30),
    wish=st.none() | st.floats(0, 1e6),
    seed=st.integers(),
)
def test_a_wait_is_never_negative_and_the_schedule_always_ends(
    waits: list[float], jitter: float, made: int, wish: float | None, seed: int
) -> None:
    delay = next_delay(Schedule(tuple(waits), jitter), made, wish, random.Random(seed))
    if made >= len(waits):
        assert delay is None
    else:
        assert delay is not None
        assert math.isfinite(delay)
        assert delay >= (wish or 0)


@pytest.mark.parametrize(
    ("waits", "jitter"),
    [((), 0.2), ((-1.0,), 0.2), ((math.inf,), 0.2), ((math.nan,), 0.2), ((1.0,), 1.1), ((1.0,), -0.1)],
)
def test_a_schedule_that_makes_no_sense_is_refused(waits: tuple[float, ...], jitter: float) -> None:
    with pytest.raises(ValueError):
        Schedule(waits, jitter)
