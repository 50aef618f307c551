"""One process for the statements of one tenant, which is ended when it does not keep to its time."""

import asyncio
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import deployments
from deployments.analytics.warehouse import frames

_WORKER: Final = "deployments.analytics.warehouse.worker"
_LARGEST: Final = 512 << 20


class ProcessGone(Exception):
    """It ended, or was ended, before it answered."""


class Process:
    """A running process. One question at a time; after a failure it is of no more use."""

    def __init__(self, process: asyncio.subprocess.Process, tenant_id: str) -> None:
        self._process = process
        self._questions = cast(asyncio.StreamWriter, process.stdin)
        self._answers = cast(asyncio.StreamReader, process.stdout)
        self.tenant_id = tenant_id
        self.is_offline: bool | None = None
        """Whether the kernel has taken the network from it; None before its first answer."""

    @classmethod
    async def start(cls, tenant_id: str, memory: int, threads: int) -> "Process":
        """Begin one; what it loads is waited for with the first answer."""
        environment = {
            "PYTHONPATH": str(Path(deployments.__file__).parents[1]),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _WORKER, str(memory), str(threads)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        return cls(process, tenant_id)

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def ask(self, head: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """What it says. When the caller is cancelled, or it ends without an answer, it is ended. Raises ProcessGone."""
        try:
            self._questions.write(frames.packed(head))
            await self._questions.drain()
            lengths = await self._answers.readexactly(frames.LENGTHS.size)
            length, body_length = frames.LENGTHS.unpack(lengths)
            if length + body_length > _LARGEST:
                raise ProcessGone
            said = json.loads(await self._answers.readexactly(length))
            self.is_offline = said.pop("offline")
            return said, await self._answers.readexactly(body_length)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            await asyncio.shield(self.stop())
            raise ProcessGone from error
        except BaseException:
            # Whoever asks next must not hear this answer.
            await asyncio.shield(self.stop())
            raise

    async def stop(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._questions.close()
        await self._process.wait()
