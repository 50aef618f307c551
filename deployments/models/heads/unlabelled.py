"""What texts without labels teach: the head guesses theirs, and learns them as what it half believes (self-training).

None of them is in the result: their guesses move the linear map and the weights of places that are made of examples.
What the constants are, and why, is in docs/decisions/0054.
"""

from typing import Any, Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from deployments.kit.vectors import Vectors
from deployments.models.heads.evaluation import probabilities
from deployments.models.heads.familiarity import Familiarity
from deployments.models.heads.kernel import RIDGE, KernelPart, begun, kernel, wanted
from deployments.models.heads.space import Numbers, Places, unit

BELIEF: Final = 0.3
"""What a guess counts beside an example."""
SHARPNESS: Final = 16.0
"""How sure guesses are of themselves."""
ROUNDS: Final = 2
LANDMARKS: Final = 768
"""Places beside the examples where the head has weights, so that it can follow what lies between examples."""

LEAST_EXAMPLES: Final = 50
"""Of fewer, cross-validation cannot say whether texts without labels help."""
MOST_EXAMPLES: Final = 3_000
"""Of more, examples say themselves what there is to know, and time grows with the third power of them."""

_SAME: Final = 0.99
_AT_ONCE: Final = 1_024
_FIRM: Final = np.float32(1e-4)


def may_help(places: Places) -> bool:
    """Whether so many examples can say if texts without labels help."""
    return LEAST_EXAMPLES <= len(places) <= MOST_EXAMPLES


def others(unlabelled: Vectors, vectors: Vectors) -> Vectors:
    """Those that are no example themselves, under whatever name they are stored."""
    is_other = np.ones(len(unlabelled), dtype=bool)
    for start in range(0, len(unlabelled), _AT_ONCE):
        is_other[start : start + _AT_ONCE] = (unlabelled[start : start + _AT_ONCE] @ vectors.T).max(axis=1) < _SAME
    return unlabelled[is_other]


def continued(
    first: KernelPart, vectors: Vectors, places: Places, described: Vectors, unlabelled: Vectors
) -> KernelPart:
    """What `first`, which has learned the examples, becomes with texts that have no label; itself, when none of them
    is about what the examples are about."""
    near = unlabelled[_familiar(vectors, described, unlabelled)]
    if not len(near):
        return first
    labels = len(described)
    whitened, moved, everywhere = begun(vectors, places, described)
    further = near - whitened.centre
    guesses = first.scores(near)
    space = whitened.contrasted(np.vstack([moved, further]), np.concatenate([everywhere, guesses.argmax(axis=1)]))
    known, guessed = unit(moved @ space.axes), unit(further @ space.axes)
    support = np.vstack([known, _landmarks(known)])
    of_known, of_guessed = kernel(known, support), kernel(guessed, support)
    gram = (
        of_known.T @ of_known
        + np.float32(BELIEF) * (of_guessed.T @ of_guessed)
        + np.float32(RIDGE) * kernel(support, support)
    )
    gram.flat[:: len(gram) + 1] += _FIRM * np.trace(gram) / len(gram)
    factors = cho_factor(gram, overwrite_a=True, check_finite=False)
    told = of_known.T @ wanted(everywhere, labels)
    weights: Any = None
    for _ in range(ROUNDS):
        targets = probabilities(guesses, SHARPNESS) - np.float32(1 / labels)
        weights = cho_solve(factors, told + np.float32(BELIEF) * (of_guessed.T @ targets), check_finite=False)
        guesses = of_guessed @ weights
    return KernelPart(space, support, np.asarray(weights, dtype=np.float32))


def _landmarks(known: Numbers) -> Numbers:
    """Directions drawn at random, as examples are spread."""
    drawn = np.random.default_rng(0).standard_normal((LANDMARKS, len(known)), dtype=np.float32)
    return unit(drawn @ known)


def _familiar(vectors: Vectors, described: Vectors, unlabelled: Vectors) -> Any:
    """Which texts are about what the examples are about."""
    familiarity, _ = Familiarity.of(vectors, described)
    return familiarity.nearest(unlabelled) >= familiarity.least
