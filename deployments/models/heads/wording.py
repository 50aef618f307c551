"""The part of a head that reads the texts themselves: runs of characters, weighted by how rare they are.

ONNX Runtime counts them in training too, so that what is served is what was learned.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from scipy.sparse import csr_matrix, vstack

from deployments.models.heads.cutting import MAX_CHARACTERS, cut
from deployments.models.heads.head import TEXTS
from deployments.models.heads.kernel import ridge, wanted
from deployments.models.heads.space import Numbers, Places

SHORTEST: Final = 2
LONGEST: Final = 5
MAX_RUNS: Final = 20_000
MIN_TEXTS: Final = 3
RIDGE: Final = 0.3
_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_SIZES: Final = range(SHORTEST, LONGEST + 1)
COUNTS: Final = "counts"


@dataclass(frozen=True)
class Vocabulary:
    """Runs of characters, the short ones first, and the weight of each."""

    runs: tuple[str, ...]
    weights: Numbers

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Vocabulary | None":
        """The runs that several of the texts have: what only one person wrote is not kept. None when there are none."""
        texts_with = Counter[str]()
        for text in texts:
            lowered = text[:MAX_CHARACTERS].translate(_LOWER)
            ends = range(len(lowered) + 1)
            texts_with.update({lowered[end - size : end] for size in _SIZES for end in ends[size:]})
        several = [run for run, count in texts_with.items() if count >= MIN_TEXTS]
        if not several:
            return None
        frequent = sorted(several, key=lambda run: (-texts_with[run], run))[:MAX_RUNS]
        runs = tuple(sorted(frequent, key=lambda run: (len(run), run)))
        frequency = np.array([texts_with[run] for run in runs])
        return cls(runs, (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32))

    def nodes(self) -> list[onnx.NodeProto]:
        """From `texts` to `counts`, float32 [texts, runs]."""
        lengths = [len(run) for run in self.runs]
        starts = np.cumsum([0, *(lengths.count(size) * size for size in range(1, LONGEST))]).tolist()
        flat = helper.make_tensor("flat_value", TensorProto.INT64, [1], [-1])
        return [
            helper.make_node("Constant", [], ["flat"], value=flat),
            helper.make_node("Reshape", [TEXTS, "flat"], ["listed"]),
            # A locale that every machine has; it knows the letters of ASCII only, as the vocabulary does.
            helper.make_node("StringNormalizer", ["listed"], ["lowered"], case_change_action="LOWER", locale="C"),
            helper.make_node(
                "Tokenizer",
                ["lowered"],
                ["characters"],
                domain="com.microsoft",
                mark=0,
                pad_value="<no character>",
                mincharnum=1,
                tokenexp="(?s:.)",
            ),
            helper.make_node(
                "TfIdfVectorizer",
                ["characters"],
                [COUNTS],
                mode="TF",
                min_gram_length=SHORTEST,
                max_gram_length=LONGEST,
                max_skip_count=0,
                ngram_counts=starts,
                ngram_indexes=list(range(len(self.runs))),
                pool_strings=[character for run in self.runs for character in run],
            ),
        ]

    def features(self, texts: Sequence[str]) -> Any:
        """A sparse row of unit length for each text."""
        session = onnxruntime.InferenceSession(_counter(self), providers=["CPUExecutionProvider"])
        rows = []
        for batch in cut(texts):
            (counts,) = session.run([COUNTS], {TEXTS: np.array(batch, dtype=object).reshape(-1, 1)})
            damped = csr_matrix(counts)
            damped.data = (1 + np.log(damped.data)) * self.weights[damped.indices]
            rows.append(damped)
        found = vstack(rows).tocsr().astype(np.float32)
        lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
        found.data /= np.repeat(np.maximum(lengths, 1e-6), np.diff(found.indptr)).astype(np.float32)
        return found


def fit(features: Any, places: Places, labels: int) -> Numbers:
    """The weight of each run for each label, float32 [runs, labels]."""
    gram = (features @ features.T).toarray().astype(np.float32)
    return np.asarray(features.T @ ridge(gram, wanted(places, labels), RIDGE), dtype=np.float32)


def _counter(vocabulary: Vocabulary) -> bytes:
    given = [helper.make_tensor_value_info(TEXTS, TensorProto.STRING, ["texts", 1])]
    found = [helper.make_tensor_value_info(COUNTS, TensorProto.FLOAT, ["texts", len(vocabulary.runs)])]
    graph = helper.make_graph(vocabulary.nodes(), "counter", given, found)
    return bytes(model_of(graph).SerializeToString())


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A model of ONNX and of the operators that only ONNX Runtime has."""
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8)
