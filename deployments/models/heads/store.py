"""Heads by reference: built-in ones from this package, those of tenants from the object store, each checked first."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Final, Protocol

from deployments.models.contracts import HeadRef
from deployments.models.errors import HeadDamaged, ModelMissing
from deployments.models.heads.builtin import Judge, builtin
from deployments.models.heads.head import Head

MAX_HEAD_BYTES: Final = 128 << 20


class Files(Protocol):
    """Where the files of heads are; `deployments.kit.objects.ObjectStore` is such a place."""

    def read(self, key: str) -> AsyncIterator[bytes]:
        """An object in pieces. Raises FileNotFoundError."""
        ...


class Heads:
    """Loaded heads, up to `most_bytes` of their files; who was not asked for longest goes first. One is kept however
    large it is."""

    def __init__(self, files: Files | None = None, *, most_bytes: int = 256 << 20) -> None:
        self._files = files
        self._most_bytes = most_bytes
        self._loaded: OrderedDict[HeadRef, tuple[Head, int]] = OrderedDict()
        self._size = 0
        self._loading: dict[HeadRef, asyncio.Lock] = {}

    async def get(self, ref: HeadRef) -> Judge:
        """The head. Raises ModelMissing when there is none, HeadDamaged when its file is not what was stored."""
        if not ref.key:
            return await asyncio.to_thread(builtin, ref.name)
        if (found := self._kept(ref)) is not None:
            return found
        async with self._loading.setdefault(ref, asyncio.Lock()):
            try:
                if (found := self._kept(ref)) is not None:
                    return found
                file = await self._fetched(ref)
                head = await asyncio.to_thread(_opened, ref, file)
            finally:
                self._loading.pop(ref, None)
        self._loaded[ref] = (head, len(file))
        self._size += len(file)
        while self._size > self._most_bytes and len(self._loaded) > 1:
            _, (_, size) = self._loaded.popitem(last=False)
            self._size -= size
        return head

    def _kept(self, ref: HeadRef) -> Head | None:
        if ref not in self._loaded:
            return None
        self._loaded.move_to_end(ref)
        return self._loaded[ref][0]

    async def _fetched(self, ref: HeadRef) -> bytes:
        if self._files is None:
            raise ModelMissing(f"there is no store with {ref.name}")
        content = bytearray()
        try:
            async for piece in self._files.read(ref.key):
                content += piece
                if len(content) > MAX_HEAD_BYTES:
                    raise HeadDamaged(f"the file of {ref.name} is larger than a head can be")
        except FileNotFoundError as error:
            raise ModelMissing(f"the file of {ref.name} is gone; train it again") from error
        return bytes(content)


def _opened(ref: HeadRef, file: bytes) -> Head:
    if hashlib.sha256(file).hexdigest() != ref.sha256:
        raise HeadDamaged(f"the file of {ref.name} is not the one that was stored; train it again")
    try:
        return Head(file)
    except ValueError as error:
        raise HeadDamaged(f"the file of {ref.name} is no head") from error
