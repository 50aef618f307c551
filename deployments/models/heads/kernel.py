"""The part of a head that reads vectors: kernel ridge regression in a space where examples of one label lie close.

Vectors are centred, whitened with the covariance inside of labels (shrunk, since there are fewer examples than
dimensions) and brought to unit length; a Gaussian kernel and one ridge regression for each label do the rest. What the
constants are, and why, is in docs/decisions/0028.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from deployments.kit.vectors import Vectors

SHRINKAGE: Final = 0.85
WIDTH: Final = 1.0
RIDGE: Final = 0.1

Places = NDArray[np.int64]
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Space:
    """Where vectors are compared: less `centre`, times `whitening`, at unit length."""

    centre: Numbers
    whitening: Numbers

    @classmethod
    def of(cls, vectors: Vectors, places: Places) -> "Space":
        """The space of examples and the places of their labels."""
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

    def place(self, vectors: Vectors, centre: Numbers | None = None) -> Numbers:
        """Where vectors are; `centre` where theirs is another."""
        moved: Any = (vectors - (self.centre if centre is None else centre)) @ self.whitening
        return unit(moved)


@dataclass(frozen=True)
class KernelPart:
    """What was learned: `support` are the places of examples and descriptions, `weights` theirs for each label."""

    space: Space
    support: Numbers
    weights: Numbers

    @classmethod
    def fit(cls, vectors: Vectors, places: Places, described: Vectors) -> "KernelPart":
        """Learn examples, and the description of each label as one more of it."""
        # Descriptions are worded unlike what people write: their own mean takes that away.
        their_centre = described.mean(axis=0) if len(described) > 1 else None
        space = Space.of(vectors, places) if len(vectors) else Space.of(described, np.arange(len(described)))
        support = np.vstack([space.place(vectors), space.place(described, their_centre)]).astype(np.float32)
        targets = wanted(np.concatenate([places, np.arange(len(described))]), len(described))
        return cls(space, support, ridge(kernel(support, support), targets, RIDGE))

    def scores(self, vectors: Vectors) -> Numbers:
        """How near each text is to each label, float32 [texts, labels]."""
        scores: Numbers = kernel(self.space.place(vectors), self.support) @ self.weights
        return scores


def kernel(left: Numbers, right: Numbers) -> Numbers:
    """The Gaussian kernel of vectors of unit length."""
    similar: Numbers = np.exp(2 * WIDTH * (left @ right.T - 1), dtype=np.float32)
    return similar


def wanted(places: Places, labels: int) -> Numbers:
    """What a regression of each label is to say of each example; its sum over the labels is 0."""
    return np.eye(labels, dtype=np.float32)[places] - np.float32(1 / labels)


def ridge(gram: Numbers, targets: Numbers, penalty: float) -> Numbers:
    """The dual weights of a ridge regression. `gram` is used up."""
    gram.flat[:: len(gram) + 1] += penalty
    weights: Any = cho_solve(cho_factor(gram, overwrite_a=True, check_finite=False), targets, check_finite=False)
    return np.asarray(weights, dtype=np.float32)


def unit(rows: Numbers) -> Numbers:
    """Each row at unit length; rows of nothing stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-6), dtype=np.float32)
