"""The indexes of this process: one for each tenant and form, made of the database, which alone is right.

An index follows the form by the numbers of changes, whoever made them, so any number of processes may have one. A
file in the object store spares most of the reading. When memory is short the one that was not asked for longest goes.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import Final

import structlog

from db.repositories.answer_vectors import AnswerVectorRepository, Following
from db.session import Database
from deployments.inference.enrichment.judging import number_of
from deployments.inference.errors import IndexBehind
from deployments.inference.search.index import EXACT_BELOW, Near, VectorIndex
from deployments.inference.search.vectors import rows_of
from deployments.kit.objects import SEARCH, ObjectStore, object_key
from deployments.kit.vectors import Bytes

_PAGE: Final = 2_000
_PATIENT_S: Final = 2.0
_AGAIN_S: Final = 10.0
_MADE_ANEW: Final = 0.2
_WORTH_KEEPING: Final = 20_000

_log = structlog.get_logger(__name__)


class Indexes:
    """Answers from indexes, which it makes, follows and forgets."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore | None,
        *,
        memory: int,
        threads: int = 1,
        exact_below: int = EXACT_BELOW,
        worth_keeping: int = _WORTH_KEEPING,
    ) -> None:
        """`memory` bounds all indexes together, in bytes; the one that is used is there in any case. An index with
        fewer vectors than `worth_keeping` is not kept as a file."""
        self._database = database
        self._objects = objects
        self._memory = memory
        self._threads = threads
        self._exact_below = exact_below
        self._worth_keeping = worth_keeping
        self._there: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._following: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def held(self) -> list[tuple[str, str]]:
        """Tenant and form of the indexes that are in memory, the one that was asked for last at the end."""
        return list(self._there)

    async def current(self, tenant_id: str, form_id: str, model: str) -> "Held":
        """The index of the vectors that a model made, as of now. Raises IndexBehind while it is being made, which goes
        on meanwhile."""
        key = (tenant_id, form_id)
        held = self._there.get(key)
        if held is None or held.index.model != model:
            held = self._there[key] = Held(self._empty(model))
        self._there.move_to_end(key)
        running = self._following.get(key)
        if running is None or running.done() or held.task is not running:
            running = held.task = self._following[key] = asyncio.create_task(self._follow(tenant_id, form_id, held))
            running.add_done_callback(lambda task: self._ended(key, task))
        done, _ = await asyncio.wait({running}, timeout=_PATIENT_S)
        if not done:
            raise IndexBehind(retry_after=_AGAIN_S)
        await running
        return held

    def _ended(self, key: tuple[str, str], task: "asyncio.Task[None]") -> None:
        if self._following.get(key) is task:
            del self._following[key]
        if not task.cancelled() and task.exception() is not None:
            self._there.pop(key, None)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        taken = sum(held.index.memory for held in self._there.values())
        for key in list(self._there)[:-1]:
            if taken <= self._memory:
                return
            if key not in self._following:
                taken -= self._there.pop(key).index.memory

    async def close(self) -> None:
        """End what is being made."""
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _follow(self, tenant_id: str, form_id: str, held: "Held") -> None:
        async with held.lock:
            if not held.is_loaded:
                held.index = await self._kept(tenant_id, form_id, held.index.model)
                held.is_loaded = True
            began, before = time.monotonic(), held.index.change
            if await self._catch_up(tenant_id, form_id, held) and self._objects is not None:
                await self._objects.delete(search_file(tenant_id, form_id))
            if held.index.removed > _MADE_ANEW * (len(held.index) + 1_000):
                held.index = self._empty(held.index.model)
                await self._catch_up(tenant_id, form_id, held)
            if held.index.change - max(before, held.kept) >= max(self._worth_keeping, len(held.index) // 5):
                await self._keep(tenant_id, form_id, held)
                _log.info("index of vectors made", form_id=form_id, rows=len(held.index), s=time.monotonic() - began)

    def _empty(self, model: str) -> VectorIndex:
        return VectorIndex(model, exact_below=self._exact_below)

    async def _catch_up(self, tenant_id: str, form_id: str, held: "Held") -> bool:
        """Whether any response was gone for good."""
        is_purged = False
        while True:
            async with self._database.read(tenant_id) as unit:
                vectors = AnswerVectorRepository(unit.session, tenant_id, form_id)
                # Read first: whatever comes after it has a higher number.
                last = await vectors.last_change()
                following = await vectors.following(held.index.change, _PAGE) if last > held.index.change else None
            if following is None:
                return is_purged
            is_purged |= following.is_purged
            is_end = len(following.response_ids) < _PAGE
            await asyncio.to_thread(self._apply, held, following)
            held.index.change = max(following.last, last) if is_end else following.last
            if is_end:
                return is_purged

    def _apply(self, held: "Held", following: Following) -> None:
        # Those of another model cannot be compared with these.
        there = [each for each in following.there if each.model == held.index.model]
        held.index.fields |= {each.field for each in there}
        numbers = [number_of(id_, field) for id_ in following.response_ids for field in held.index.fields]
        held.index.drop(numbers)
        if there:
            rows = rows_of([each.vector for each in there])
            held.index.put([each.number for each in there], rows, self._threads)

    # Files.

    async def _kept(self, tenant_id: str, form_id: str, model: str) -> VectorIndex:
        content = b""
        if self._objects is not None:
            try:
                async for piece in self._objects.read(search_file(tenant_id, form_id)):
                    content += piece
            except FileNotFoundError:
                content = b""
        if content:
            digest, content = content[:32], content[32:]
            try:
                if hashlib.sha256(content).digest() == digest:
                    kept = await asyncio.to_thread(VectorIndex.of_file, content, exact_below=self._exact_below)
                    if kept.model == model:
                        return kept
            except ValueError:
                _log.warning("index of vectors is damaged and made anew", form_id=form_id)
        return self._empty(model)

    async def _keep(self, tenant_id: str, form_id: str, held: "Held") -> None:
        held.kept = held.index.change
        if self._objects is None or held.index.removed or not len(held.index):
            return
        content = await asyncio.to_thread(held.index.file)
        await self._objects.put(search_file(tenant_id, form_id), hashlib.sha256(content).digest() + content)
        # Somebody may have been erased meanwhile, and with them an earlier file: this one is not to bring them back.
        if await self._catch_up(tenant_id, form_id, held):
            await self._objects.delete(search_file(tenant_id, form_id))


class Held:
    """An index, and what keeps it from being changed while it is asked."""

    def __init__(self, index: VectorIndex) -> None:
        self.index = index
        self.task: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()
        self.is_loaded = False
        self.kept = 0

    async def nearest(self, vectors: Bytes, count: int) -> list[list[Near]]:
        """The nearest to each vector, nearest first."""
        async with self.lock:
            return await asyncio.to_thread(lambda: [self.index.nearest(vector, count) for vector in vectors])


def search_file(tenant_id: str, form_id: str) -> str:
    """Where the index of a form lies in the object store."""
    return object_key(tenant_id, SEARCH, form_id, "vectors.index")
