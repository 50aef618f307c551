"""Whether a text is about anything that a head has seen: how near its nearest example is.

The plain cosine of the vectors as they come tells that best; the space that tells labels apart puts every text near to
some label. The numbers are explained in docs/decisions/0048.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper

from deployments.kit.vectors import Bytes, Vectors, small
from deployments.models.heads.head import VECTORS
from deployments.models.heads.space import Numbers

UNUSUAL: Final = 0.02
"""The share of examples that are farther from all others than a text may be."""
MOST: Final = 0.6
"""The nearness that is never asked for more: examples that are worded alike are nearer to each other than to others."""
DOUBT: Final = 0.03
"""What scores of a text that is about something else are multiplied with: their order stays, no label is likely."""
TRUST: Final = "trust"

_AT_ONCE: Final = 1_024


@dataclass(frozen=True)
class Familiarity:
    """What was seen, examples and descriptions of labels, and how near to any of it a text must be."""

    seen: Bytes
    least: float

    @classmethod
    def of(cls, vectors: Vectors, described: Vectors) -> tuple["Familiarity", Numbers]:
        """What is asked of texts, and how far each example is to be trusted itself, as if it had not been seen."""
        seen = small(np.vstack([vectors, described]))
        directions = _directions(seen)
        nearest = np.empty(len(vectors), dtype=np.float32)
        for start in range(0, len(vectors), _AT_ONCE):
            cosines = vectors[start : start + _AT_ONCE] @ directions
            rows = np.arange(len(cosines))
            cosines[rows, start + rows] = -1
            nearest[start : start + _AT_ONCE] = cosines.max(axis=1)
        least = min(MOST, float(np.quantile(nearest, UNUSUAL)))
        return cls(seen, least), np.where(nearest >= least, np.float32(1), np.float32(DOUBT))

    def nearest(self, vectors: Vectors) -> Numbers:
        """The cosine of each text and what was seen that is nearest to it."""
        return np.asarray((vectors @ _directions(self.seen)).max(axis=1), dtype=np.float32)

    def constants(self) -> dict[str, Any]:
        """What `nodes` refer to; the examples keep their bytes in the file."""
        return {
            "seen": np.ascontiguousarray(self.seen.T),
            "seen_lengths": _lengths(self.seen),
            "least": np.float32(self.least),
            "doubt": np.float32(DOUBT),
        }

    @staticmethod
    def nodes() -> list[onnx.NodeProto]:
        """From `vectors` to `trust`, float32 [texts, 1]; `one` is a constant of the graph."""
        return [
            helper.make_node("Cast", ["seen"], ["seen_numbers"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Div", ["seen_numbers", "seen_lengths"], ["directions"]),
            helper.make_node("MatMul", [VECTORS, "directions"], ["alike"]),
            helper.make_node("ReduceMax", ["alike"], ["nearest"], axes=[1], keepdims=1),
            helper.make_node("GreaterOrEqual", ["nearest", "least"], ["is_familiar"]),
            helper.make_node("Where", ["is_familiar", "one", "doubt"], [TRUST]),
        ]


def _lengths(rows: Bytes) -> Numbers:
    return np.asarray(np.maximum(np.linalg.norm(rows.astype(np.float32), axis=1), 1e-6), dtype=np.float32)


def _directions(rows: Bytes) -> Numbers:
    return np.asarray((rows / _lengths(rows)[:, None]).T, dtype=np.float32)
