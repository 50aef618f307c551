"""A head: what turns vectors of texts, or the texts themselves, into scores of labels; one ONNX file.

Inputs are `vectors`, float32 [texts, dimensions] of the encoder that it was trained on, and `texts`, string [texts, 1];
a graph has either or both. The output `scores`, float32 [texts, labels], are calibrated probabilities. The file's
metadata tell `labels` (a JSON list), `encoder` (the model whose vectors it takes, empty for none), `name`, `version`
and `threshold`: below it the head abstains.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from deployments.kit.contract import Contract
from deployments.kit.vectors import Vectors
from deployments.models.encoder import batches

VECTORS: Final = "vectors"
TEXTS: Final = "texts"
SCORES: Final = "scores"

Scores = NDArray[np.float32]

_MAX_BATCH_CHARACTERS: Final = 200_000


class HeadCard(Contract):
    """What a head's file tells about it."""

    name: str
    version: str
    labels: tuple[str, ...]
    encoder: str
    threshold: float

    def written_into(self, graph: onnx.ModelProto) -> bytes:
        """The file: the graph with this card."""
        properties = self.model_dump() | {"labels": json.dumps(self.labels), "threshold": str(self.threshold)}
        onnx.helper.set_model_props(graph, properties)
        file: bytes = graph.SerializeToString()
        return file


class Head:
    """A loaded head; `score` may be called from several threads."""

    def __init__(self, file: bytes) -> None:
        """Load. Raises ValueError for a file that is no head."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            told = dict(self._session.get_modelmeta().custom_metadata_map)
            self.card = HeadCard(**{**told, "labels": json.loads(told["labels"]), "threshold": told["threshold"]})
        except Exception as error:  # what ONNX Runtime raises has no common type
            raise ValueError("the file is no head") from error
        self._inputs = frozenset(each.name for each in self._session.get_inputs())
        if not self._inputs <= {VECTORS, TEXTS} or SCORES not in {each.name for each in self._session.get_outputs()}:
            raise ValueError("the file is no head")

    @property
    def needs_vectors(self) -> bool:
        """Whether `score` needs vectors."""
        return VECTORS in self._inputs

    def score(self, texts: Sequence[str], vectors: Vectors | None) -> Scores:
        """A probability for each label, float32 [texts, labels].

        Texts of like length are computed together: a graph that reads texts keeps room for the longest in each row.
        """
        scores = np.empty((len(texts), len(self.card.labels)), dtype=np.float32)
        for batch in batches([len(text) for text in texts], _MAX_BATCH_CHARACTERS):
            given: dict[str, Any] = {}
            if self.needs_vectors and vectors is not None:
                given[VECTORS] = vectors[batch]
            if TEXTS in self._inputs:
                given[TEXTS] = np.array([texts[index] for index in batch], dtype=object).reshape(-1, 1)
            scores[batch] = self._session.run([SCORES], given)[0]
        return scores
