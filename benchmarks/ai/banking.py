"""Accuracy of classifiers on Banking77 (PolyAI, CC BY 4.0): 77 intents of a bank's customers.

Held out before anything: the texts whose SHA-256 begins with a number of 64 bits that five divides. Everything that was
chosen was chosen on the rest.
"""

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.ai.diagrams import reliability
from benchmarks.ai.encoding import embedded, encoder
from deployments.inference.classifiers.training import UNLABELLED
from deployments.kit.vectors import Vectors, small, stretched
from deployments.models.contracts import HeadReport, Lesson
from deployments.models.heads import evaluation
from deployments.models.heads.head import Head
from deployments.models.heads.training import learn

SEEDS = range(5)
FEW = 10
CHOSEN_BY = 1_500
"""Text messages that say how texts about something else are found; they are not counted."""
FEW_NAMED = f"{FEW} of each intent"
MORE_NAMED = f"{FEW} of each intent, and {UNLABELLED:,} other texts without labels"
PAGE = Path("docs/ai/banking77.md")

Places = NDArray[np.int64]


class Split(NamedTuple):
    """Texts with their vectors and the places of their labels."""

    texts: list[str]
    vectors: Vectors
    places: Places

    def part(self, chosen: Any) -> "Split":
        return Split([self.texts[number] for number in chosen], self.vectors[chosen], self.places[chosen])


class Figures(NamedTuple):
    """What one head is worth on what was held out, and how many texts about something else it labels."""

    accuracy: float
    plain: float
    report: HeadReport
    hotels: float
    messages: float
    helped: bool


