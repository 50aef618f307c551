"""A model from a stranger, in a process of its own that is ended when it does not keep to its time."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import deployments
from deployments.models.brought import worker
from deployments.models.brought.errors import Refused
from deployments.models.contracts import Applied, BroughtCard, Tag

_START_S: Final = 45.0
# Less than a request waits for the models, so that whoever asks is told whose fault it was.
_ANSWER_S: Final = 6.0
_LINE_BYTES: Final = 64 << 20
_GONE: Final = "the model did not answer; it took too much time or memory"


class BroughtModel:
    """A running model. One question at a time; after a failure it is of no more use."""

    def __init__(self, process: asyncio.subprocess.Process, folder: "tempfile.TemporaryDirectory[str]") -> None:
        self._process = process
        self._questions = cast(asyncio.StreamWriter, process.stdin)
        self._answers = cast(asyncio.StreamReader, process.stdout)
        self._folder = folder
        self._turn = asyncio.Lock()
        self.card: BroughtCard

    @classmethod
    async def start(cls, archive: Path, *, start_s: float = _START_S) -> "BroughtModel":
        """Unpack, check and load the archive, which is not needed afterwards. Raises Refused."""
        folder = tempfile.TemporaryDirectory(prefix="formstream-model-")
        environment = {
            "PYTHONPATH": str(Path(deployments.__file__).parents[1]),
            "PATH": os.defpath,
            "TMPDIR": folder.name,
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "RAYON_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", worker.__name__, str(archive), folder.name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd=folder.name,
            limit=_LINE_BYTES,
            start_new_session=True,
        )
        model = cls(process, folder)
        try:
            said = await model._hear(start_s)
            if "refused" in said:
                raise Refused(said["refused"], said["reason"])
            model.card = BroughtCard.model_validate(said)
        except BaseException:
            await asyncio.shield(model.stop())
            raise
        return model

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for it."""
        return self._turn.locked()

    async def apply(self, texts: Sequence[str], *, answer_s: float = _ANSWER_S) -> Applied:
        """What it says of texts. Raises Refused when it does not answer in time, and is ended then."""
        async with self._turn:
            try:
                self._questions.write(json.dumps(list(texts)).encode() + b"\n")
                await self._questions.drain()
                said = await self._hear(answer_s)
            except OSError as error:
                await asyncio.shield(self.stop())
                raise Refused("model.failed", _GONE) from error
            except BaseException:
                # Whoever asks next must not hear this answer.
                await asyncio.shield(self.stop())
                raise
        return Applied(
            labels=self.card.labels,
            scores=tuple(tuple(row) for row in said.get("scores", ())),
            tags=tuple(tuple(Tag.model_validate(tag) for tag in tags) for tags in said.get("tags", ())),
        )

    async def stop(self) -> None:
        """End it, and remove what it unpacked."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._questions.close()
        await self._process.wait()
        self._folder.cleanup()

    async def _hear(self, within_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(within_s):
                line = await self._answers.readline()
            said: dict[str, Any] = json.loads(line)
        except (TimeoutError, ValueError) as error:
            raise Refused("model.failed", _GONE) from error
        return said
