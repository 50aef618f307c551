"""The models that tenants brought, each in its own process while it is used."""

import asyncio
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from deployments.kit.objects import ObjectStore
from deployments.models.brought.errors import Refused
from deployments.models.brought.process import BroughtModel
from deployments.models.contracts import Applied, Examined, HeadRef
from deployments.models.errors import HeadDamaged, ModelFailed, ModelMissing

_KEPT: Final = 3


class BroughtModels:
    """At most `kept` processes, those that were asked last; and one that examines."""

    def __init__(self, objects: ObjectStore, kept: int = _KEPT) -> None:
        self._objects = objects
        self._kept = kept
        self._running: OrderedDict[str, BroughtModel] = OrderedDict()
        self._starts: dict[str, asyncio.Task[BroughtModel]] = {}
        self._turn = asyncio.Lock()

    async def examine(self, ref: HeadRef) -> Examined:
        """Whether the archive can be taken. Raises ModelMissing, HeadDamaged."""
        try:
            async with self._fetched(ref) as archive:
                model = await BroughtModel.start(archive)
        except Refused as error:
            return Examined(problem=error.code, reason=error.reason)
        await model.stop()
        return Examined(card=model.card)

    async def apply(self, ref: HeadRef, texts: Sequence[str]) -> Applied:
        """What the model says of texts. Raises ModelFailed when it does not answer in time, ModelMissing,
        HeadDamaged."""
        try:
            model = await self._started(ref)
            return await model.apply(texts)
        except Refused as error:
            raise ModelFailed(f"the model {ref.name} failed: {error.reason}") from error

    async def close(self) -> None:
        """End every process."""
        for start in list(self._starts.values()):
            start.cancel()
            await asyncio.wait({start})
        while self._running:
            await self._running.popitem()[1].stop()

    async def _started(self, ref: HeadRef) -> BroughtModel:
        name = f"{ref.key} {ref.sha256}"
        model = self._running.get(name)
        if model is not None and model.is_running:
            self._running.move_to_end(name)
            return model
        start = self._starts.get(name)
        if start is None:
            start = self._starts[name] = asyncio.create_task(self._start(ref, name))
            start.add_done_callback(partial(self._has_started, name))
        # It may take longer than one caller waits; the next one finds it running.
        return await asyncio.shield(start)

    async def _start(self, ref: HeadRef, name: str) -> BroughtModel:
        async with self._turn:
            if (dead := self._running.pop(name, None)) is not None:
                await dead.stop()
            async with self._fetched(ref) as archive:
                model = await BroughtModel.start(archive)
            idle = [name for name, each in self._running.items() if not each.is_busy]
            for oldest in idle[: max(0, len(self._running) + 1 - self._kept)]:
                await self._running.pop(oldest).stop()
            self._running[name] = model
        return model

    def _has_started(self, name: str, start: "asyncio.Task[BroughtModel]") -> None:
        del self._starts[name]
        if not start.cancelled():
            start.exception()  # nobody may be there any more to hear it

    @asynccontextmanager
    async def _fetched(self, ref: HeadRef) -> AsyncIterator[Path]:
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(prefix="formstream-archive-") as file:
            try:
                async for piece in self._objects.read(ref.key):
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
            except FileNotFoundError as error:
                raise ModelMissing(f"the file of {ref.name} is gone") from error
            file.flush()
            if digest.hexdigest() != ref.sha256:
                raise HeadDamaged(f"the file of {ref.name} is not the one that was brought")
            yield Path(file.name)
