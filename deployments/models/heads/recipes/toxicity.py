"""The built-in head `toxicity`: whether an English text insults or demeans somebody, or is civil.

    python -m deployments.models.heads.recipes.toxicity --data <folder> --models <registry>

`<folder>` holds

* `labeled_data.csv`: tweets that three people or more each took for hate, for offensive, or for neither (Davidson,
  Warmsley, Macy and Weber, "Automated Hate Speech Detection and the Problem of Offensive Language", ICWSM 2017; MIT
  licence), `data/labeled_data.csv` of https://github.com/t-davidson/hate-speech-and-offensive-language;
* `toxicity_en.csv`: 1,000 comments from several platforms, half of which the people of Surge AI found toxic (MIT
  licence), from https://github.com/surge-ai/toxicity;
* the sentences that `recipes.sentiment` learns from and the messages of `recipes.spam` that are no spam, none of which
  was written against a reader.

To these come sentences in which people are called what they call themselves, for else the head takes the names of
groups for insults (Dixon and others, "Measuring and Mitigating Unintended Bias in Text Classification", AIES 2018).

The data is full of slurs and is not part of this package. The head and its record go beside the package's other heads.
What `read` sets apart is only measured: half of the comments, a fifth of the tweets, and what the other recipes do.
"""

import argparse
import csv
import html
import re
import sys
from collections.abc import Iterator, Mapping
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
from deployments.models.heads.recipes import calibration, linear, ngrams, sentiment, spam
from deployments.models.heads.recipes.ngrams import CHARACTERS, WORDS, Ngrams
from deployments.models.heads.recipes.record import RECORD, Figures, Record, figures_of
from deployments.models.registry import Registry, sha256_of

NAME: Final = "toxicity"
VERSION: Final = "1"
LABELS: Final = ("civil", "toxic")
FILES: Final = {
    "tweets": "labeled_data.csv",
    "comments": "toxicity_en.csv",
}
CHECKSUMS: Final = {
    "labeled_data.csv": "fcb8bc7c68120ae4af04a5b9acd58585513ede11e1548ebf36a5c2040b6f6281",
    "toxicity_en.csv": "3bfcdd54ab90c8bab232235226a00e28b0d457c3c19e87230f73dde1880e6c44",
}
"""The files (SHA-256) that the head was made of; from another one it is not made."""
SOURCES: Final = (
    Path(__file__),
    Path(calibration.__file__),
    Path(linear.__file__),
    Path(ngrams.__file__),
    Path(sentiment.__file__),
    Path(spam.__file__),
)
"""The code that decides what is learnt; when it changes, the head is to be trained anew."""

CLASSES: Final = ("hate", "offensive", "neither")
"""What the people who read the tweets chose among, in the order of their numbers."""
COMMENTS: Final = "comments"
MESSAGES: Final = "messages"
GROUPS: Final = "groups"

NAMES: Final = (
    *("gay", "lesbian", "transgender", "queer", "straight", "female", "male", "old", "young", "black", "Asian"),
    *("African American", "Arab", "Muslim", "Jewish", "Christian", "atheist", "disabled", "deaf", "autistic"),
)
"""As people call themselves."""

_TOXIC: Final = LABELS.index("toxic")
_CLAIMS: Final = {"Not Toxic": 0, "Toxic": 1}
_TWEETS_APART: Final = 5
_COMMENTS_APART: Final = 2
_SENTENCES: Final = (
    "We are a {} couple with two children.",
    "Most of my colleagues are {}.",
    "My best friend is {}.",
    "She is proud to be {}.",
    "There are many {} people in our club.",
    "I would like to see more {} artists on the programme.",
    "Is there a group for {} members?",
    "They asked me whether I am {}.",
)
# Tweets that are offensive are many and alike; ordinary sentences keep the head from taking anger for an insult.
_MOST: Final = {"offensive": 3_000, "sentences": 4_000, MESSAGES: 1_500}
# Comments are few, and nearer to what people write in forms than tweets are. Theirs was found as the cost is, among 1,
# 3, 4, 6 and 8.
_COUNTS: Final = {COMMENTS: 8.0, GROUPS: 4.0}
# Found by cross-validation on what is learnt from, among 0.03, 0.05, 0.1 and 0.3.
_COST: Final = 0.05
# Of the comments of which it is sure, so many are to be right; and how sure that is, in these steps.
_RIGHT: Final = 0.9
_STEPS: Final = tuple(step / 20 for step in range(11, 20))
# Names of people and addresses say nothing about how somebody speaks, and are nobody's business.
_ADDRESSES: Final = re.compile(r"https?://\S+|(?:\bRT\s+)?(?<!\w)@\w+:?")


