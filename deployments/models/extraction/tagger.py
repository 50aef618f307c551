"""A learned tagger: people, organisations and places, told by their words and what stands around them.

A linear chain: each token has features, each feature is a row of a table in an ONNX graph, and their sum scores the
labels; which label follows which is scored too. Features are hashed, so the table's size is fixed.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import re2  # type: ignore[import-untyped]
from numpy.typing import NDArray

from deployments.models.contracts import EntityType
from deployments.models.extraction import names
from deployments.models.extraction.findings import Finding
from deployments.models.extraction.reading import Reading

FILE: Final = Path(__file__).with_name("tagger.onnx")
BUCKETS: Final = 1 << 16
KINDS: Final[dict[str, EntityType]] = {"PER": "person", "ORG": "organisation", "LOC": "place"}

_TOKEN: Final[Any] = re2.compile(rb"'s\b|[a-z0-9_]+|[^\sa-z0-9_]")
_MAX_TOKENS: Final = 4_096  # of a part of a text that is decided at once
_MARKS: Final = frozenset({".", "-", "'", "&", "'s", "+", "/", ","})  # within names
_LEAST: Final = 0.7  # what is less likely is left out: of 0.5 to 0.9 the best where the tagger had not learned

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark, by its place in the text."""

    start: int
    end: int
    word: str  # folded


def tokens(reading: Reading) -> list[Token]:
    """The words and marks of a text."""
    shadow = reading.shadow
    return [Token(match.start(), match.end(), match.group().decode()) for match in _TOKEN.finditer(shadow)]


def features(text: str, words: Sequence[Token]) -> list[list[str]]:
    """What the tagger looks at, for each token the same number of features."""
    folded = [each.word for each in words]
    shapes = [_shape(text[each.start : each.end]) for each in words]
    kinds = [names.kind(each) for each in folded]
    marks = names.places(folded)
    cased = "u" if any(shape == "Xx" for shape in shapes[1:]) else "n"
    edge = ["<", "<"]
    w, s, k, p = (edge + each + [">", ">"] for each in (folded, shapes, kinds, marks))
    return [
        [
            "bias",
            f"w0={w[i]}",
            f"w-1={w[i - 1]}",
            f"w-2={w[i - 2]}",
            f"w+1={w[i + 1]}",
            f"w+2={w[i + 2]}",
            f"w-2-1={w[i - 2]}|{w[i - 1]}",
            f"w-10={w[i - 1]}|{w[i]}",
            f"w0+1={w[i]}|{w[i + 1]}",
            f"w-1+1={w[i - 1]}|{w[i + 1]}",
            f"s0={s[i]}",
            f"s0c={s[i]}{cased}",
            f"s-1={s[i - 1]}",
            f"s+1={s[i + 1]}",
            f"s-101={s[i - 1]}|{s[i]}|{s[i + 1]}",
            f"p3={w[i][:3]}",
            f"x2={w[i][-2:]}",
            f"x3={w[i][-3:]}",
            f"k0={k[i]}",
            f"k-1={k[i - 1]}",
            f"k+1={k[i + 1]}",
            f"k-10={k[i - 1]}|{k[i]}",
            f"k0+1={k[i]}|{k[i + 1]}",
            f"k0s={k[i]}|{s[i]}",
            f"k0w-1={k[i]}|{w[i - 1]}",
            f"k0w-2-1={k[i]}|{w[i - 2]}|{w[i - 1]}",
            f"k0w+1={k[i]}|{w[i + 1]}",
            f"s0w-1={s[i]}|{w[i - 1]}",
            f"s0w-2-1={s[i]}|{w[i - 2]}|{w[i - 1]}",
            f"s0w+1={s[i]}|{w[i + 1]}",
            f"p0={p[i]}",
            f"p0s={p[i]}|{s[i]}{cased}",
            f"p0w-1={p[i]}|{w[i - 1]}",
            f"p0+1={p[i]}|{p[i + 1]}",
            f"first={i == 2}|{s[i]}|{k[i]}",
            f"kpp={k[i]}|{p[i]}|{s[i]}",
        ]
        for i in range(2, len(words) + 2)
    ]


