"""Typesetting in a process of its own, which is ended when it takes too long."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from deployments.reports import press

_TEMPLATES: Final = Path(__file__).parent / "templates"
_DEADLINE_S: Final = 60.0

Template = Literal["results", "response"]


class NotTypeset(Exception):
    """The process that typesets failed or was ended; says why."""


async def typeset(
    template: Template,
    data: Mapping[str, Any],
    moment: datetime,
    *,
    images: Mapping[str, bytes] | None = None,
    fonts: Sequence[Path] = (),
    deadline_s: float = _DEADLINE_S,
) -> bytes:
    """The PDF that a template makes of data, the same bytes each time. `moment` is its date, `images` are the files
    that the data names, `fonts` folders with more fonts. Raises NotTypeset."""
    with tempfile.TemporaryDirectory(prefix="formstream-report-") as name:
        folder = Path(name)
        job = {"template": f"{template}.typ", "timestamp": int(moment.timestamp()), "fonts": [str(f) for f in fonts]}
        await asyncio.to_thread(_lay_out, folder, job, data, images or {})
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", press.__file__, name),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath, "TMPDIR": name, "RAYON_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "2"},
            cwd=name,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(deadline_s):
                await process.wait()
        except TimeoutError:
            raise NotTypeset(f"the document was not typeset within {deadline_s:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())
        return await asyncio.to_thread(_result, folder, process.returncode)


def _lay_out(folder: Path, job: Mapping[str, Any], data: Mapping[str, Any], images: Mapping[str, bytes]) -> None:
    for template in _TEMPLATES.glob("*.typ"):
        shutil.copyfile(template, folder / template.name)
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8", errors="replace")
    for name, content in images.items():
        (folder / name).write_bytes(content)


def _result(folder: Path, status: int | None) -> bytes:
    made = folder / "out.pdf"
    if status == 0 and made.exists():
        return made.read_bytes()
    error = folder / "error.txt"
    raise NotTypeset(error.read_text(encoding="utf-8") if error.exists() else f"typesetting ended with status {status}")
