"""Vectors of texts, as they are stored and sent: float32, row by row."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Bytes = NDArray[np.int8]


def unpacked(vectors: bytes, dimensions: int) -> Vectors:
    """float32 [rows, dimensions] on the same memory; not to be written to. Raises ValueError for half a row."""
    return np.frombuffer(vectors, dtype=np.float32).reshape(-1, dimensions)


def small(vectors: Vectors) -> Bytes:
    """A signed byte for each dimension: only directions are kept, and cosines differ by less than 0.01."""
    longest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    found: Bytes = np.rint(vectors * (127.0 / longest)).astype(np.int8)
    return found


def stretched(rows: Bytes) -> Vectors:
    """Small vectors at unit length."""
    numbers: Vectors = rows.astype(np.float32)
    lengths: Vectors = np.maximum(np.linalg.norm(numbers, axis=1, keepdims=True), 1e-12)
    return numbers / lengths