def hashed(given: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """The rows of the table for features."""
    rows = [[zlib.crc32(feature.encode()) % BUCKETS for feature in each] for each in given]
    return np.array(rows, dtype=np.int64)


class Tagger:
    """The tagger of a file; `findings` may be called from several threads."""

    def __init__(self, file: Path = FILE) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        told = dict(self._session.get_modelmeta().custom_metadata_map)
        self.version: str = told["version"]
        self._labels: list[str] = json.loads(told["labels"])
        self._transitions: Scores = np.array(json.loads(told["transitions"]), dtype=np.float64)

    def findings(self, reading: Reading) -> Iterator[Finding]:
        """People, organisations and places of a text."""
        words = tokens(reading)
        for first in range(0, len(words), _MAX_TOKENS):
            part = words[first : first + _MAX_TOKENS]
            rows = hashed(features(reading.text, part))
            (scores,) = self._session.run(["scores"], {"features": rows})
            yield from self._spans(part, scores.astype(np.float64))

    def _spans(self, words: Sequence[Token], scores: Scores) -> Iterator[Finding]:
        best = _best(scores, self._transitions)
        labels = [self._labels[each] for each in best]
        if set(labels) == {"O"}:
            return
        ahead, behind, total = _sums(scores, self._transitions)
        starts = [at for at, label in enumerate(labels) if label.startswith("B-")]
        for start in starts:
            end = start + 1
            while end < len(labels) and labels[end].startswith("I-"):
                end += 1
            inner = sum(
                self._transitions[best[at], best[after]] + scores[after, best[after]]
                for at, after in pairwise(range(start, end))
            )
            likely = float(np.exp(ahead[start, best[start]] + inner + behind[end - 1, best[end - 1]] - total))
            named = words[start:end]
            if likely >= _LEAST and _is_name(named):
                kind = KINDS[labels[start][2:]]
                yield Finding(kind, named[0].start, named[-1].end, None, round(min(likely, 1.0), 3))


def _is_name(words: Sequence[Token]) -> bool:
    """Whether words can be a name: it begins with a word, ends with one or a point, and has no marks of other kinds."""
    marks = {each.word for each in words if not each.word[0].isalnum() and each.word[0] != "_"}
    ends = words[0].word not in marks and (words[-1].word not in marks or words[-1].word == ".")
    return ends and marks <= _MARKS and any(each.word[0].isalpha() or each.word[0] == "_" for each in words)


def _best(scores: Scores, transitions: Scores) -> list[int]:
    """The most likely labels (Viterbi)."""
    reached = scores[0]
    came = np.zeros(scores.shape, dtype=np.int64)
    for at in range(1, len(scores)):
        ways = reached[:, None] + transitions
        came[at] = ways.argmax(axis=0)
        reached = ways.max(axis=0) + scores[at]
    path = [int(reached.argmax())]
    for at in range(len(scores) - 1, 0, -1):
        path.append(int(came[at, path[-1]]))
    return path[::-1]


def _sums(scores: Scores, transitions: Scores) -> tuple[Scores, Scores, float]:
    """Logarithms of the sums over all labels before and after each token, and over all."""
    ahead, behind = np.empty_like(scores), np.zeros_like(scores)
    ahead[0] = scores[0]
    for at in range(1, len(scores)):
        ahead[at] = np.logaddexp.reduce(ahead[at - 1][:, None] + transitions, axis=0) + scores[at]
    for at in range(len(scores) - 2, -1, -1):
        behind[at] = np.logaddexp.reduce(transitions + scores[at + 1] + behind[at + 1], axis=1)
    return ahead, behind, float(np.logaddexp.reduce(ahead[-1]))


def _shape(written: str) -> str:
    if written.isdigit():
        return "d" if len(written) < 5 else "dd"
    if not written[0].isalpha():
        return "dx" if written[0].isdigit() else written
    if written.isupper():
        return "X" if len(written) == 1 else "XX"
    if written[0].isupper():
        return "Xx" if written[1:].islower() else "XxX"
    return "x" if written.islower() else "xX"
