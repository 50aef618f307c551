"""What is taken from a queue and in which order: urgency, bounds, tenants in turn, what is held; on both databases."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.identity import PLATFORM_TENANT
from db.models.jobs import Job, JobPause
from db.repositories.job_claims import ClaimedJob, claim, depth_of
from db.repositories.job_tallies import all_tallies
from db.session import Database
from db.types import utc_now
from eventing.jobs import GiveUp, JobRun, JobSpec, Retry, enqueue_all
from tests.eventing.harness import count, eventually
from tests.eventing.jobs.harness import all_in, fetch, kind, order, reaches, serving
from tests.factories import make_tenant

KINDS = {"work": 1000, "other": 1000}


async def take(
    database: Database,
    limit: int,
    *,
    worker: str = "w",
    places: Mapping[str, int] | None = None,
    per_tenant: int = 1000,
    at_once: int | None = None,
    now: datetime | None = None,
) -> list[ClaimedJob]:
    now = now or utc_now()
    return await database.transact(
        partial(
            claim,
            queue="default",
            places=KINDS if places is None else places,
            worker=worker,
            now=now,
            until=now + timedelta(seconds=30),
            limit=limit,
            per_tenant=per_tenant,
            at_once=at_once,
        )
    )


async def pause(database: Database, tenant_id: str, job_kind: str = "") -> None:
    async with database.write(tenant_id) as unit:
        values = {"reason": "", "paused_by": "usr_1", "paused_at": utc_now()}
        unit.session.add(JobPause(tenant_id=tenant_id, queue="default", kind=job_kind, **values))


class TestOrder:
    async def test_of_a_tenants_jobs_the_more_urgent_come_first(self, database: Database) -> None:
        """Then those that have been due for longer."""
        ids = {priority: (await order(database, "acme", priority=priority))[0] for priority in (0, -10, 5)}
        (later,) = await order(database, "acme", priority=5, kind="other")
        assert [(await take(database, 1))[0].id for _ in range(4)] == [ids[5], later, ids[0], ids[-10]]

    async def test_urgency_is_a_tenants_own_affair(self, database: Database) -> None:
        """J4: whoever calls everything urgent gets no more turns."""
        await order(database, "loud", 10, priority=10)
        await order(database, "quiet", 10)
        taken = Counter([job.tenant_id for job in await take(database, 6)])
        assert taken == {"loud": 3, "quiet": 3}

    async def test_what_is_urgent_but_not_due_holds_nothing_up(self, database: Database) -> None:
        await order(database, "acme", 20, priority=9, run_after_s=60)
        (due,) = await order(database, "acme")
        assert [job.id for job in await take(database, 5)] == [due]

    async def test_turns_are_fair_beside_ten_thousand(self, database: Database) -> None:
        """J4, T6: what another tenant has queued does not come between two jobs of a tenant with few."""
        async with database.write("noisy") as unit:
            await enqueue_all(unit, [JobSpec("work", {"n": n}, "usr_1", priority=n % 2) for n in range(10_000)])
        quiet = [job_id for _ in range(3) for job_id in await order(database, "quiet", 4)]
        seen: list[str] = []
        while set(quiet) - set(seen):
            taken = await take(database, 8, per_tenant=6)
            seen += [job.id for job in taken]
            async with database.unscoped_write() as unit:
                done = update(Job).where(col(Job.id).in_([job.id for job in taken]))
                await unit.session.execute(done.values(state="succeeded"))
        assert len(seen) == 24  # turn by turn: as many of the one as of the other


class TestBounds:
    async def test_of_one_tenant_so_many_are_taken_at_once(self, database: Database) -> None:
        """T6: whoever comes meanwhile waits for the end of the batch."""
        await order(database, "noisy", 10)
        await order(database, "quiet", 2)
        assert Counter(job.tenant_id for job in await take(database, 10, at_once=3)) == {"noisy": 3, "quiet": 2}
        assert len(await take(database, 10, at_once=3)) == 3

    async def test_of_a_kind_no_more_than_its_places(self, database: Database) -> None:
        await order(database, "acme", 5)
        await order(database, "globex", 5)
        await order(database, "acme", 5, kind="other")
        taken = Counter(job.kind for job in await take(database, 12, places={"work": 3, "other": 1000}))
        assert taken == {"work": 3, "other": 5}

    async def test_a_runner_keeps_to_the_places_of_a_kind(self, database: Database) -> None:
        running = most = 0

        async def run(_job: JobRun) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

        async with serving(database, kind(run, places=2), queues={"default": 8}):
            await all_in(database, await order(database, "acme", 20), "succeeded")
        assert most == 2

    async def test_of_a_tenant_no_more_than_its_settings_say(self, database: Database) -> None:
        """T6: over all workers and queues; others are not touched by it."""
        await make_tenant(database, max_running_jobs=3)
        await make_tenant(database, "globex")
        await order(database, "acme", 10)
        await order(database, "globex", 5)
        assert Counter(job.tenant_id for job in await take(database, 20)) == {"acme": 3, "globex": 5}
        assert await take(database, 20, worker="another") == []
        async with database.unscoped_write() as unit:
            mine = update(Job).where(col(Job.tenant_id) == "acme", col(Job.state) == "running")
            await unit.session.execute(mine.where(col(Job.payload)["n"].as_integer() == 0).values(state="succeeded"))
        assert [job.tenant_id for job in await take(database, 20, worker="another")] == ["acme"]

    async def test_only_of_the_kinds_that_were_asked_for(self, database: Database) -> None:
        """A runner of an older version takes nothing that it cannot do, however much of that waits."""
        await order(database, "acme", 50, kind="newer")
        (known,) = await order(database, "acme")
        assert [job.id for job in await take(database, 5)] == [known]


class TestPauses:
    async def test_a_paused_kind_waits_and_others_go_on(self, database: Database) -> None:
        held = await order(database, "acme", 3)
        (other,) = await order(database, "acme", kind="other")
        (theirs,) = await order(database, "globex")
        await pause(database, "acme", "work")
        assert {job.id for job in await take(database, 10)} == {other, theirs}
        async with database.unscoped_write() as unit:
            await unit.session.delete(await unit.session.get(JobPause, ("acme", "default", "work")))
        assert {job.id for job in await take(database, 10)} == set(held)

    async def test_a_paused_queue_waits_for_its_tenant(self, database: Database) -> None:
        await order(database, "acme", 3)
        await order(database, "acme", 3, kind="other")
        (theirs,) = await order(database, "globex")
        await pause(database, "acme")
        assert [job.id for job in await take(database, 10)] == [theirs]

    @pytest.mark.parametrize("paused", ["", "work"])
    async def test_the_platform_pauses_for_everybody(self, database: Database, paused: str) -> None:
        await order(database, "acme", 3)
        await order(database, "globex", 3)
        await pause(database, PLATFORM_TENANT, paused)
        assert await take(database, 10) == []

    async def test_what_is_held_is_not_counted_as_waiting(self, database: Database) -> None:
        """Or workers would be added for it."""
        await order(database, "acme", 3)
        await order(database, "acme", 2, kind="other")
        await order(database, "acme", 5, run_after_s=60)
        depth = partial(depth_of, queue="default", now=utc_now() + timedelta(seconds=1))
        assert (await database.view(depth)).waiting == 5
        await pause(database, "acme", "work")
        found = await database.view(depth)
        assert (found.waiting, found.running) == (2, 0)
        await take(database, 1)
        found = await database.view(depth)
        assert (found.waiting, found.running) == (1, 1)
        assert found.oldest is not None
        await take(database, 1)
        assert (await database.view(depth)).oldest is None

    async def test_a_running_job_ends_although_its_queue_is_paused(self, database: Database) -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def run(_job: JobRun) -> None:
            entered.set()
            await release.wait()

        async with serving(database, kind(run), queues={"default": 1}):
            first, second = await order(database, "acme", 2)
            await asyncio.wait_for(entered.wait(), 10)
            await pause(database, "acme")
            release.set()
            await reaches(database, first, "succeeded")
            assert (await fetch(database, second)).state == "queued"


class TestActiveKey:
    async def test_names_one_job_at_a_time(self, database: Database) -> None:
        (first,) = await order(database, "acme", active_key="sync")
        assert await order(database, "acme", active_key="sync") == [first]
        (theirs,) = await order(database, "globex", active_key="sync")
        assert theirs != first
        await take(database, 5)
        assert await order(database, "acme", active_key="sync") == [first]
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(Job).values(state="succeeded"))
        (second,) = await order(database, "acme", active_key="sync")
        assert second not in (first, theirs)
        assert await order(database, "acme", active_key="sync") == [second]

    async def test_orders_at_once_make_one_job(self, database: Database) -> None:
        orders = await asyncio.gather(*(order(database, "acme", active_key="sync") for _ in range(5)))
        assert len({job_id for (job_id,) in orders}) == 1
        assert await count(database, Job) == 1


async def test_what_becomes_of_jobs_is_counted(database: Database) -> None:
    """J5: attempts by kind and outcome, how long they ran and how long they had waited, of all runners."""

    async def run(job: JobRun) -> None:
        await asyncio.sleep(0.01)
        if job.payload["n"] == 0:
            raise GiveUp("no")
        if job.payload["n"] == 1 and job.attempt == 1:
            raise Retry("again")

    for _ in range(2):
        async with serving(database, kind(run), queues={"default": 4}):
            await all_in(database, await order(database, "acme", 4), "succeeded", "failed")
    told = await database.view(all_tallies)
    assert {key: tally.attempts for key, tally in told.items()} == {
        ("work", "succeeded"): 6,
        ("work", "failed"): 2,
        ("work", "retried"): 2,
    }
    assert all(0.01 * tally.attempts <= tally.duration_s < 30 for tally in told.values())
    assert all(0 <= tally.lag_s < 30 for tally in told.values())


async def test_numbers_that_could_not_be_told_are_told_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_job: JobRun) -> None:
        return None

    async with serving(database, kind(run)) as runner:
        monkeypatch.setattr(database, "transact", _refusing_tallies(database.transact))
        await all_in(database, await order(database, "acme", 2), "succeeded")

        async def counted() -> bool:
            return runner.counters["succeeded"] == 2

        await eventually(counted)
        with pytest.raises(OSError, match="away"):
            await runner._tallies.tell()
        monkeypatch.undo()
    told = await database.view(all_tallies)
    assert told["work", "succeeded"].attempts == 2


def _refusing_tallies(transact: Any) -> Any:
    async def refusing(work: Any) -> Any:
        if getattr(work, "func", None).__name__ == "add_tallies":
            raise OSError("away")
        return await transact(work)

    return refusing
