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
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deployments.kit.vectors import Vectors
from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.heads.builtin import FOLDER
from deployments.models.heads.head import Head, HeadCard
from deployments.models.heads.recipes import calibration, linear, ngrams
from deployments.models.heads.recipes.ngrams import CHARACTERS, WORDS, Ngrams
from deployments.models.heads.recipes.record import RECORD, Record, figures_of
from deployments.models.registry import Registry, sha256_of

NAME: Final = "spam"
VERSION: Final = "2"
LABELS: Final = ("ham", "spam")
FILE: Final = "sms_spam_train.tsv"
SOURCES: Final = (Path(__file__), Path(calibration.__file__), Path(linear.__file__), Path(ngrams.__file__))
"""The code that decides what is learnt; when it changes, the head is to be trained anew."""

_HELD_OUT: Final = 5
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
    return np.array([group % _HELD_OUT == 0 for group in calibration.letters(texts)], dtype=bool)


def train(messages: Messages, vectors: Vectors) -> bytes:
    """The file of the head that is learnt from all of `messages`."""
    blocks = _blocks()
    features = calibration.learnt(blocks, messages.texts, vectors)
    machine = calibration.machine(features, messages.targets, _COST)
    margins = calibration.unseen(_blocks, _COST, messages.texts, messages.targets, vectors)
    slope, offset = calibration.platt(margins, messages.targets)
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
