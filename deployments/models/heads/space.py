"""Where a head compares vectors: a linear map that was made so that examples of one label lie close.

It begins with whitening by the covariance inside of labels (shrunk, since there are fewer examples than dimensions) and
takes a few steps from there that draw each example to those of its label and away from the others: Khosla et al.,
"Supervised Contrastive Learning" (2020). What the constants are, and why, is in docs/decisions/0028 and 0049.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deployments.kit.vectors import Vectors

SHRINKAGE: Final = 0.85
STEPS: Final = 10
PACE: Final = 1e-3
WARMTH: Final = 0.2
"""Small, only the nearest examples count; large, all do."""
AT_ONCE: Final = 1_024
"""Examples that are looked at in one step: time grows with the second power of them."""

_MEMORY: Final = (0.9, 0.99)
_ITSELF: Final = np.float32(-1e9)

Places = NDArray[np.int64]
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Space:
    """Where vectors are compared: less `centre`, times `axes`, at unit length."""

    centre: Numbers
    axes: Numbers

    @classmethod
    def of(cls, vectors: Vectors, places: Places) -> "Space":
        """The space of examples and the places of their labels, whitened."""
        centre = vectors.mean(axis=0)
        dimensions = vectors.shape[1]
        labels, index, counts = np.unique(places, return_inverse=True, return_counts=True)
        means = np.zeros((len(labels), dimensions), dtype=np.float32)
        np.add.at(means, index, vectors)
        means /= counts[:, None]
        apart = vectors - means[index]
        freedom = len(vectors) - len(labels)
        if freedom == 0 or not apart.any():  # one example of each label says nothing about what varies inside
            return cls(centre, np.eye(dimensions, dtype=np.float32))
        values, axes = np.linalg.eigh(apart.T @ apart / freedom)
        mean = values.mean()
        shrunk = ((1 - SHRINKAGE) * np.maximum(values, 0) + SHRINKAGE * mean) / mean
        return cls(centre, (axes * shrunk**-0.5 @ axes.T).astype(np.float32))

    def contrasted(self, moved: Numbers, places: Places) -> "Space":
        """The space a few steps on, by vectors less their centre and the places of their labels; the same one when no
        label has two."""
        axes, random = self.axes, np.random.default_rng(0)
        first, second = np.zeros_like(axes), np.zeros_like(axes)
        for step in range(1, STEPS + 1):  # Kingma and Ba, "Adam" (2014)
            some = random.permutation(len(moved))[:AT_ONCE]
            slope = _slope(moved[some], places[some], axes)
            first = _MEMORY[0] * first + (1 - _MEMORY[0]) * slope
            second = _MEMORY[1] * second + (1 - _MEMORY[1]) * slope**2
            height = np.sqrt(second / (1 - _MEMORY[1] ** step)) + 1e-8
            axes = (axes - PACE * first / (1 - _MEMORY[0] ** step) / height).astype(np.float32)
        return Space(self.centre, axes)

    def place(self, vectors: Vectors) -> Numbers:
        """Where vectors are."""
        moved: Any = vectors - self.centre
        return unit(moved @ self.axes)


def unit(rows: Numbers) -> Numbers:
    """Each row at unit length; rows of nothing stay."""
    return np.asarray(rows / _lengths(rows), dtype=np.float32)


def _slope(moved: Numbers, places: Places, axes: Numbers) -> Numbers:
    """How the surprise at the labels of neighbours changes with `axes`."""
    turned = moved @ axes
    lengths = _lengths(turned)
    found = turned / lengths
    alike = found @ found.T / np.float32(WARMTH)
    np.fill_diagonal(alike, _ITSELF)
    chances = np.exp(alike - alike.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    mates = (places[:, None] == places).astype(np.float32)
    np.fill_diagonal(mates, 0)
    count = mates.sum(axis=1, keepdims=True)
    pull = np.where(count > 0, chances - mates / np.maximum(count, 1), 0) / np.float32(WARMTH * len(moved))
    slopes = (pull + pull.T) @ found
    # Along itself a vector may not move: its length does not count.
    slopes -= found * (slopes * found).sum(axis=1, keepdims=True)
    return np.asarray(moved.T @ (slopes / lengths), dtype=np.float32)


def _lengths(rows: Numbers) -> Numbers:
    return np.asarray(np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32)
