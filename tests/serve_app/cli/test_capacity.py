"""The capacity model: it multiplies, rounds replicas up, and never says less for more."""

import io
import json

import pytest
from rich.console import Console

from serve_app.cli import capacity
from serve_app.cli.capacity import Load, need, show


def test_a_small_load_needs_one_of_each_and_two_nodes() -> None:
    found = need(Load(1))

    assert (found.edge, found.responses, found.workers, found.nodes) == (1, 1, 1, 2)


def test_replicas_are_processor_time_over_how_full_a_processor_may_be() -> None:
    found = need(Load(6_000, webhooks=0, fill=0.5))

    assert found.edge == pytest.approx(6_000 * capacity.PROCESSOR_MS["edge"] / 1000 / 0.5, abs=1)
    assert found.workers == pytest.approx(6_000 * capacity.PROCESSOR_MS["workers"] / 1000 / 0.5, abs=1)
    assert need(Load(6_000, webhooks=2, fill=0.5)).workers > found.workers


def test_what_is_there_without_any_load_counts_too() -> None:
    idle, busy = need(Load(1)), need(Load(6_000, node_processors=4))

    assert idle.processors == pytest.approx(0.3, abs=0.01)  # two nodes and the other applications
    assert idle.memory_gib > (capacity.OTHERS_MIB + 2 * capacity.NODE_MIB) / 1024
    assert busy.nodes * (4 - capacity.REST_PROCESSORS) >= busy.processors - busy.nodes * capacity.REST_PROCESSORS


def test_postgresql_needs_processors_for_the_load_and_connections_for_every_pool() -> None:
    idle, busy = need(Load(1)), need(Load(1_200, webhooks=0))

    assert idle.database_connections == 96  # as docs/operations.md says
    assert busy.database_connections == 8 * (busy.responses + busy.workers + 10)
    assert busy.database_processors == pytest.approx(1_200 * capacity.PROCESSOR_MS["postgresql"] / 1000 / 0.6)


def test_disks_are_what_comes_in_a_day_for_as_long_as_it_is_kept() -> None:
    day, year = need(Load(100, days=1, busy=0.1)), need(Load(100, days=365, busy=0.1))

    assert day.database_gib == day.database_gib_per_day == 100 * 8_640 * capacity.DATABASE_BYTES / 2**30
    assert year.database_gib == pytest.approx(365 * day.database_gib)
    assert day.stream_gib == year.stream_gib > 0


def test_it_is_told_as_a_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=120)
    show(Load(500), console, as_json=False)
    assert isinstance(console.file, io.StringIO)
    assert "Worker replicas" in console.file.getvalue()

    show(Load(500), console, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["load"]["submissions"] == 500
    assert told["need"]["workers"] == need(Load(500)).workers
