"""How jobs end: success, retry, failure, and the effects that go with them, on both databases."""

import pytest
from sqlalchemy import insert

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.events.envelope import Event
from eventing.jobs import Done, GiveUp, JobRun, JobSpec, Retry, enqueue
from tests.eventing.harness import count, eventually, is_true, rows
from tests.eventing.jobs.harness import all_in, fetch, kind, order, reaches, serving

VALID = {
    "tenant_id": "acme",
    "kind": "other",
    "queue": "default",
    "payload": {},
    "created_by": "effect",
    "created_at": utc_now(),
    "run_at": utc_now(),
}


async def test_a_job_runs_with_what_it_was_ordered_with(database: Database) -> None:
    seen: list[JobRun] = []

    async def run(job: JobRun) -> Done:
        seen.append(job)
        assert 200 < job.remaining <= 240
        return Done({"answer": 42})

    async with serving(database, kind(run)):
        (job_id,) = await order(database, "acme", payload={"form_id": "frm_1"})
        job = await reaches(database, job_id, "succeeded")
    assert [(each.tenant_id, each.id, each.payload, each.attempt, each.created_by) for each in seen] == [
        ("acme", job_id, {"form_id": "frm_1"}, 1, "usr_1")
    ]
    assert job.result == {"answer": 42}
    assert job.finished_at is not None
    assert [attempt["error"] for attempt in job.attempts] == [None]


async def test_a_rolled_back_order_never_runs(database: Database) -> None:
    async def change() -> None:
        async with database.write("acme") as unit:
            await enqueue(unit, JobSpec("work", {}, created_by="usr_1"))
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        await change()
    assert await count(database, Job) == 0


async def test_a_failing_job_is_retried_and_keeps_its_history(database: Database) -> None:
    """J1, J2: three attempts by default; the owner sees each attempt, but not the text of an unforeseen error."""
    attempts: list[int] = []

    async def run(job: JobRun) -> None:
        attempts.append(job.attempt)
        if job.attempt == 1:
            raise RuntimeError("password=hunter2")
        if job.attempt == 2:
            raise Retry("the receiver is busy")

    async with serving(database, kind(run)):
        (job_id,) = await order(database, "acme")
        job = await reaches(database, job_id, "succeeded")
    assert attempts == [1, 2, 3]
    assert [attempt["error"] for attempt in job.attempts] == [
        "internal error (RuntimeError)",
        "the receiver is busy",
        None,
    ]
    assert job.error is None


async def test_the_last_attempt_fails_the_job_and_says_so(database: Database) -> None:
    """J1: state failed and the fact `job.failed`, in one transaction."""

    async def run(_job: JobRun) -> None:
        raise RuntimeError("broken")

    async with serving(database, kind(run, max_attempts=2)) as runner:
        (job_id,) = await order(database, "acme")
        job = await reaches(database, job_id, "failed")
    assert len(job.attempts) == 2
    (row,) = await rows(database, EventRow)
    event = Event.decode(row.envelope)
    assert (event.type, event.tenant_id) == ("job.failed", "acme")
    assert event.data == {"job_id": job_id, "kind": "work", "reason": "internal error (RuntimeError)"}
    assert runner.counters["failed"] == 1


async def test_giving_up_needs_no_further_attempt(database: Database) -> None:
    async def run(_job: JobRun) -> None:
        raise GiveUp("the mailbox does not exist")

    async with serving(database, kind(run)):
        (job_id,) = await order(database, "acme")
        job = await reaches(database, job_id, "failed")
    assert [attempt["error"] for attempt in job.attempts] == ["the mailbox does not exist"]


async def test_retry_after_is_honoured(database: Database) -> None:
    async def run(_job: JobRun) -> None:
        raise Retry("later", after_s=3600)

    async with serving(database, kind(run)) as runner:
        (job_id,) = await order(database, "acme")
        await eventually(lambda: is_true(lambda: runner.counters["retried"]))
        job = await fetch(database, job_id)
    assert job.state == "queued"
    assert 3500 < (job.run_at - utc_now()).total_seconds() <= 3600


async def test_effects_share_the_transaction_of_the_outcome(database: Database) -> None:
    """J1: every kind of outcome may write, for several tenants in one group commit."""

    async def run(job: JobRun) -> Done:
        async def effect(unit: UnitOfWork) -> None:
            assert unit.tenant == job.tenant_id
            await enqueue(unit, JobSpec("other", {"of": job.id}, created_by="effect"))

        if job.payload["n"] == 0:
            raise GiveUp("no", effect=effect)
        if job.payload["n"] == 1 and job.attempt == 1:
            raise Retry("again", effect=effect)
        return Done(effect=effect)

    async with serving(database, kind(run), queues={"default": 16}):
        ids = [*await order(database, "acme", 4), *await order(database, "globex", 4)]
        await all_in(database, ids, "succeeded", "failed")
    others = [job for job in await rows(database, Job) if job.kind == "other"]
    assert len(others) == 10  # one per outcome: 2 given up, 2 retried and then done, 4 done
    assert {job.tenant_id for job in others} == {"acme", "globex"}


async def test_a_failing_effect_fails_its_attempt_and_nobody_elses(database: Database) -> None:
    """The savepoint takes back what the effect wrote; neighbours of the group commit stand."""

    async def run(job: JobRun) -> Done:
        async def effect(unit: UnitOfWork) -> None:
            await enqueue(unit, JobSpec("other", {"of": job.id}, created_by="effect"))
            if job.payload["n"] == 1:
                await unit.session.execute(insert(Job), {**VALID, "id": job.id})  # violates the primary key

        return Done(effect=effect)

    async with serving(database, kind(run, max_attempts=2), queues={"default": 16}):
        ids = await order(database, "acme", 3)
        await all_in(database, ids, "succeeded", "failed")
    assert [(await fetch(database, job_id)).state for job_id in ids] == ["succeeded", "failed", "succeeded"]
    assert sorted(job.payload["of"] for job in await rows(database, Job) if job.kind == "other") == [ids[0], ids[2]]


async def test_a_result_that_cannot_be_stored_fails_the_job(database: Database) -> None:
    async def run(job: JobRun) -> Done:
        return Done({"value": object()} if job.payload["n"] == 0 else {"value": 1})

    async with serving(database, kind(run, max_attempts=1), queues={"default": 16}):
        ids = await order(database, "acme", 2)
        await all_in(database, ids, "succeeded", "failed")
    assert [(await fetch(database, job_id)).state for job_id in ids] == ["failed", "succeeded"]
