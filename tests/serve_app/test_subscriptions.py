"""J1: what the page of handlers promises of all of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from db.session import Database
from db.settings import DatabaseSettings
from deployments.jobs.contracts import Schedulable
from deployments.kit.egress import Egress
from deployments.kit.objects import StoreUnavailable
from eventing.jobs import JobKind
from serve_app.schedulable import SCHEDULABLE
from serve_app.settings import Settings
from serve_app.subscriptions import QUEUES, job_kinds, store_of_jobs
from tests.deployments.local_http import answer, serving


@pytest.fixture
def kinds(tmp_path: Path, sqlite_settings: DatabaseSettings) -> dict[str, JobKind]:
    settings = Settings(data_dir=tmp_path, secret_key=SecretStr("s" * 32))

    async def purge(_tenant_id: str) -> int:
        return 0

    nowhere: Any = None
    kinds = job_kinds(Database(sqlite_settings), Egress(()), settings, purge, nowhere, nowhere)
    return {kind.name: kind for kind in kinds}


def test_every_kind_waits_in_a_queue_within_limits(kinds: dict[str, JobKind]) -> None:
    assert len(kinds) > 15
    for kind in kinds.values():
        assert kind.queue in QUEUES, kind.name
        # A replay goes at the pace that was asked for.
        longest = 90_060 if kind.name == "events.replay" else 3_600
        assert 0 < kind.soft_limit_s < kind.hard_limit_s <= longest, kind.name
        assert all(delay > 0 for delay in kind.delays), kind.name


@pytest.mark.parametrize("each", SCHEDULABLE, ids=lambda each: each.kind)
def test_what_schedules_may_start_is_a_kind_of_that_queue(kinds: dict[str, JobKind], each: Schedulable) -> None:
    assert kinds[each.kind].queue == each.queue
    assert each.standing is None or each.payload() is not None
    # What the platform runs by itself is nobody else's to schedule.
    assert each.standing is None or each.scope == "platform:admin"


async def test_a_job_asks_the_object_store_once(tmp_path: Path) -> None:
    """Nothing below a job tries again by itself."""
    async with serving(answer("503 Slow Down")) as server:
        settings = Settings(
            data_dir=tmp_path,
            object_store_url="s3://bucket",
            object_store_endpoint=f"http://127.0.0.1:{server.port}",
            object_store_access_key="key",
            object_store_secret_key=SecretStr("secret"),
        )
        with pytest.raises(StoreUnavailable):
            await store_of_jobs(settings).put("acme/file", b"content")
    assert len(server.requests) == 1
