"""O1: what follows from a request is known by its id: in jobs, in reactions, and in their log lines."""

from collections.abc import Sequence
from typing import Any

from structlog.testing import capture_logs

from db.session import Database, UnitOfWork
from eventing.caller import acting_for, current_origin
from eventing.effects import Effects
from eventing.events.envelope import Event, Origin
from eventing.jobs import JobRun
from eventing.settings import EventingSettings
from eventing.subscription import Handle, Subscription
from serve_app.logging import add_caller
from tests.eventing.harness import record_facts
from tests.eventing.jobs import harness as jobs

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ADA = Origin("of-ada-1", "192.0.2.7", "a browser of Ada's", TRACE)
GRACE = Origin("of-grace", "192.0.2.8", "another", "")


class TestJobs:
    async def test_a_job_is_known_by_the_request_that_ordered_it(self, database: Database) -> None:
        seen: dict[str, tuple[Any, ...]] = {}

        async def run(job: JobRun) -> None:
            seen[job.id] = (job.payload, job.origin, current_origin())

        with acting_for(ADA):
            (ordered,) = await jobs.order(database, "acme")
            (other,) = await jobs.order(database, "acme", origin=GRACE)
        (by_clock,) = await jobs.order(database, "acme")
        async with jobs.serving(database, jobs.kind(run)):
            await jobs.all_in(database, (ordered, other, by_clock), "succeeded")
        known = Origin("of-ada-1", traceparent=TRACE)
        assert seen[ordered] == ({"n": 0}, known, known)
        assert seen[other] == ({"n": 0}, Origin("of-grace"), Origin("of-grace"))
        assert seen[by_clock] == ({"n": 0}, Origin(), Origin())

    async def test_the_address_of_who_ordered_is_not_kept(self, database: Database) -> None:
        with acting_for(ADA):
            (ordered,) = await jobs.order(database, "acme")
        kept = (await jobs.fetch(database, ordered)).payload
        assert kept == {"n": 0, "_origin": {"request_id": "of-ada-1", "traceparent": TRACE}}

    async def test_the_log_of_a_job_names_its_request(self, database: Database) -> None:
        async def run(_: JobRun) -> None:
            raise ValueError

        with acting_for(ADA):
            (ordered,) = await jobs.order(database, "acme")
        with capture_logs(processors=[add_caller]) as logs:
            async with jobs.serving(database, jobs.kind(run, max_attempts=1)):
                await jobs.all_in(database, (ordered,), "failed")
        (raised,) = (log for log in logs if log["event"] == "job raised")
        assert raised["request_id"] == "of-ada-1"


def _effects(database: Database, handle: Handle) -> Effects:
    subscription = Subscription("mail", ("form.deleted",), handle)
    settings = EventingSettings(nats_url="nats://127.0.0.1:1", retry_delays_s=(0.000001,), retry_jitter=0)
    return Effects(database, subscription, settings)


class TestReactions:
    async def test_a_reaction_is_known_by_the_request_of_its_event(self, database: Database) -> None:
        seen: list[Origin] = []

        async def handle(_: UnitOfWork, __: Sequence[Event]) -> None:
            seen.append(current_origin())

        effects = _effects(database, handle)
        of_ada = await record_facts(database, "acme", "frm_1", "frm_2", origin=ADA)
        of_grace = await record_facts(database, "acme", "frm_3", origin=GRACE)
        await effects.apply(of_ada)
        later = await record_facts(database, "acme", "frm_4", origin=ADA)
        await effects.apply([*later, *of_grace])
        # Of two requests at once it is for neither of them.
        assert seen == [ADA, Origin()]
        assert current_origin() == Origin()

    async def test_a_failure_is_logged_with_the_request_at_once_and_again(self, database: Database) -> None:
        async def handle(_: UnitOfWork, events: Sequence[Event]) -> None:
            raise ValueError(str(len(events)))

        effects = _effects(database, handle)
        events = [
            *await record_facts(database, "acme", "frm_1", origin=ADA),
            *await record_facts(database, "acme", "frm_2", origin=GRACE),
        ]
        with capture_logs(processors=[add_caller]) as logs:
            await effects.apply(events)
            await effects.retry_due()
        failed = [
            (log["event_id"], log["attempts"], log["request_id"]) for log in logs if log["event"] == "event failed"
        ]
        assert sorted(failed) == sorted(
            (event.id, attempt, event.origin.request_id) for event in events for attempt in (1, 2)
        )
