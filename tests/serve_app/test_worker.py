"""D5: what the replicas of consumers and job runners tell autoscaling."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from db.session import Database
from db.settings import DatabaseSettings
from eventing.connection import close, connect
from eventing.jobs import JobSpec, enqueue
from eventing.server import EmbeddedServer
from eventing.streams import ConsumerSpec, ensure_consumer, ensure_stream
from serve_app.settings import Settings
from serve_app.worker import Worker
from tests.factories import make_tenant


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def settings(database_settings: DatabaseSettings, nats: EmbeddedServer, tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {"data_dir": tmp_path, "database_url": database_settings.url, "nats_url": nats.url, "secret_key": "s" * 32}
    )


class Held(Worker):
    """Python calls `__del__` too, and would not await it as Serve does."""

    def __del__(self) -> None:  # type: ignore[override]
        pass


@asynccontextmanager
async def running(settings: Settings, **queues: int) -> AsyncIterator[Worker]:
    """A worker as Serve makes it and ends it, connected."""
    worker = Held.__new__(Held)
    await worker.__init__(settings, (), queues)  # type: ignore[misc]
    try:
        async with asyncio.timeout(20):
            while worker._transport is None:
                await asyncio.sleep(0.01)
        yield worker
    finally:
        await Worker.__del__(worker)


@pytest.fixture
async def runner(settings: Settings) -> AsyncIterator[Worker]:
    async with running(settings, high=0, batch=0) as worker:
        yield worker


async def test_due_jobs_of_its_queues_are_its_lag(runner: Worker, database: Database) -> None:
    await make_tenant(database)
    assert await runner.record_autoscaling_stats() == {"lag": 0.0}
    async with database.write("acme") as unit:
        for queue, after in (("high", 0.0), ("high", 0.0), ("batch", 0.0), ("default", 0.0), ("high", 60.0)):
            await enqueue(unit, JobSpec("nobody.does.it", {}, "test", queue=queue, run_after_s=after))
    assert await runner.record_autoscaling_stats() == {"lag": 3.0}
    async with database.write("acme") as unit:
        await unit.session.execute(text("UPDATE tenant SET status = 'suspended'"))
    assert await runner.record_autoscaling_stats() == {"lag": 0.0}


async def test_events_that_wait_are_its_lag(settings: Settings) -> None:
    """Every event of the stream counts until its consumer has been given it."""
    client = await connect(settings.eventing(), "test")
    stream = client.jetstream()
    await ensure_stream(stream, settings.eventing())
    for number in range(5):
        await stream.publish("events.acme.form.deleted", str(number).encode())
    # In place of a subscription, whose loop would pull.
    await ensure_consumer(stream, ConsumerSpec("idle", ("events.*.form.>",)))
    async with running(settings) as worker:
        worker._subscription_names = ("idle",)
        assert await worker.record_autoscaling_stats() == {"lag": 5.0}
        pull = await stream.pull_subscribe_bind(consumer="idle", stream="EVENTS")
        for message in await pull.fetch(2, timeout=5):
            await message.ack()
        assert await worker.record_autoscaling_stats() == {"lag": 3.0}
    await close(client)


async def test_what_cannot_be_asked_is_as_it_last_was(runner: Worker, database: Database, nats: EmbeddedServer) -> None:
    await make_tenant(database)
    async with database.write("acme") as unit:
        await enqueue(unit, JobSpec("nobody.does.it", {}, "test", queue="high"))
    assert await runner.record_autoscaling_stats() == {"lag": 1.0}
    runner._subscription_names = ("webhooks",)
    nats.stop()
    async with asyncio.timeout(10):
        assert await runner.record_autoscaling_stats() == {"lag": 1.0}


async def test_the_worker_of_batch_jobs_indexes_answers(settings: Settings) -> None:
    """R4: one that has other queues only does not."""
    async with running(settings, batch=1) as worker:
        assert worker._indexing is not None
        worker.check_health()
        worker._indexing.cancel()
        await asyncio.wait([worker._indexing])
        with pytest.raises(RuntimeError, match="indexer"):
            worker.check_health()
    async with running(settings, high=1) as worker:
        assert worker._indexing is None
