"""Learning in threads of this process; satisfies `LearningApi`."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from threadpoolctl import threadpool_limits

from deployments.kit.vectors import unpacked
from deployments.models.contracts import Embeddings, Judgements, Learned, Lesson
from deployments.models.heads.head import Head
from deployments.models.heads.judging import judged

_HEADS: Final = 16
_AT_ONCE: Final = 2


class Learning:
    """Makes heads, and uses those that are in nobody's store. A few lessons are learned at once; the others wait."""

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._heads: OrderedDict[bytes, Head] = OrderedDict()

    async def learn(
        self, lesson: Lesson, vectors: Embeddings, described: Embeddings, unlabelled: Embeddings | None = None
    ) -> Learned:
        async with self._places:
            return await asyncio.to_thread(self._learn, lesson, vectors, described, unlabelled)

    async def judge(self, file: bytes, texts: Sequence[str], vectors: Embeddings) -> Judgements:
        return await asyncio.to_thread(self._judge, file, tuple(texts), vectors)

    def _learn(
        self, lesson: Lesson, vectors: Embeddings, described: Embeddings, unlabelled: Embeddings | None
    ) -> Learned:
        # Loaded where something is learned only: it takes time and memory.
        from deployments.models.heads.training import learn

        with threadpool_limits(self._threads):
            return learn(
                lesson,
                unpacked(vectors.vectors, vectors.dimensions),
                unpacked(described.vectors, described.dimensions),
                described.model,
                None if unlabelled is None else unpacked(unlabelled.vectors, unlabelled.dimensions),
            )

    def _judge(self, file: bytes, texts: Sequence[str], vectors: Embeddings) -> Judgements:
        key = hashlib.sha256(file).digest()
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = Head(file)
            while len(self._heads) > _HEADS:
                self._heads.popitem(last=False)
        return judged(head, texts, unpacked(vectors.vectors, vectors.dimensions), vectors.model)
