"""R1, Z5: the disk of the database, and that of exports, is full."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.architecture.rooms import ROOT

_OWN_DISK: Final = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
_MOUNT: Final = 'mount -t tmpfs -o size=64m none "$0"'


def _has_namespaces() -> bool:
    try:
        return subprocess.run([*_OWN_DISK, _MOUNT, "/mnt"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "how",
    [
        "files cannot grow",
        pytest.param(
            "the disk is full",
            marks=pytest.mark.skipif(not _has_namespaces(), reason="Z5: nobody may mount a disk of their own here"),
        ),
    ],
)
async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path, how: str) -> None:
    """Fault 10: nobody is told that a submission was stored while it was not, what is there can be read, and with room
    again everything goes on by itself; an export leaves nothing behind and is whole the next time."""
    program = [sys.executable, "-m", "tests.faults.full_disk_process", str(tmp_path)]
    if how == "the disk is full":
        program = [*_OWN_DISK, f'{_MOUNT} && exec "$@" --own-disk', str(tmp_path), *program]
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(90):
        output, _ = await process.communicate()
    assert process.returncode == 0
    found = orjson.loads(output.splitlines()[-1])
    export = found.pop("export")
    before, refused, acknowledged = found.pop("before"), found.pop("refused"), found.pop("acknowledged")
    assert before > 10
    assert refused > 0
    # What was refused once may have had its turn in a place that was left.
    assert before <= found.pop("readable") <= acknowledged
    assert found == {"again": True, "lost": 0, "too_many": 0, "integrity": "ok"}
    assert export.pop("failed")
    assert export == {"left": [], "rows": acknowledged, "whole": True}
