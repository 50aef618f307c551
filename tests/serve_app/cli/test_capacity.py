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

    assert found.edge == pytest.approx(6_000 * 0.26 / 1000 / 0.5, abs=1)
    assert found.workers == pytest.approx(6_000 * 0.93 / 1000 / 0.5, abs=1)
    assert need(Load(6_000, webhooks=2, fill=0.5)).workers > found.workers


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