@dataclass(frozen=True)
class Texts:
    """Texts with what they are (1 for toxic), where they are from, and whether they are only for measuring."""

    texts: tuple[str, ...]
    targets: NDArray[np.int64]
    origins: NDArray[np.str_]
    apart: NDArray[np.bool_]

    def of(self, chosen: NDArray[np.bool_]) -> "Texts":
        """Those that are chosen."""
        texts = tuple(self.texts[place] for place in np.flatnonzero(chosen))
        return Texts(texts, self.targets[chosen], self.origins[chosen], self.apart[chosen])


def read(folder: Path) -> Texts:
    """The texts of the data. Raises ValueError with the row that is none."""
    tweets, comments, sentences = list(_tweets(folder)), list(_comments(folder)), sentiment.read(folder)
    messages = spam.read(folder)
    messages = messages.of(messages.targets == spam.LABELS.index("ham"))
    groups = tuple(sentence.format(name) for name in NAMES for sentence in _SENTENCES)
    marked = [*tweets, *comments]
    letters = np.array(calibration.letters([text for text, _, _ in marked]))
    parts = np.array([_TWEETS_APART] * len(tweets) + [_COMMENTS_APART] * len(comments))
    return Texts(
        texts=(*(text for text, _, _ in marked), *sentences.texts, *messages.texts, *groups),
        targets=np.array(
            [target for _, target, _ in marked] + [0] * (len(sentences.texts) + len(messages.texts) + len(groups))
        ),
        origins=np.array(
            [origin for _, _, origin in marked]
            + [*sentences.origins, *[MESSAGES] * len(messages.texts), *[GROUPS] * len(groups)]
        ),
        apart=np.concatenate(
            [
                letters % parts == 0,
                sentiment.held_out(sentences.documents),
                spam.held_out(messages.texts),
                np.zeros(len(groups), dtype=bool),
            ]
        ),
    )


def _tweets(folder: Path) -> Iterator[tuple[str, int, str]]:
    name = FILES["tweets"]
    for number, row in _rows(folder / name):
        if (said := row.get("class")) not in ("0", "1", "2") or (tweet := row.get("tweet")) is None:
            raise ValueError(f"{name}, row {number}: not a class of 0, 1 or 2 and a tweet")
        if text := plain(tweet):
            origin = CLASSES[int(said)]
            yield text, int(origin != "neither"), origin


def _comments(folder: Path) -> Iterator[tuple[str, int, str]]:
    name = FILES[COMMENTS]
    for number, row in _rows(folder / name):
        if (said := row.get("is_toxic")) not in _CLAIMS or (text := row.get("text")) is None:
            raise ValueError(f"{name}, row {number}: not a text and Toxic or Not Toxic")
        yield text, _CLAIMS[said], COMMENTS


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from enumerate(csv.DictReader(file), start=1)


def plain(tweet: str) -> str:
    """The words of a tweet, without whom it names, what it links to, and the signs it begins with."""
    return " ".join(_ADDRESSES.sub(" ", html.unescape(html.unescape(tweet))).split()).lstrip("!\"' “”‘’:")


