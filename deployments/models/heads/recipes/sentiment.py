"""The built-in head `sentiment`: whether an English text feels negative, neutral or positive.

    python -m deployments.models.heads.recipes.sentiment --data <folder> --models <registry>

`<folder>` holds the sentences that Hutto and Gilbert had rated by twenty people each ("VADER: A Parsimonious Rule-based
Model for Sentiment Analysis of Social Media Text", ICWSM 2014; MIT licence): tweets, sentences of reviews and of
editorials, as they come in `hutto_ICWSM_2014.tar.gz` of the source distribution of vaderSentiment 3.3.2. The head and
its record go beside the package's other heads. A fifth of the documents is set aside before anything is learnt, see
`held_out`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from deployments.kit.vectors import Vectors
from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.heads.builtin import FOLDER
from deployments.models.heads.head import Head, HeadCard
from deployments.models.heads.recipes import linear, ngrams
from deployments.models.heads.recipes.ngrams import CHARACTERS, WORDS, Ngrams
from deployments.models.heads.recipes.record import RECORD, Figures, Record, figures_of
from deployments.models.registry import Registry, sha256_of

NAME: Final = "sentiment"
VERSION: Final = "4"
"""Greater than the version of the lexicon that stood here before, so that old verdicts are told from new ones."""
LABELS: Final = ("negative", "neutral", "positive")
FILES: Final = {
    "tweets": "tweets_GroundTruth.txt",
    "product reviews": "amazonReviewSnippets_GroundTruth.txt",
    "film reviews": "movieReviewSnippets_GroundTruth.txt",
    "editorials": "nytEditorialSnippets_GroundTruth.txt",
}
SOURCES: Final = (Path(__file__), Path(linear.__file__), Path(ngrams.__file__))
"""The code that decides what is learnt; when it changes, the head is to be trained anew."""

# People rated from -4 to 4: what they agree on is further from nothing than half a step.
_NEUTRAL: Final = 0.5
_HELD_OUT: Final = 5
# Found on what is learnt from, among 0.3, 0.5 and 1.
_STRENGTH: Final = 0.5
_STEPS: Final = 500


@dataclass(frozen=True)
class Sentences:
    """Sentences with what they feel, as numbers of `LABELS`, where they are from, and the document they stand in."""

    texts: tuple[str, ...]
    targets: NDArray[np.int64]
    origins: tuple[str, ...]
    documents: tuple[str, ...]

    def of(self, chosen: NDArray[np.bool_]) -> "Sentences":
        """Those that are chosen."""
        places = np.flatnonzero(chosen)
        texts, origins, documents = (
            tuple(every[place] for place in places) for every in (self.texts, self.origins, self.documents)
        )
        return Sentences(texts, self.targets[places], origins, documents)


def read(folder: Path) -> Sentences:
    """The sentences of the data. Raises ValueError with the line that is none."""
    texts: list[str] = []
    targets: list[int] = []
    origins: list[str] = []
    documents: list[str] = []
    for origin, name in FILES.items():
        # Some lines of 2014 are not in UTF-8; a letter that nobody can read says nothing about a feeling.
        lines = (folder / name).read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place, _, rest = line.rstrip("\r").partition("\t")
            rating, tab, text = rest.partition("\t")
            try:
                targets.append(_target(float(rating)))
            except ValueError:
                raise ValueError(f"{name}, line {number}: not a number, a rating and a text") from None
            if not tab:
                raise ValueError(f"{name}, line {number}: not a number, a rating and a text")
            texts.append(text)
            origins.append(origin)
            documents.append(f"{origin} {place.partition('_')[0]}")
    return Sentences(tuple(texts), np.array(targets), tuple(origins), tuple(documents))


def _target(rating: float) -> int:
    return 1 if abs(rating) <= _NEUTRAL else 2 * int(rating > 0)


def held_out(documents: Sequence[str]) -> NDArray[np.bool_]:
    """Which sentences are only for measuring: a fifth of the documents, so that what speaks of one thing in the same
    words is on one side."""
    drawn = [int.from_bytes(sha256(document.encode()).digest()[:4]) for document in documents]
    return np.array([number % _HELD_OUT == 0 for number in drawn], dtype=bool)


def train(sentences: Sentences, vectors: Vectors) -> bytes:
    """The file of the head that is learnt from all of `sentences`."""
    blocks = (Ngrams(WORDS, (1, 2), least=3, most=20_000), Ngrams(CHARACTERS, (2, 5), least=5, most=12_000))
    learnt: list[Any] = [csr_matrix(vectors), *(block.learn(sentences.texts) for block in blocks)]
    machine = LogisticRegression(C=_STRENGTH, max_iter=_STEPS).fit(hstack(learnt).tocsr(), sentences.targets)
    weights, bias = machine.coef_.T.astype(np.float32), machine.intercept_.astype(np.float32)
    card = HeadCard(name=NAME, version=VERSION, labels=LABELS, encoder=minilm.NAME, threshold=0.5)
    return linear.written(blocks, np.ascontiguousarray(weights), bias, card)


def figures(head: Head, unseen: Sentences, vectors: Vectors) -> Mapping[str, Figures]:
    """How well the head tells each label from the rest."""
    scores = head.score(unseen.texts, vectors)
    return {label: figures_of(scores, unseen.targets, number) for number, label in enumerate(LABELS)}


def main() -> None:
    """Train, measure on what was held out, and put the head and its record where the package has them."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help=f"folder with {', '.join(FILES.values())}")
    options.add_argument("--models", type=Path, required=True, help="registry with the text encoder")
    options.add_argument("--to", type=Path, default=FOLDER / NAME, help="folder to write to")
    given = options.parse_args()
    sentences = read(given.data)
    apart = held_out(sentences.documents)
    seen, unseen = sentences.of(~apart), sentences.of(apart)
    encoder = Encoder(Registry(given.models), precision="int8")
    file = train(seen, encoder.embed(seen.texts))
    record = Record(
        head=sha256(file).hexdigest(),
        data={name: sha256_of(given.data / name) for name in FILES.values()},
        recipe={path.name: sha256_of(path) for path in SOURCES},
        encoder=encoder.model,
        trained_on=len(seen.texts),
        held_out=dict(figures(Head(file), unseen, encoder.embed(unseen.texts))),
    )
    (given.to / f"{NAME}.onnx").write_bytes(file)
    (given.to / RECORD).write_text(record.model_dump_json(indent=2) + "\n")
    sys.stdout.write(record.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
