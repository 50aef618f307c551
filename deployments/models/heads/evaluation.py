"""What answers are worth: how often they are right, and how often they are as right as they say."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deployments.models.contracts import Confusion, HeadReport, LabelReport, ReliabilityBin
from deployments.models.heads.space import Numbers, Places

BINS: Final = 10
_SHARPNESS: Final = (1.0, 200.0)
_LEAST_PROBABILITY: Final = 1e-7


def probabilities(scores: Numbers, sharpness: float) -> Numbers:
    """Scores as probabilities."""
    heights = scores * sharpness
    powers = np.exp(heights - heights.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def log_loss(chances: Numbers, truth: Places) -> float:
    """The mean surprise at the truth, in nats."""
    return float(-np.log(np.maximum(chances[np.arange(len(truth)), truth], _LEAST_PROBABILITY)).mean())


def fit_sharpness(scores: Numbers, truth: Places) -> float:
    """By how much scores are to be multiplied, so that probabilities surprise least (temperature scaling)."""

    def surprise(sharpness: float) -> float:
        return log_loss(probabilities(scores, sharpness), truth)

    step = (_SHARPNESS[1] / _SHARPNESS[0]) ** (1 / 16)
    coarse = min((_SHARPNESS[0] * step**number for number in range(17)), key=surprise)
    return float(min((coarse * step ** (number / 8) for number in range(-7, 8)), key=surprise))


def floor(sharpness: float, labels: int, margin: float) -> float:
    """The confidence in a label whose score is `margin` above those of all others. Texts that are about nothing the
    head knows come near it from below."""
    best = float(np.exp(sharpness * margin))
    return best / (best + labels - 1) if labels > 1 else 0.0


def fit_threshold(chances: Numbers, truth: Places, precision: float, least: float) -> float:
    """The least confidence from which on so many of the answers are right; never below `least`."""
    answers = chances.argmax(axis=1)
    confidence = chances.max(axis=1)
    order = np.argsort(-confidence)
    right = np.cumsum(answers[order] == truth[order]) / np.arange(1, len(truth) + 1)
    enough = np.flatnonzero(right >= precision)
    if len(enough) and enough[-1] == len(order) - 1:
        return least
    return float(max(least, confidence[order[enough[-1]]] if len(enough) else confidence.max()))


def calibration(chances: Numbers, truth: Places) -> tuple[ReliabilityBin, ...]:
    """The answers by how sure they are; bins without any are left out."""
    confidence: NDArray[np.float32] = chances.max(axis=1)
    right = chances.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return tuple(
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            count=int(mine.sum()),
            confidence=_rounded(confidence[mine].mean()),
            accuracy=_rounded(right[mine].mean()),
        )
        for number in range(BINS)
        if (mine := place == number).any()
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The expected calibration error: how far accuracy is from confidence, on average over answers."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / total if total else 0.0


def report(
    labels: Sequence[str], counts: Sequence[int], chances: Numbers, truth: Places, threshold: float, folds: int
) -> HeadReport:
    """Everything that is told of answers to examples that were left out; `counts` are the examples of each label."""
    answers = chances.argmax(axis=1)
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(table, (truth, answers), 1)
    sure = chances.max(axis=1) >= threshold
    bins = calibration(chances, truth)
    each = tuple(_label(label, counts[place], place, table) for place, label in enumerate(labels))
    f1 = [one.f1 for one in each if one.f1 is not None]
    return HeadReport(
        examples=sum(counts),
        folds=folds,
        accuracy=_rounded((answers == truth).mean()),
        macro_f1=_rounded(float(np.mean(f1))),
        log_loss=_rounded(log_loss(chances, truth)),
        ece=_rounded(calibration_error(bins)),
        answered=_rounded(sure.mean()),
        right_when_answered=_rounded((answers == truth)[sure].mean()) if sure.any() else None,
        labels=each,
        confusion=_confusions(labels, table),
        reliability=bins,
    )


def _confusions(labels: Sequence[str], table: Places) -> tuple[Confusion, ...]:
    """What was taken for what, the most frequent first."""
    wrong = table - np.diag(np.diag(table))
    found = sorted(np.argwhere(wrong).tolist(), key=lambda cell: (-wrong[cell[0], cell[1]], cell))
    return tuple(
        Confusion(truth=labels[row], answer=labels[column], count=int(wrong[row, column])) for row, column in found
    )


def _label(label: str, examples: int, place: int, table: Places) -> LabelReport:
    right, asked, answered = int(table[place, place]), int(table[place].sum()), int(table[:, place].sum())
    if not asked:
        return LabelReport(label=label, examples=examples)
    return LabelReport(
        label=label,
        examples=examples,
        precision=_rounded(right / answered) if answered else 0.0,
        recall=_rounded(right / asked),
        f1=_rounded(2 * right / (asked + answered)),
    )


def _rounded(value: float) -> float:
    return round(float(value), 4)