def seen(texts: Texts) -> Texts:
    """What is learnt from: what is not set apart, of large kinds a part, by the checksums of their texts."""
    chosen = ~texts.apart
    kinds = np.where(np.isin(texts.origins, list(sentiment.FILES)), "sentences", texts.origins)
    order = np.array([int.from_bytes(sha256(text.encode()).digest()[:6]) for text in texts.texts])
    for kind, most in _MOST.items():
        places = np.flatnonzero(chosen & (kinds == kind))
        chosen[places[np.argsort(order[places], kind="stable")[most:]]] = False
    return texts.of(chosen)


def train(texts: Texts, vectors: Vectors) -> bytes:
    """The file of the head that is learnt from all of `texts`."""
    counts = np.array([_COUNTS.get(origin, 1.0) for origin in texts.origins])
    blocks = _blocks()
    features = calibration.learnt(blocks, texts.texts, vectors)
    machine = calibration.machine(features, texts.targets, _COST, counts)
    margins = calibration.unseen(_blocks, _COST, texts.texts, texts.targets, vectors, counts)
    slope, offset = calibration.platt(margins, texts.targets, counts)
    # The odds of toxic against one.
    weights = np.zeros((features.shape[1], len(LABELS)), dtype=np.float32)
    weights[:, _TOXIC] = machine.coef_[0] * slope
    bias = np.array([0, machine.intercept_[0] * slope + offset], dtype=np.float32)
    threshold = _threshold(1 / (1 + np.exp(-(margins * slope + offset))), texts)
    card = HeadCard(name=NAME, version=VERSION, labels=LABELS, encoder=minilm.NAME, threshold=threshold)
    return linear.written(blocks, weights, bias, card)


def _blocks() -> calibration.Blocks:
    return Ngrams(WORDS, (1, 2), least=3, most=12_000), Ngrams(CHARACTERS, (2, 5), least=5, most=12_000)


def _threshold(said: NDArray[np.float64], texts: Texts) -> float:
    """From where on enough of the comments are right, by the probabilities that they get unseen; above one half, which
    is what a text in another language gets."""
    comments = texts.origins == COMMENTS
    right = (said > 0.5) == texts.targets
    for step in _STEPS:
        sure = comments & (np.maximum(said, 1 - said) >= step)
        if sure.any() and right[sure].mean() >= _RIGHT:
            return step
    return _STEPS[-1]


def figures(head: Head, unseen: Texts, vectors: Vectors) -> Mapping[str, Figures]:
    """How well the head tells toxic from civil tweets and comments, at one half."""
    scores = head.score(unseen.texts, vectors)
    groups = {"tweets": np.isin(unseen.origins, CLASSES), COMMENTS: unseen.origins == COMMENTS}
    return {name: figures_of(scores[of], unseen.targets[of], _TOXIC) for name, of in groups.items()}


def main() -> None:
    """Train, measure on what was set apart, and put the head and its record where the package has them."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    files = (*FILES.values(), *sentiment.FILES.values(), spam.FILE)
    options.add_argument("--data", type=Path, required=True, help=f"folder with {', '.join(files)}")
    options.add_argument("--models", type=Path, required=True, help="registry with the text encoder")
    options.add_argument("--to", type=Path, default=FOLDER / NAME, help="folder to write to")
    given = options.parse_args()
    checksums = {name: sha256_of(given.data / name) for name in files}
    if others := [name for name, checksum in CHECKSUMS.items() if checksums[name] != checksum]:
        options.error(f"not the files that the card speaks of: {', '.join(others)}")
    texts = read(given.data)
    chosen, unseen = seen(texts), texts.of(texts.apart)
    encoder = Encoder(Registry(given.models), precision="int8")
    file = train(chosen, encoder.embed(chosen.texts))
    record = Record(
        head=sha256(file).hexdigest(),
        data=checksums,
        recipe={path.name: sha256_of(path) for path in SOURCES},
        encoder=encoder.model,
        trained_on=len(chosen.texts),
        held_out=dict(figures(Head(file), unseen, encoder.embed(unseen.texts))),
    )
    (given.to / f"{NAME}.onnx").write_bytes(file)
    (given.to / RECORD).write_text(record.model_dump_json(indent=2) + "\n")
    sys.stdout.write(record.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
