"""R1, Z5: the disk of the database, and that of exports, is full."""

import asyncio
import sys
from pathlib import Path

import orjson

from tests.architecture.rooms import ROOT


async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """Fault 10: nobody is told that a submission was stored while it was not, what is there can be read, and with room
    again everything goes on by itself; an export leaves nothing behind and is whole the next time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.full_disk_process", str(tmp_path)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
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