def held_out(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts nothing is ever learned from or chosen by."""
    starts = (hashlib.sha256(text.strip().encode()).digest()[:8] for text in texts)
    return np.array([int.from_bytes(start, "big") % 5 == 0 for start in starts])


def run(data: Path) -> None:
    """Print the accuracy with ten examples of each intent and with all, and write the page."""
    with (data / "text" / "banking77_train.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["category"] for row in rows})
    texts = [row["text"] for row in rows]
    places = np.array([labels.index(row["category"]) for row in rows])
    everything = Split(texts, embedded(texts), places)
    described = embedded([label.replace("_", " ") for label in labels])
    test = held_out(texts)
    taught, asked = everything.part(np.flatnonzero(~test)), everything.part(np.flatnonzero(test))
    others = _elsewhere(data / "text")
    draws = [_few(taught.places, seed) for seed in SEEDS]
    few = [_figures(labels, taught.part(draw), asked, described, others) for draw in draws]
    print(_row(FEW_NAMED, few))
    more = [
        _figures(labels, taught.part(draw), asked, described, others, _unlabelled(taught, draw, seed))
        for seed, draw in zip(SEEDS, draws, strict=True)
    ]
    print(_row(MORE_NAMED, more))
    full = _figures(labels, taught, asked, described, others)
    print(_row("all", [full]))
    _write(labels, len(taught.texts), few, more, full, [len(some) for some, _ in others])


def _elsewhere(data: Path) -> list[tuple[list[str], Vectors]]:
    """Texts about something else: to hotels (NLU++), and text messages without those by which anything was chosen."""
    hotels = [
        row["text"]
        for path in sorted((data / "nlupp" / "hotels").glob("*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))
    ]
    lines = (data / "sms_spam_train.tsv").read_text(encoding="utf-8").splitlines()
    messages = [line.split("\t", 1)[1] for line in lines[1 + CHOSEN_BY :]]
    return [(texts, embedded(texts)) for texts in (hotels, messages)]


def _few(places: Places, seed: int) -> list[int]:
    random = np.random.default_rng(seed)
    return [int(n) for place in np.unique(places) for n in random.permutation(np.flatnonzero(places == place))[:FEW]]


def _unlabelled(taught: Split, draw: Sequence[int], seed: int) -> Vectors:
    """Vectors of texts that are no examples, as the database has them: as many as a training looks at."""
    rest = np.setdiff1d(np.arange(len(taught.texts)), draw)
    return stretched(small(taught.vectors[np.random.default_rng(seed).permutation(rest)[:UNLABELLED]]))


def _figures(
    labels: Sequence[str],
    taught: Split,
    asked: Split,
    described: Vectors,
    others: Sequence[tuple[list[str], Vectors]],
    unlabelled: Vectors | None = None,
) -> Figures:
    lesson = Lesson(
        name="banking77",
        version="1",
        labels=tuple(labels),
        texts=tuple(taught.texts),
        places=tuple(taught.places.tolist()),
    )
    learned = learn(lesson, taught.vectors, described, encoder().model, unlabelled)
    head = Head(learned.file)
    chances = head.score([text[:2_000] for text in asked.texts], asked.vectors)
    labelled = [
        float((head.score([text[:2_000] for text in texts], vectors).max(axis=1) >= learned.threshold).mean())
        for texts, vectors in others
    ]
    counts = np.bincount(taught.places, minlength=len(labels)).tolist()
    told = evaluation.report(labels, counts, chances, asked.places, learned.threshold, learned.report.folds)
    plain = LogisticRegression(C=10, max_iter=300).fit(taught.vectors, taught.places)
    brought = learned.report.unlabelled
    plainly = float(plain.score(asked.vectors, asked.places))
    return Figures(told.accuracy or 0.0, plainly, told, *labelled, helped=brought is not None and brought.used)


def _row(name: str, found: Sequence[Figures]) -> str:
    mine, plain = (np.array([getattr(each, kind) for each in found]) * 100 for kind in ("accuracy", "plain"))
    report = found[0].report
    spread = f" ± {mine.std():.1f} ({mine.min():.1f}–{mine.max():.1f})" if len(found) > 1 else ""
    ece = np.mean([each.report.ece for each in found])
    answered = np.mean([each.report.answered for each in found]) * 100
    right = np.mean([each.report.right_when_answered for each in found]) * 100
    hotels, messages = (np.mean([getattr(each, kind) for each in found]) * 100 for kind in ("hotels", "messages"))
    return (
        f"| {name} | {report.examples} | **{mine.mean():.1f} %**{spread} | {plain.mean():.1f} % | {ece:.3f} | "
        f"{answered:.0f} % | {right:.1f} % | {hotels:.1f} % | {messages:.1f} % |"
    )


def _write(
    labels: Sequence[str],
    taught: int,
    few: Sequence[Figures],
    more: Sequence[Figures],
    full: Figures,
    others: Sequence[int],
) -> None:
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    for name, title, found in (("few", f"{FEW} of each intent", few[0]), ("full", "all", full)):
        drawing = reliability(found.report.reliability, f"Banking77, {title}")
        (PAGE.parent / f"banking77-{name}.svg").write_text(drawing)
    pairs = "\n".join(f"| {each.truth} | {each.answer} | {each.count} |" for each in full.report.confusion[:15])
    worst = sorted((each for each in full.report.labels if each.f1 is not None), key=lambda each: each.f1 or 0)[:10]
    poor = "\n".join(f"| {e.label} | {e.examples} | {e.precision:.2f} | {e.recall:.2f} | {e.f1:.2f} |" for e in worst)
    helped = sum(each.helped for each in more)
    PAGE.write_text(
        f"""# Banking77

Which of {len(labels)} intents a message to a bank has: Banking77 (PolyAI, CC BY 4.0). A fifth of the texts,
those whose SHA-256 begins with a number of 64 bits that five divides, was held out before anything; what was chosen was
chosen on the other {taught}.
Vectors are those of `{encoder().model}`, as it is served. With {FEW} examples of each intent
figures are means of {len(SEEDS)} draws, with standard deviation and range.
`python -m benchmarks.ai --data <folder> banking` makes this page.

| Examples | in all | Accuracy | Logistic regression | ECE | Answered | Right of these | Of hotels | Of messages |
|---|---|---|---|---|---|---|---|---|
{_row(FEW_NAMED, few)}
{_row(MORE_NAMED, more)}
{_row("all", [full])}

"Without labels" are texts drawn from the other training texts, whose intents the classifier is not told; the fifth that
was held out is never among them. In {helped} of {len(more)} draws its cross-validation said that they help:
[decision 0054](../decisions/0054-answers-without-labels.md).
"Logistic regression" is the plain one on the same vectors. "Answered" is the share of texts that the classifier does
not abstain from, with the precision that it aims at by default, 0.9. "Of hotels" and "of messages" are the shares that
it labels of texts which are about none of the intents, and should be none: {others[0]} requests to hotels (NLU++,
PolyAI, CC BY 4.0) and {others[1]} text messages (UCI SMS Spam Collection, CC BY 4.0). By those to hotels and
{CHOSEN_BY} other messages it was chosen how such texts are told, with examples of the training part:
[decision 0048](../decisions/0048-texts-about-something-else.md).

## Is it as sure as it is right?

![Reliability with few examples](banking77-few.svg) ![Reliability with all examples](banking77-full.svg)

## What is taken for what

With all examples, most frequent first:

| Truth | Answer | Texts |
|---|---|---|
{pairs}

The intents that are told worst:

| Intent | Examples | Precision | Recall | F1 |
|---|---|---|---|---|
{poor}
"""
    )
