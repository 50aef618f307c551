"""The part of a head that reads vectors: kernel ridge regression in a space where examples of one label lie close.

A Gaussian kernel and one ridge regression for each label do what the space has left to do. What the constants are, and
why, is in docs/decisions/0028.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from deployments.kit.vectors import Vectors
from deployments.models.heads.space import Numbers, Places, Space, unit

WIDTH: Final = 1.0
RIDGE: Final = 0.1


@dataclass(frozen=True)
class KernelPart:
    """What was learned: `support` are the places of examples and descriptions, `weights` theirs for each label."""

    space: Space
    support: Numbers
    weights: Numbers

    @classmethod
    def fit(cls, vectors: Vectors, places: Places, described: Vectors) -> "KernelPart":
        """Learn examples, and the description of each label as one more of it."""
        whitened, moved, everywhere = begun(vectors, places, described)
        space = whitened.contrasted(moved, everywhere)
        support = unit(moved @ space.axes)
        targets = wanted(everywhere, len(described))
        return cls(space, support, ridge(kernel(support, support), targets, RIDGE))

    def scores(self, vectors: Vectors) -> Numbers:
        """How near each text is to each label, float32 [texts, labels]."""
        scores: Numbers = kernel(self.space.place(vectors), self.support) @ self.weights
        return scores


def begun(vectors: Vectors, places: Places, described: Vectors) -> tuple[Space, Numbers, Places]:
    """Where learning begins: the whitened space, examples and descriptions less their centres, and their places."""
    space = Space.of(vectors, places) if len(vectors) else Space.of(described, np.arange(len(described)))
    # Descriptions are worded unlike what people write: their own mean takes that away.
    their_centre = described.mean(axis=0) if len(described) > 1 else space.centre
    moved = np.vstack([vectors - space.centre, described - their_centre])
    return space, moved, np.concatenate([places, np.arange(len(described))])


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
