"""J2, J3, O2: jobs over HTTP with a worker behind: waiting for one, starting one by the clock, counting all."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from db.session import Database
from db.settings import DatabaseSettings
from deployments.jobs.contracts import JobMeasures, KindMeasure, QueueMeasure
from serve_app.edge.job_numbers import JobNumbers
from tests.eventing.harness import eventually
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PLAN = {"name": "backup", "kind": "tenant.order_export", "cron": "0 3 1 1 *"}


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    monkeypatch.setattr("eventing.jobs.runner._TELL_S", 0.1)
    monkeypatch.setattr(JobNumbers, "asked_s", 0.0)
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch) as running:
        yield running


async def test_an_export_is_started_by_the_clock_and_waited_for(platform: OneProcess) -> None:
    """From the schedule to the file: the clock has come when nobody looked."""
    owner = await platform.sign_up()
    schedule = (await owner.post("/api/v1/schedules", json=PLAN)).json()
    database = Database(platform.settings.database())
    async with database.unscoped_write() as unit:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        stored = long_ago if not database.is_sqlite else long_ago.isoformat()
        await unit.session.execute(text("UPDATE schedule SET next_run_at = :at"), {"at": stored})
    await database.close()

    async def has_run() -> bool:
        return (await owner.get(f"/api/v1/schedules/{schedule['id']}")).json()["last_run"] is not None

    await eventually(has_run)
    shown = (await owner.get(f"/api/v1/schedules/{schedule['id']}")).json()
    ordering = (await owner.get(f"/api/v1/jobs/{shown['last_run']['job_id']}?wait=10")).json()
    assert (ordering["kind"], ordering["state"]) == ("tenant.order_export", "succeeded")
    (export,) = (await owner.get("/api/v1/tenants/acme/exports")).json()["data"]
    made = (await owner.get(f"/api/v1/jobs/{export['job_id']}?wait=20")).json()
    assert (made["state"], made["queue"]) == ("succeeded", "batch")
    assert export["requested_by"] == f"schedule:{schedule['id']}"

    async def counted() -> bool:
        return ("formstream_job_attempts_total", "tenant.export", "succeeded") in await _samples(platform)

    await eventually(counted)
    found = await _samples(platform)
    assert found["formstream_job_attempts_total", "tenant.export", "succeeded"] == 1
    assert found["formstream_job_duration_seconds_count", "tenant.export", "succeeded"] == 1
    assert found["formstream_job_duration_seconds_sum", "tenant.export", "succeeded"] > 0
    assert found["formstream_jobs_running", "batch"] == 0


async def test_waiting_ends_with_the_time_that_was_given(platform: OneProcess) -> None:
    """J2: a job that is held does not end; the answer comes all the same."""
    owner = await platform.sign_up()
    await owner.post("/api/v1/queues/pause", json={"queue": "batch"})
    job_id = (await owner.post("/api/v1/tenants/acme/export")).json()["job_id"]
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await owner.get(f"/api/v1/jobs/{job_id}?wait=0.3")
    assert answer.json()["state"] == "queued"
    assert loop.time() - began >= 0.3
    assert (await owner.get(f"/api/v1/jobs/{job_id}?wait=31")).status_code == 422
    waiting = asyncio.create_task(owner.get(f"/api/v1/jobs/{job_id}?wait=20"))
    await owner.post("/api/v1/queues/resume", json={"queue": "batch"})
    assert (await waiting).json()["state"] == "succeeded"


async def _samples(platform: OneProcess) -> dict[tuple[str, ...], float]:
    async with platform.client() as anybody:
        answer = await anybody.get("/metrics")
    return {
        (sample.name, *(sample.labels[name] for name in ("kind", "outcome", "queue") if name in sample.labels)): (
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


class Asked:
    """Counts who asks for numbers, and answers or fails."""

    def __init__(self) -> None:
        self.times = 0
        self.fails = False

    async def measure(self) -> JobMeasures:
        self.times += 1
        if self.fails:
            raise RuntimeError("away")
        return JobMeasures(
            queues=[QueueMeasure(queue="high", waiting=3, running=2, oldest_s=1.5)],
            kinds=[KindMeasure(kind="mail", outcome="failed", attempts=4, duration_s=2.0, lag_s=8.0)],
        )


async def test_the_numbers_are_asked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may read metrics; what cannot be had is left out."""
    jobs: Any = Asked()
    numbers = JobNumbers()
    await asyncio.gather(*(numbers.refresh(jobs) for _ in range(10)))
    assert jobs.times == 1
    values = {(s.name, *s.labels.values()): s.value for family in numbers.collect() for s in family.samples}
    assert values == {
        ("formstream_jobs_waiting", "high"): 3,
        ("formstream_jobs_running", "high"): 2,
        ("formstream_jobs_oldest_seconds", "high"): 1.5,
        ("formstream_job_attempts_total", "mail", "failed"): 4,
        ("formstream_job_duration_seconds_count", "mail", "failed"): 4,
        ("formstream_job_duration_seconds_sum", "mail", "failed"): 2,
        ("formstream_job_lag_seconds_count", "mail", "failed"): 4,
        ("formstream_job_lag_seconds_sum", "mail", "failed"): 8,
    }
    monkeypatch.setattr(JobNumbers, "asked_s", 0.0)
    jobs.fails = True
    await numbers.refresh(jobs)
    assert [sample for family in numbers.collect() for sample in family.samples] == []
