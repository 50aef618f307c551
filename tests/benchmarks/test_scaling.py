"""What the comparison of several nodes stands on: what it deploys, whose time is whose, and who waits for whom."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
import yaml

from benchmarks.contention import counts, watched
from benchmarks.nodes import ON_EACH, config_of
from benchmarks.scaling import kind_of
from db.settings import DatabaseSettings
from serve_app.placement import load_config
from tests.e2e.platform import ROOT


@pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")
def test_what_a_submission_goes_through_is_on_each_node_and_no_number_follows_the_load(tmp_path: Path) -> None:
    path = tmp_path / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config_of(yaml.safe_load((ROOT / "serve_config.yaml").read_text()), 4)))

    placed = {
        deployment.name: deployment
        for application in load_config(path).applications
        for deployment in application.deployments
    }

    assert {placed[name].num_replicas for name in ON_EACH} == {4}
    assert {placed[name].max_replicas_per_node for name in ON_EACH} == {1}
    following = {name for name, each in placed.items() if isinstance(each.autoscaling_config, dict)}
    assert following == {"classification", "extraction", "generation"}  # which have no replica until they are asked
    assert {each.num_replicas for name, each in placed.items() if name not in {*ON_EACH, *following}} == {1}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ray::ServeReplica:edge:edge", "edge"),
        ("ray::ServeReplica:responses:responses", "responses"),
        ("ray::ServeReplica:runners:runners", "runners"),
        ("ray::ServeReplica:forms:forms", "others"),
        ("ray::ServeController", "ray"),
        ("raylet", "ray"),
        ("nats-server", "nats"),
        ("postgres", "postgresql"),
    ],
)
def test_every_process_is_of_a_kind(name: str, kind: str) -> None:
    assert kind_of(name) == kind


async def test_who_waits_for_a_lock_of_somebody_else_is_seen(postgres_settings: DatabaseSettings) -> None:
    uri = postgres_settings.url.replace("+asyncpg", "")
    holder, waiter = await asyncpg.connect(uri), await asyncpg.connect(uri)
    await holder.execute("SELECT pg_advisory_lock(1)")
    waiting = asyncio.create_task(waiter.execute("SELECT pg_advisory_lock(1)"))

    async def release() -> None:
        while not await holder.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"):
            await asyncio.sleep(0)
        await asyncio.sleep(0.3)  # three looks
        await holder.execute("SELECT pg_advisory_unlock(1)")

    before = await counts(uri)
    _, sessions = await watched(uri, release())
    await waiting
    since = (await counts(uri)).since(before)
    await asyncio.gather(holder.close(), waiter.close())

    assert sessions.mean("Lock") > 0
    assert sessions.most >= 2
    assert (since.responses, since.groups, since.deadlocks) == (0, 0, 0)
