"""What the job queue itself costs: durable jobs that do nothing, from their order to their end (J5).

`python -m benchmarks.jobs [--jobs 20000] [--tenants 10] [--databases sqlite,postgresql]`
"""

import argparse
import asyncio
import statistics
import time
from typing import Any

from sqlalchemy import insert, select
from sqlmodel import col

from benchmarks.databases import scratch
from benchmarks.machine import describe
from db.migrate import upgrade
from db.models.identity import Tenant
from db.models.jobs import Job
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.jobs import Done, JobKind, JobRun, JobRunner, JobSpec, enqueue, enqueue_all

PLACES = 256
_AT_ONCE = 500
_SINGLE = 200


async def _nothing(job: JobRun) -> Done | None:
    if "effect" not in job.payload:
        return None

    async def effect(unit: UnitOfWork) -> None:
        # What the end of a mail or a delivery does at least: one statement in the transaction that ends the attempt.
        await unit.session.execute(select(col(Tenant.status)).where(col(Tenant.id) == unit.tenant))

    return Done(effect=effect)


class _Timed:
    """Wall clock and processor time of this process; the latter says more on a machine that others use too."""

    def __enter__(self) -> "_Timed":
        self.seconds, self.processor = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter()
        self.processor += time.process_time()

    def tell(self, name: str, jobs: int) -> None:
        each = self.processor / jobs * 1e6
        print(f"  {name:<32}{jobs / self.seconds:>9,.0f} jobs/s, {each:,.0f} µs of processor time each", flush=True)


async def _make_tenants(database: Database, names: list[str]) -> None:
    now = utc_now()
    rows = [
        {"id": name, "name": name, "status": "active", "settings": {}, "created_at": now, "updated_at": now}
        for name in names
    ]
    async with database.unscoped_write() as unit:
        await unit.session.execute(insert(Tenant), rows)


async def _order(database: Database, tenant: str, jobs: int, payload: dict[str, Any] | None = None) -> None:
    """Order jobs, many in each transaction, as a change to many responses does."""
    for start in range(0, jobs, _AT_ONCE):
        many = min(_AT_ONCE, jobs - start)
        async with database.write(tenant) as unit:
            await enqueue_all(unit, [JobSpec("nothing", payload or {"n": n}, "bench") for n in range(many)])


async def _until_done(runner: JobRunner, jobs: int) -> None:
    while runner.counters["succeeded"] < jobs:  # noqa: ASYNC110 - the runner has no event for its counters
        await asyncio.sleep(0.005)


async def _measure(dialect: str, jobs: int, tenants: int) -> None:
    names = [f"t{number}" for number in range(tenants)]
    each = jobs // tenants
    total = each * tenants
    with scratch(dialect) as settings:
        await upgrade(settings)
        database = Database(settings)
        await _make_tenants(database, names)
        print(f"\n{dialect}: {total:,} jobs of {tenants} tenants, {PLACES} places in one process")

        with _Timed() as ordering:
            for name in names:
                await _order(database, name, each)
        ordering.tell(f"order, {_AT_ONCE} a transaction", total)
        runner = JobRunner(database, {"default": PLACES}, [JobKind("nothing", "default", _nothing)])
        database.listen(lambda _: runner.nudge("default"))
        with _Timed() as running:
            task = asyncio.create_task(runner.run())
            await _until_done(runner, total)
        running.tell("take, run, end", total)
        print(f"  {'order and run, in turn':<32}{total / (ordering.seconds + running.seconds):>9,.0f} jobs/s")

        with _Timed() as together:
            await asyncio.gather(*(_order(database, name, each) for name in names))
            await _until_done(runner, 2 * total)
        together.tell("order and run, at once", total)

        with _Timed() as effects:
            await asyncio.gather(*(_order(database, name, each // 4, {"effect": True}) for name in names))
            await _until_done(runner, 2 * total + each // 4 * tenants)
        effects.tell("the same with an effect each", each // 4 * tenants)

        for _ in range(_SINGLE):
            async with database.write(names[0]) as unit:
                await enqueue(unit, JobSpec("nothing", {}, "bench"))
            await asyncio.sleep(0.01)
        await _until_done(runner, 2 * total + each // 4 * tenants + _SINGLE)
        await runner.stop()
        await task
        await _lags(database)
        await database.close()


async def _lags(database: Database) -> None:
    """Of the jobs that came one at a time: from their order to their start, and from there to their durable end."""
    newest = select(col(Job.created_at), col(Job.started_at), col(Job.finished_at)).order_by(col(Job.id).desc())
    async with database.unscoped_read() as unit:
        rows = (await unit.session.execute(newest.limit(_SINGLE))).all()
    for name, values in (
        ("from order to start", [(started - created).total_seconds() * 1e3 for created, started, _ in rows]),
        ("from start to end", [(ended - started).total_seconds() * 1e3 for _, started, ended in rows]),
    ):
        cuts = statistics.quantiles(values, n=100)
        print(f"  one at a time, {name:<20} p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--tenants", type=int, default=10)
    parser.add_argument("--databases", default="sqlite,postgresql")
    arguments = parser.parse_args()
    print(describe())
    for dialect in arguments.databases.split(","):
        asyncio.run(_measure(dialect, arguments.jobs, arguments.tenants))


if __name__ == "__main__":
    main()
