"""An index of one form's vectors: which are nearest to one. Approximate when there are many."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

# Before usearch: a process that loads ONNX Runtime after it dies of a segmentation fault.
import onnxruntime  # noqa: F401
import orjson
from usearch.index import Index

from deployments.kit.vectors import Bytes

EXACT_BELOW: Final = 20_000
"""So many are compared one by one."""

_CONNECTIVITY: Final = 16
_EXPANSION: Final = 128
_EXPANSION_SEARCH: Final = 128
_MAGIC: Final = b"FSVI1\n"


class Near(NamedTuple):
    """What is near: its number, and the cosine."""

    number: int
    score: float


class VectorIndex:
    """The vectors of one model by number, up to the change `change` of the form. Not to be used by two at once."""

    def __init__(self, model: str = "", dimensions: int = 0, *, exact_below: int = EXACT_BELOW) -> None:
        self.model = model
        self.dimensions = dimensions
        self.change = 0
        self.fields: set[str] = set()
        self.removed = 0
        self._exact_below = exact_below
        self._index: Any = _new(dimensions) if dimensions else None

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    @property
    def memory(self) -> int:
        """Memory that it takes."""
        return 0 if self._index is None else int(self._index.memory_usage)

    @property
    def is_exact(self) -> bool:
        """Whether all vectors are compared."""
        return len(self) < self._exact_below

    def put(self, numbers: Sequence[int], vectors: Bytes, threads: int = 1) -> None:
        """Add vectors whose numbers are not in it."""
        if self._index is None:
            self.dimensions = vectors.shape[1]
            self._index = _new(self.dimensions)
        self._index.add(np.array(numbers, dtype=np.uint64), vectors, threads=threads)

    def drop(self, numbers: Iterable[int]) -> int:
        """Remove those of the numbers that are in it; how many."""
        if self._index is None:
            return 0
        keys = np.array(list(numbers), dtype=np.uint64)
        there = keys[np.atleast_1d(self._index.contains(keys))] if len(keys) else keys
        if len(there):
            self._index.remove(there)
            self.removed += len(there)
        return len(there)

    def nearest(self, vector: Bytes, count: int) -> list[Near]:
        """The nearest to one vector, nearest first."""
        if not len(self):
            return []
        found = self._index.search(vector.reshape(-1), min(count, len(self)), threads=1, exact=self.is_exact)
        return [Near(int(key), _score(far)) for key, far in zip(found.keys, found.distances, strict=True)]

    def file(self) -> bytes:
        """It, to be kept. What was removed stays in there, so an index that has lost any is made anew instead."""
        card = {
            "model": self.model,
            "dimensions": self.dimensions,
            "change": self.change,
            "fields": sorted(self.fields),
        }
        body = b"" if self._index is None else bytes(self._index.save(None))
        return _MAGIC + orjson.dumps(card) + b"\n" + body

    @classmethod
    def of_file(cls, content: bytes, *, exact_below: int = EXACT_BELOW) -> "VectorIndex":
        """What was kept. Raises ValueError for anything else."""
        if not content.startswith(_MAGIC):
            raise ValueError("not an index of vectors")
        end = content.index(b"\n", len(_MAGIC))
        card = orjson.loads(content[len(_MAGIC) : end])
        index = cls(card["model"], card["dimensions"], exact_below=exact_below)
        index.change, index.fields = card["change"], set(card["fields"])
        if index._index is not None and len(content) > end + 1:
            try:
                index._index.load(content[end + 1 :])
            except Exception as error:  # what the library raises has no type of its own
                raise ValueError("the index is damaged") from error
        return index


def _new(dimensions: int) -> Any:
    return Index(
        ndim=dimensions,
        metric="cos",
        dtype="i8",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION,
        expansion_search=_EXPANSION_SEARCH,
    )


def _score(distance: float) -> float:
    return round(max(-1.0, min(1.0, 1.0 - float(distance))), 4)
