"""The door of the models: computes in threads of this process, and loads what is first asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from threading import Event, Lock
from typing import TYPE_CHECKING

from deployments.kit.objects import ObjectStore
from deployments.kit.vectors import Vectors
from deployments.models import minilm
from deployments.models.brought.kept import BroughtModels
from deployments.models.contracts import (
    Applied,
    Capability,
    Embeddings,
    Entities,
    Examined,
    Frame,
    Generated,
    HeadRef,
    InstalledModel,
    Judgements,
    Prompt,
)
from deployments.models.encoder import Encoder
from deployments.models.errors import ModelMissing, ModelUnusable
from deployments.models.generation.writer import Writer
from deployments.models.heads.builtin import Judge
from deployments.models.heads.judging import judged
from deployments.models.heads.store import Heads
from deployments.models.registry import Registry
from deployments.models.settings import ModelsSettings

LoadHead = Callable[[HeadRef], Awaitable[Judge]]
if TYPE_CHECKING:
    from deployments.models.extraction.extractor import Extractor

_NO_WRITER = "no generating model is configured"
_PART = 16  # texts


class Models:
    """The models of a registry in this process; satisfies `ModelsApi`. What tenants have is in `objects`; heads
    come by `load_head`, where that is given."""

    def __init__(
        self, settings: ModelsSettings, objects: ObjectStore | None = None, load_head: LoadHead | None = None
    ) -> None:
        self._settings = settings
        self._registry = Registry(settings.folder)
        self._loading = Lock()
        self._brought = BroughtModels(objects) if objects else None
        self._load_head = load_head or Heads(objects).get

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return await asyncio.to_thread(self._embed, tuple(texts))

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        loaded = await self._load_head(head)
        return await asyncio.to_thread(self._classify, loaded, tuple(texts))

    async def examine(self, model: HeadRef) -> Examined:
        return await self._require_brought().examine(model)

    async def apply(self, model: HeadRef, texts: Sequence[str]) -> Applied:
        return await self._require_brought().apply(model, texts)

    async def extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        # In parts, so that nobody computes on for a caller who has gone.
        parts = [
            await asyncio.to_thread(self._extract, texts[first : first + _PART], frame)
            for first in range(0, len(texts), _PART)
        ]
        found = tuple(each for part in parts for each in part.entities)
        return Entities(model=parts[0].model if parts else "", entities=found)

    async def generate(self, prompt: Prompt) -> Generated:
        cancelled = Event()
        try:
            return await asyncio.to_thread(self._generate, prompt, cancelled)
        finally:
            # Nobody waits for the rest: the thread ends with the token that it is at.
            cancelled.set()

    async def installed(self) -> tuple[InstalledModel, ...]:
        return tuple(
            InstalledModel(
                **manifest.model_dump(exclude={"files"}),
                sha256={name: file.sha256 for name, file in manifest.files.items()},
            )
            for manifest in await asyncio.to_thread(lambda: list(self._registry))
        )

    async def capabilities(self) -> tuple[Capability, ...]:
        reason = await asyncio.to_thread(self._why_not_embed)
        unwritten = None if self._settings.generation_model is not None else _NO_WRITER
        return (
            Capability(faculty="embedding", available=reason is None, reason=reason),
            Capability(faculty="classification", available=reason is None, reason=reason),
            Capability(faculty="extraction", available=True),
            Capability(faculty="generation", available=unwritten is None, reason=unwritten),
        )

    async def close(self) -> None:
        if self._brought is not None:
            await self._brought.close()

    def _require_brought(self) -> BroughtModels:
        if self._brought is None:
            raise ModelMissing("there is no object store for models of tenants")
        return self._brought

    def _classify(self, head: Judge, texts: Sequence[str]) -> Judgements:
        vectors: Vectors | None = None
        encoder = ""
        if head.needs_vectors:
            with self._loading:
                loaded = self._encoder
            vectors, encoder = loaded.embed(texts), loaded.model
        return judged(head, texts, vectors, encoder)

    def _why_not_embed(self) -> str | None:
        try:
            minilm.require(self._registry, self._settings.precision)
        except (ModelMissing, ModelUnusable) as error:
            return error.detail
        return None

    def _embed(self, texts: Sequence[str]) -> Embeddings:
        with self._loading:
            encoder = self._encoder
        vectors = encoder.embed(texts)
        return Embeddings(model=encoder.model, dimensions=encoder.dimensions, vectors=vectors.tobytes())

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self._registry, precision=self._settings.precision, threads=self._settings.threads)

    def _extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        with self._loading:
            extractor = self._extractor
        return extractor.extract(texts, frame)

    @cached_property
    def _extractor(self) -> "Extractor":
        # What it reads with takes a second to import: who never extracts does not wait for it.
        from deployments.models.extraction.extractor import Extractor

        return Extractor()

    def _generate(self, prompt: Prompt, cancelled: Event) -> Generated:
        with self._loading:
            writer = self._writer
        return writer.write(prompt, cancelled)

    @cached_property
    def _writer(self) -> Writer:
        folder = self._settings.generation_model
        if folder is None:
            raise ModelMissing(_NO_WRITER, retry_after=60.0)
        return Writer(folder, self._settings.generation_deadline_s)
