"""Vectors in small, as the database has them."""

from typing import Any

import numpy as np

from deployments.kit.vectors import Bytes, Vectors, small


def packed(vectors: Vectors) -> list[bytes]:
    """As they are stored."""
    return [row.tobytes() for row in small(vectors)]


def rows_of(stored: list[bytes]) -> Bytes:
    """Stored vectors as rows."""
    found: Any = np.frombuffer(b"".join(stored), dtype=np.int8)
    rows: Bytes = found.reshape(len(stored), -1)
    return rows
