"""Starting an import, and the job it becomes, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from db.models.events import Event
from db.models.jobs import Job
from db.session import Database
from deployments.imports.deployment import Imports
from deployments.imports.errors import FileForeign, KeyMismatch
from deployments.imports.handlers import job_kinds
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from eventing.events.envelope import Event as Envelope
from eventing.events.jobs import ImportCompleted
from eventing.jobs import JobRunner
from tests.deployments.imports.conftest import TENANT, Bench
from tests.deployments.imports.test_handlers import SMALL

OWNER = Principal(TENANT, "usr_1", "user", scopes=frozenset({"forms:write", "responses:write"}))


async def jobs_of(database: Database) -> list[Job]:
    async with database.unscoped_read() as unit:
        return list((await unit.session.scalars(select(Job).order_by(col(Job.id)))).all())


@pytest.fixture
def imports(database: Database, bench: Bench) -> Imports:
    return Imports(database, bench.objects)


class TestStart:
    async def test_orders_a_job(self, database: Database, bench: Bench, imports: Imports) -> None:
        command = await bench.upload(SMALL)
        started = await imports.start(OWNER, command)
        (job,) = await jobs_of(database)
        assert (started.job_id, started.replayed) == (job.id, False)
        assert (job.kind, job.queue, job.state, job.tenant_id, job.created_by) == (
            *("import", "default", "queued", TENANT, "usr_1"),
        )
        assert job.payload["slug"] == "survey"

    async def test_the_same_key_is_the_same_job_and_the_second_upload_goes(
        self, database: Database, bench: Bench, imports: Imports
    ) -> None:
        """F6: a second import of the same file with the same key adds none."""
        first_file = await bench.upload(SMALL, "1.csv", idempotency_key="k")
        second_file = await bench.upload(SMALL, "2.csv", idempotency_key="k")
        first = await imports.start(OWNER, first_file)
        second = await imports.start(OWNER, second_file)
        assert (first.job_id, first.replayed, second.replayed) == (second.job_id, False, True)
        assert len(await jobs_of(database)) == 1
        assert await bench.has_file(first_file)
        assert not await bench.has_file(second_file)

    async def test_a_repeated_call_about_one_upload_keeps_it(self, bench: Bench, imports: Imports) -> None:
        command = await bench.upload(SMALL, idempotency_key="k")
        assert await imports.start(OWNER, command) == await imports.start(OWNER, command)
        assert await bench.has_file(command)

    @pytest.mark.parametrize("change", [{"slug": "other"}, {"dry_run": True}, {"title": "Other"}])
    async def test_the_same_key_for_another_import_is_refused(
        self, change: dict[str, Any], bench: Bench, imports: Imports
    ) -> None:
        await imports.start(OWNER, await bench.upload(SMALL, "1.csv", idempotency_key="k"))
        other = await bench.upload(SMALL, "2.csv", idempotency_key="k", **change)
        with pytest.raises(KeyMismatch) as caught:
            await imports.start(OWNER, other)
        assert (caught.value.status, caught.value.code) == (422, "idempotency.mismatch")
        assert not await bench.has_file(other)

    async def test_the_same_key_for_another_file_is_refused(self, bench: Bench, imports: Imports) -> None:
        await imports.start(OWNER, await bench.upload(SMALL, "1.csv", idempotency_key="k"))
        with pytest.raises(KeyMismatch):
            await imports.start(OWNER, await bench.upload(SMALL + "4,,No,d\n", "2.csv", idempotency_key="k"))

    @pytest.mark.parametrize("scope", ["forms:write", "responses:write"])
    async def test_needs_both_permissions(self, scope: str, database: Database, bench: Bench, imports: Imports) -> None:
        command = await bench.upload(SMALL)
        with pytest.raises(Forbidden):
            await imports.start(Principal(TENANT, "usr_1", "user", scopes=frozenset({scope})), command)
        assert await jobs_of(database) == []
        assert not await bench.has_file(command)

    async def test_another_tenants_file_is_not_there_and_stays(self, bench: Bench, imports: Imports) -> None:
        command = await bench.upload(SMALL)
        with pytest.raises(FileForeign):
            await imports.start(Principal.system("acm", "x"), command)
        assert await bench.has_file(command)


class TestTheJob:
    async def test_runs_tells_it_in_an_event_and_removes_the_file(
        self, database: Database, bench: Bench, imports: Imports
    ) -> None:
        command = await bench.upload(SMALL)
        await imports.start(OWNER, command)
        runner = JobRunner(
            database, {"default": 2}, job_kinds(bench.objects, bench.forms, bench.responses), poll_s=0.02
        )
        running = asyncio.create_task(runner.run())
        async with asyncio.timeout(30):
            while runner.counters["succeeded"] < 2:
                await asyncio.sleep(0.02)
        await runner.stop()
        await asyncio.gather(running, return_exceptions=True)
        job, discard = await jobs_of(database)
        assert (job.state, job.progress_done, job.progress_total) == ("succeeded", 3, 3)
        assert job.result is not None
        assert job.result["imported"] == 3
        assert (discard.kind, discard.state) == ("import.discard", "succeeded")
        assert not await bench.has_file(command)
        async with database.read(TENANT) as unit:
            (row,) = (await unit.session.scalars(select(Event))).all()
        event = Envelope.decode(row.envelope)
        fact = event.read(ImportCompleted)
        assert (event.actor, fact.job_id, fact.form_id) == ("usr_1", job.id, job.result["form_id"])
        assert (fact.imported, fact.skipped, fact.failed) == (3, 0, 0)
