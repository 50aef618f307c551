"""Weighted n-grams of a text, learnt by scikit-learn and computed by ONNX Runtime, the same numbers in both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np
import re2  # type: ignore[import-untyped]
from onnx import NodeProto, TensorProto, helper, numpy_helper
from sklearn.feature_extraction.text import TfidfVectorizer

WORDS: Final = r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9 \t\r\n]"
CHARACTERS: Final = r"(?s)."

CONTRIBUTED: Final = "com.microsoft"
LEARNING: Final = "ai.onnx.ml"
OPERATORS: Final = {"": 17, LEARNING: 1, CONTRIBUTED: 1}
"""The sets of operators that the nodes are of."""

# Stands between the tokens of an n-gram; no text that is JSON holds it unescaped.
_BETWEEN: Final = "\x1f"
_CAPITALS: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True)
class Ngrams:
    """What matches `pattern` (RE2), `sizes` of it in a row, in at least `least` texts, the `most` frequent of them.

    `lower`: A to Z count as a to z. Other letters stay, since what is their small form depends on the language.
    """

    pattern: str
    sizes: tuple[int, int]
    least: int
    most: int | None = None
    lower: bool = True
    _learnt: list[TfidfVectorizer] = field(default_factory=list)

    def learn(self, texts: Sequence[str]) -> Any:
        """Learn from `texts` which n-grams there are and how rare they are; their weights in `texts`, sparse."""
        vectorizer = TfidfVectorizer(analyzer=self._analyzer(), min_df=self.least, max_features=self.most)
        self._learnt[:] = [vectorizer.fit(texts)]
        return self.weights(texts)

    def weights(self, texts: Sequence[str]) -> Any:
        """The weights in `texts` of what was learnt, each row of unit length, sparse."""
        return self._learnt[0].transform(texts)[:, self._order()]

    def nodes(self, name: str) -> tuple[list[NodeProto], list[TensorProto], str]:
        """Nodes from `texts`, string [texts, 1], to the weights, float32 [texts, n-grams]; constants; the output."""
        vectorizer = self._learnt[0]
        names, order = vectorizer.get_feature_names_out(), self._order()
        grams = [names[index].split(_BETWEEN) for index in order]
        longest = self.sizes[1]
        sizes = [len(gram) for gram in grams]
        # Where the n-grams of each size begin in the pool.
        starts = [sum(size for size in sizes if size < length) for length in range(1, longest + 1)]
        flat = numpy_helper.from_array(np.array([-1], dtype=np.int64), f"{name}_flat")
        nodes = [
            helper.make_node("Reshape", ["texts", flat.name], [f"{name}_given"]),
            helper.make_node(
                "StringNormalizer",
                [f"{name}_given"],
                [f"{name}_plain"],
                case_change_action="LOWER" if self.lower else "NONE",
                # The one that is installed everywhere; ONNX Runtime fails without the one it is told.
                locale="C",
            ),
            helper.make_node(
                "Tokenizer",
                [f"{name}_plain"],
                [f"{name}_tokens"],
                domain=CONTRIBUTED,
                mark=0,
                mincharnum=1,
                pad_value="",
                tokenexp=self.pattern,
            ),
            helper.make_node(
                "TfIdfVectorizer",
                [f"{name}_tokens"],
                [f"{name}_weights"],
                mode="TFIDF",
                min_gram_length=self.sizes[0],
                max_gram_length=longest,
                max_skip_count=0,
                ngram_counts=starts,
                ngram_indexes=list(range(len(grams))),
                pool_strings=list(chain.from_iterable(grams)),
                weights=[float(vectorizer.idf_[index]) for index in order],
            ),
            helper.make_node("Normalizer", [f"{name}_weights"], [name], domain=LEARNING, norm="L2"),
        ]
        return nodes, [flat], name

    def _order(self) -> list[int]:
        """What was learnt, the short n-grams first, as the operator wants them."""
        names = self._learnt[0].get_feature_names_out()
        return sorted(range(len(names)), key=lambda index: names[index].count(_BETWEEN))

    def _analyzer(self) -> Callable[[str], list[str]]:
        pattern = re2.compile(self.pattern)

        def analyze(text: str) -> list[str]:
            plain = text.translate(_CAPITALS) if self.lower else text
            tokens = [found.group() for found in pattern.finditer(plain)]
            return [
                _BETWEEN.join(tokens[start : start + size])
                for size in range(self.sizes[0], self.sizes[1] + 1)
                for start in range(len(tokens) - size + 1)
            ]

        return analyze
