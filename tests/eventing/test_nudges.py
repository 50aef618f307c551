"""Nudges between processes: two databases handles and two connections stand for two processes."""

import asyncio

import pytest
import structlog

from db.session import Database
from eventing.connection import connect
from eventing.jobs import JobSpec, enqueue
from eventing.nudges import Nudges
from eventing.subjects import change_topic
from tests.eventing.harness import Transport, empty_stream, record_facts


async def other_process(database: Database, transport: Transport) -> tuple[Database, Nudges, asyncio.Event]:
    """A second process that waits for events and for jobs of the queue `high`."""
    there = Database(database.settings)
    nudges = Nudges(there, await connect(transport.settings, "other"))
    woken = asyncio.Event()
    nudges.wake("events", woken.set)
    nudges.wake("jobs.high", woken.set)
    await nudges.start()
    await nudges._client.flush()
    return there, nudges, woken


async def close(there: Database, nudges: Nudges) -> None:
    await nudges.stop()
    await nudges._client.close()
    await there.close()


async def test_a_commit_wakes_this_process_at_once(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        nudges = Nudges(database, transport.client)
        woken: list[str] = []
        nudges.wake("events", lambda: woken.append("events"))
        nudges.wake("jobs.high", lambda: woken.append("jobs.high"))
        await record_facts(database, "acme", "frm_1")
        assert woken == ["events"]
        await nudges.stop()


@pytest.mark.parametrize("topic", ["events", "jobs.high"])
async def test_a_commit_wakes_other_processes(database: Database, nats_server: str, topic: str) -> None:
    """E2: an event or a job of one process is not left to the poll of another."""
    async with empty_stream(nats_server) as transport:
        here = Nudges(database, transport.client)
        there, theirs, woken = await other_process(database, transport)
        if topic == "events":
            await record_facts(database, "acme", "frm_1")
        else:
            async with database.write("acme") as unit:
                await enqueue(unit, JobSpec("work", {}, created_by="usr_1", queue="high"))
        await asyncio.wait_for(woken.wait(), 10)
        await here.stop()
        await close(there, theirs)


async def test_what_changed_is_told_to_other_processes_only(database: Database, nats_server: str) -> None:
    """C2: a commit that changes a form tells every other process whose it was; who committed knows it already."""
    async with empty_stream(nats_server) as transport:
        mine: list[frozenset[str]] = []
        here = Nudges(database, transport.client, mine.append)
        await here.start()
        there = Database(database.settings)
        told: asyncio.Queue[frozenset[str]] = asyncio.Queue()
        theirs = Nudges(there, await connect(transport.settings, "other"), told.put_nowait)
        await theirs.start()
        await theirs._client.flush()
        await record_facts(database, "acme", "frm_1")
        assert await asyncio.wait_for(told.get(), 10) == {change_topic("form", "acme")}
        await transport.client.flush()
        assert mine == []
        await here.stop()
        await close(there, theirs)


async def test_many_commits_make_few_messages(database: Database, nats_server: str) -> None:
    """A burst of commits costs other processes a handful of messages, and the last commit is told."""
    async with empty_stream(nats_server) as transport:
        nudges = Nudges(database, transport.client)
        heard = await transport.client.subscribe("nudge.>")
        for _ in range(2000):
            database.announce(frozenset({"events"}))
            await asyncio.sleep(0)
        await heard.next_msg(timeout=10)
        assert nudges._sender is not None
        await asyncio.wait({nudges._sender}, timeout=10)
        await transport.client.flush()
        assert not nudges._pending
        assert heard.pending_msgs < 200
        await nudges.stop()


async def test_a_lost_nudge_is_only_logged(database: Database, nats_server: str) -> None:
    """E7: a commit never fails because of NATS."""
    async with empty_stream(nats_server) as transport:
        nudges = Nudges(database, transport.client)

        async def refuse(*_message: object) -> None:
            raise ConnectionError("broken pipe")

        transport.client.publish = refuse  # type: ignore[assignment]
        with structlog.testing.capture_logs() as logs:
            await record_facts(database, "acme", "frm_1")
            assert nudges._sender is not None
            await asyncio.wait({nudges._sender}, timeout=10)
        assert [(entry["event"], entry["subject"]) for entry in logs] == [
            ("nudge not sent", "nudge.changed"),
            ("nudge not sent", "nudge.relay"),
        ]
        await nudges.stop()


async def test_after_stop_nothing_is_carried(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        nudges = Nudges(database, transport.client)
        woken: list[str] = []
        nudges.wake("events", lambda: woken.append("events"))
        await nudges.stop()
        await record_facts(database, "acme", "frm_1")
        assert woken == []
