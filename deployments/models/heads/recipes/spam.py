"""The built-in head `spam`: whether a message is unwanted advertising or fraud.

    python -m deployments.models.heads.recipes.spam --data <folder> --models <registry>

`<folder>` holds `sms_spam_train.tsv`, of the UCI SMS Spam Collection (Almeida, Hidalgo and Yamakami, 2011; CC BY 4.0):
a line for each message, `ham` or `spam`, a tab, the text. The head, its card and the record of both go beside the
package's other heads. A fifth of the messages is set aside before anything is learnt, see `held_out`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import LinearSVC

from deployments.kit.vectors import Vectors
from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.heads.builtin import FOLDER
from deployments.models.heads.head import Head, HeadCard
from deployments.models.heads.recipes import linear, ngrams
from deployments.models.heads.recipes.ngrams import CHARACTERS, WORDS, Ngrams
from deployments.models.heads.recipes.record import RECORD, Record, figures_of
from deployments.models.registry import Registry, sha256_of

NAME: Final = "spam"
VERSION: Final = "2"
LABELS: Final = ("ham", "spam")
FILE: Final = "sms_spam_train.tsv"
SOURCES: Final = (Path(__file__), Path(linear.__file__), Path(ngrams.__file__))
"""The code that decides what is learnt; when it changes, the head is to be trained anew."""

_HELD_OUT: Final = 5
_FOLDS: Final = 5
_SEED: Final = 0
# Found by cross-validation on what is learnt from, among 0.3, 1 and 3.
_COST: Final = 1.0

Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Messages:
    """Texts with what they are: 1 for spam."""

    texts: tuple[str, ...]
    targets: Targets

    def of(self, chosen: NDArray[np.bool_]) -> "Messages":
        """Those that are chosen."""
        texts = tuple(text for text, wanted in zip(self.texts, chosen, strict=True) if wanted)
        return Messages(texts, self.targets[chosen])


def read(folder: Path) -> Messages:
    """The messages of the data. Raises ValueError with the line that is none."""
    texts: list[str] = []
    targets: list[int] = []
    for number, line in enumerate((folder / FILE).read_text(encoding="utf-8").split("\n"), start=1):
        label, tab, text = line.rstrip("\r").partition("\t")
        if not line or (number == 1 and label not in LABELS):
            continue
        if not tab or label not in LABELS:
            raise ValueError(f"{FILE}, line {number}: not ham or spam, a tab and a text")
        texts.append(text)
        targets.append(LABELS.index(label))
    return Messages(tuple(texts), np.array(targets))


def held_out(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts are only for measuring: a fifth, by the checksum of their letters.

    Texts that differ in numbers and signs alone are on one side: the same message was sent to many.
    """
    return np.array([group % _HELD_OUT == 0 for group in _groups(texts)], dtype=bool)


def train(messages: Messages, vectors: Vectors) -> bytes:
    """The file of the head that is learnt from all of `messages`."""
    blocks = _blocks()
    features = _learnt(blocks, messages.texts, vectors)
    machine = LinearSVC(C=_COST, random_state=_SEED).fit(features, messages.targets)
    slope, offset = _calibration(messages, vectors)
    # The odds of spam against one.
    weights = np.zeros((features.shape[1], len(LABELS)), dtype=np.float32)
    weights[:, 1] = machine.coef_[0] * slope
    bias = np.array([0, machine.intercept_[0] * slope + offset], dtype=np.float32)
    card = HeadCard(name=NAME, version=VERSION, labels=LABELS, encoder=minilm.NAME, threshold=0.5)
    return linear.written(blocks, weights, bias, card)


def _blocks() -> tuple[Ngrams, ...]:
    return (
        Ngrams(WORDS, (1, 2), least=2),
        Ngrams(CHARACTERS, (2, 5), least=3, most=12_000),
        Ngrams(CHARACTERS, (1, 3), least=3, most=3_000, lower=False),
    )


def _learnt(blocks: Sequence[Ngrams], texts: Sequence[str], vectors: Vectors) -> Any:
    return hstack([csr_matrix(vectors), *(block.learn(texts) for block in blocks)]).tocsr()


def _calibration(messages: Messages, vectors: Vectors) -> tuple[float, float]:
    """Slope and offset that make of a margin the logarithm of odds (Platt, 1999), learnt from the margins that each
    message gets of a machine that has not seen it."""
    margins = np.zeros(len(messages.texts))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for seen, unseen in folds.split(vectors, messages.targets, _groups(messages.texts)):
        blocks = _blocks()
        features = _learnt(blocks, [messages.texts[index] for index in seen], vectors[seen])
        machine = LinearSVC(C=_COST, random_state=_SEED).fit(features, messages.targets[seen])
        texts = [messages.texts[index] for index in unseen]
        others = hstack([csr_matrix(vectors[unseen]), *(block.weights(texts) for block in blocks)]).tocsr()
        margins[unseen] = machine.decision_function(others)
    platt = LogisticRegression(C=1e6).fit(margins.reshape(-1, 1), messages.targets)
    return float(platt.coef_[0, 0]), float(platt.intercept_[0])


def _groups(texts: Sequence[str]) -> list[int]:
    letters = ["".join(each for each in text.lower() if each.isalpha()) or text for text in texts]
    return [int.from_bytes(sha256(each.encode()).digest()[:4]) for each in letters]


def main() -> None:
    """Train, measure on what was held out, and put the head and its record where the package has them."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help=f"folder with {FILE}")
    options.add_argument("--models", type=Path, required=True, help="registry with the text encoder")
    options.add_argument("--to", type=Path, default=FOLDER / NAME, help="folder to write to")
    given = options.parse_args()
    messages = read(given.data)
    apart = held_out(messages.texts)
    seen, unseen = messages.of(~apart), messages.of(apart)
    registry = Registry(given.models)
    encoders = {precision: Encoder(registry, precision=precision) for precision in minilm.FILES}
    encoder = encoders["int8"]
    file = train(seen, encoder.embed(seen.texts))
    head = Head(file)
    record = Record(
        head=sha256(file).hexdigest(),
        data={FILE: sha256_of(given.data / FILE)},
        recipe={path.name: sha256_of(path) for path in SOURCES},
        encoder=encoder.model,
        trained_on=len(seen.texts),
        held_out={
            precision: figures_of(head.score(unseen.texts, each.embed(unseen.texts)), unseen.targets, 1)
            for precision, each in encoders.items()
        },
    )
    (given.to / f"{NAME}.onnx").write_bytes(file)
    (given.to / RECORD).write_text(record.model_dump_json(indent=2) + "\n")
    sys.stdout.write(record.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
