"""What an outcome means for the job's row: the rules of retrying, failing and cancelling. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from db.repositories.job_claims import ClaimedJob
from db.repositories.job_queue import AttemptEnd
from eventing.jobs.kind import JobKind, JobRun
from eventing.jobs.outcomes import Done, Effect, GiveUp, JobCancelled, Retry

_KEPT_ATTEMPTS: Final = 20
_MAX_ERROR: Final = 2000
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of an attempt, the effect that goes with it, and why the job failed if it did for good."""

    end: AttemptEnd
    effect: Effect | None = None
    failed_kind: str | None = None


def settle(
    job: ClaimedJob, kind: JobKind, worker: str, run: JobRun, outcome: Done | Exception, now: datetime
) -> Settlement:
    """How the attempt ends. A failure after the end was asked for is a cancellation; a success stays one."""
    effect = outcome.effect if isinstance(outcome, Done | Retry | GiveUp) else None
    if isinstance(outcome, Done):
        return Settlement(_end(job, worker, run, "succeeded", now, None, result=outcome.result), effect)
    error = sentence(outcome)
    if run.is_cancelled or isinstance(outcome, JobCancelled):
        return Settlement(_end(job, worker, run, "cancelled", now, error), effect)
    if isinstance(outcome, GiveUp) or job.attempt >= kind.max_attempts:
        return Settlement(_end(job, worker, run, "failed", now, error), effect, failed_kind=kind.name)
    pause = outcome.after_s if isinstance(outcome, Retry) else None
    if pause is None:
        pause = kind.delays[min(job.attempt, len(kind.delays)) - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)
    return Settlement(_end(job, worker, run, "queued", now, error, run_at=now + timedelta(seconds=pause)), effect)


def give_back(job: ClaimedJob, worker: str, run: JobRun, now: datetime) -> Settlement:
    """The runner stops: the attempt does not count and another runner may have the job at once."""
    end = _end(job, worker, run, "queued", now, None, attempts=job.attempts, attempts_made=job.attempt - 1)
    return Settlement(end)


def attempt_record(started_at: datetime, ended_at: datetime, error: str | None) -> dict[str, Any]:
    """An attempt as the history keeps it."""
    return {"started_at": started_at.isoformat(), "ended_at": ended_at.isoformat(), "error": error}


def history(attempts: list[dict[str, Any]], latest: dict[str, Any]) -> list[dict[str, Any]]:
    """The bounded history with one attempt more."""
    return [*attempts, latest][-_KEPT_ATTEMPTS:]


def sentence(error: Exception) -> str:
    """The failure in words for the job's owner, whom the text of an unforeseen error is not for.

    Both databases store it: bounded, no NUL, no lone surrogates.
    """
    named = isinstance(error, Retry | GiveUp | JobCancelled | TimeoutError) and str(error)
    text = str(error) if named else f"internal error ({type(error).__name__})"
    return text[:_MAX_ERROR].replace("\0", "").encode(errors="replace").decode()


def _end(
    job: ClaimedJob,
    worker: str,
    run: JobRun,
    state: str,
    now: datetime,
    error: str | None,
    *,
    result: dict[str, Any] | None = None,
    run_at: datetime | None = None,
    attempts: list[dict[str, Any]] | None = None,
    attempts_made: int | None = None,
) -> AttemptEnd:
    if attempts is None:
        attempts = history(job.attempts, attempt_record(job.started_at, now, error))
    return AttemptEnd(
        tenant_id=job.tenant_id,
        id=job.id,
        worker=worker,
        attempt=job.attempt,
        state=state,
        attempts_made=job.attempt if attempts_made is None else attempts_made,
        attempts=attempts,
        result=result,
        error=error,
        progress_done=run.done,
        progress_total=run.total,
        run_at=run_at or now,
        finished_at=None if state == "queued" else now,
    )
