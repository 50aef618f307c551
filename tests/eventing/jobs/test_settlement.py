"""J1, J2: what an outcome means, and when a failed attempt is repeated. Pure."""

from typing import Any

import pytest

from db.repositories.job_claims import ClaimedJob
from db.repositories.job_queue import AttemptEnd
from db.types import utc_now
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry
from eventing.jobs.settlement import settle

NOW = utc_now()


async def never(*_: Any) -> Any:
    raise AssertionError("nothing runs here")


def end_of(outcome: Done | Exception, attempt: int = 1, *, is_cancelled: bool = False) -> AttemptEnd:
    """How an attempt ends; with `is_cancelled` when its end was asked for meanwhile."""
    made: dict[str, Any] = {"tenant_id": "acme", "id": "job_1", "payload": {}, "attempt": attempt, "created_by": "u"}
    claimed = ClaimedJob(**made, kind="work", attempts=[], cancel_requested=False, run_at=NOW, started_at=NOW)
    kind = JobKind("work", "default", never, max_attempts=9, delays=(10.0, 40.0))
    run = JobRun(**made, soft_limit_s=60, report=never)
    run.is_cancelled = is_cancelled
    return settle(claimed, kind, "worker", run, outcome, NOW).end


def pause_after(attempt: int, outcome: Exception) -> float:
    """Seconds from a failed attempt to the next one."""
    return (end_of(outcome, attempt).run_at - NOW).total_seconds()


@pytest.mark.parametrize(("attempt", "pause"), [(1, 10.0), (2, 40.0), (5, 40.0)])
def test_pauses_are_those_of_the_kind_and_differ_by_a_fifth(attempt: int, pause: float) -> None:
    """The last one repeats. Jobs that failed together do not come back together."""
    pauses = [pause_after(attempt, RuntimeError()) for _ in range(200)]
    assert 0.8 * pause <= min(pauses) < 0.9 * pause
    assert 1.1 * pause < max(pauses) <= 1.2 * pause


def test_a_pause_that_the_job_names_is_kept_to() -> None:
    assert {pause_after(2, Retry("busy", after_s=7.0)) for _ in range(20)} == {7.0}


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(RuntimeError(), "cancelled"), (Retry("busy"), "cancelled"), (GiveUp("gone"), "cancelled"), (Done(), "succeeded")],
)
def test_what_fails_after_its_end_was_asked_for_is_cancelled(outcome: Done | Exception, state: str) -> None:
    """A success stays one: its effects are there."""
    assert end_of(outcome, is_cancelled=True).state == state
