"""What is kept of a training beside the head: what it was made of, and how well it does on what was held out."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from deployments.kit.contract import Contract
from deployments.models.heads.head import Scores

RECORD: Final = "record.json"
_BINS: Final = 10


class Bin(Contract):
    """Texts whose probability of the label was alike: how many, their mean probability, the share that is it."""

    texts: int
    said: float
    found: float


class Figures(Contract):
    """How well a head tells one label from the rest. `confusion` has a row for what is, a column for what was said."""

    texts: int
    precision: float
    recall: float
    f1: float
    accuracy: float
    brier: float
    calibration_error: float
    confusion: tuple[tuple[int, int], tuple[int, int]]
    reliability: tuple[Bin, ...]

    @classmethod
    def of(cls, scores: NDArray[np.float32], targets: NDArray[np.int64]) -> Self:
        """Of probabilities of the label and whether it is right (1) or not (0)."""
        said = (scores >= 0.5).astype(np.int64)
        (kept, wrong), (missed, hit) = (
            tuple(int(((targets == truth) & (said == label)).sum()) for label in (0, 1)) for truth in (0, 1)
        )
        bins = _bins(scores, targets)
        return cls(
            texts=len(targets),
            precision=_share(hit, hit + wrong),
            recall=_share(hit, hit + missed),
            f1=_share(2 * hit, 2 * hit + wrong + missed),
            accuracy=_share(hit + kept, len(targets)),
            brier=round(float(np.mean((scores - targets) ** 2)), 4),
            calibration_error=round(sum(each.texts * abs(each.said - each.found) for each in bins) / len(targets), 4),
            confusion=((kept, wrong), (missed, hit)),
            reliability=bins,
        )


class Record(Contract):
    """What a head was made of, by checksums (SHA-256), and what it reached."""

    head: str
    data: dict[str, str]
    recipe: dict[str, str]
    encoder: str
    trained_on: int
    held_out: dict[str, Figures]


def figures_of(scores: Scores, targets: NDArray[np.int64], label: int) -> Figures:
    """The figures of one column of a head's scores."""
    return Figures.of(scores[:, label], (targets == label).astype(np.int64))


def _bins(scores: NDArray[np.float32], targets: NDArray[np.int64]) -> tuple[Bin, ...]:
    places = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    return tuple(
        Bin(
            texts=int((places == place).sum()),
            said=round(float(scores[places == place].mean()), 4),
            found=round(float(targets[places == place].mean()), 4),
        )
        for place in range(_BINS)
        if (places == place).any()
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
