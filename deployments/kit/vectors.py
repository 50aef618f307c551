"""Vectors of texts, as they are stored and sent: float32, row by row."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def unpacked(vectors: bytes, dimensions: int) -> Vectors:
    """float32 [rows, dimensions] on the same memory; not to be written to. Raises ValueError for half a row."""
    return np.frombuffer(vectors, dtype=np.float32).reshape(-1, dimensions)
