"""What an earlier start left behind is stopped, and nothing else."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from serve_app.cli.processes import ProcessTree

_STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
sys.stdin.read()
"""


_PARENT = """
import json, subprocess, sys
from pathlib import Path
import psutil
from serve_app.cli.processes import ProcessTree
record = Path(sys.argv[1])
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
tree = ProcessTree(record)
tree.note()
noted, mode = json.loads(record.read_text()), record.stat().st_mode & 0o777
print(json.dumps([child.pid, noted, mode, tree.stop(), psutil.pid_exists(child.pid)]))
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its input to end."""
    command = [sys.executable, "-c", "import sys; print('here', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def _entry(pid: int) -> dict[str, float]:
    return {"pid": pid, "created": psutil.Process(pid).create_time()}


def test_a_leftover_is_stopped(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    record = tmp_path / "processes.json"
    record.write_text(json.dumps([_entry(child.pid)]))
    assert ProcessTree(record).stop_leftovers() == 1
    assert not psutil.pid_exists(child.pid)
    assert not record.exists()


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    record = tmp_path / "processes.json"
    entry = _entry(child.pid)
    record.write_text(json.dumps([{**entry, "created": entry["created"] - 60}]))
    assert ProcessTree(record).stop_leftovers() == 0
    assert child.poll() is None


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"pid": 1}]', '[{"pid": 999999999, "created": 1.0}]'])
def test_a_broken_record_stops_nobody(tmp_path: Path, content: str) -> None:
    record = tmp_path / "processes.json"
    record.write_text(content)
    assert ProcessTree(record).stop_leftovers() == 0


def test_the_tree_is_noted_and_stopped(tmp_path: Path) -> None:
    record = tmp_path / "processes.json"
    # In a process of its own: this one has other children, which are to live on.
    done = subprocess.run([sys.executable, "-c", _PARENT, str(record)], capture_output=True, timeout=30, check=True)
    child, noted, mode, stopped, alive = json.loads(done.stdout)
    assert child in {entry["pid"] for entry in noted}
    assert mode == 0o600
    assert stopped == 1
    assert not alive
    assert not record.exists()


def test_who_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.cli.processes._POLITE_S", 0.2)
    command = [sys.executable, "-c", _STUBBORN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        record = tmp_path / "processes.json"
        record.write_text(json.dumps([_entry(stubborn.pid)]))
        assert ProcessTree(record).stop_leftovers() == 1
        assert not psutil.pid_exists(stubborn.pid)
