"""One platform per data folder, also across processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.cli.failure import CommandFailed
from serve_app.cli.instance import InstanceLock

_HOLDER = """
import sys
from pathlib import Path
from serve_app.cli.instance import InstanceLock
with InstanceLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_instance_is_told_who_the_first_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(CommandFailed, match=rf"already runs on .* \(process {holder.pid}\)"),
            InstanceLock(tmp_path),
        ):
            pytest.fail("two instances")
        holder.kill()
        holder.wait()
        # A killed holder leaves no lock behind.
        with InstanceLock(tmp_path):
            assert (tmp_path / "instance.lock").read_text().strip().isdigit()


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with InstanceLock(tmp_path):
            pass
