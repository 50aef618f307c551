"""Topics of texts: groups of what means the same, found in the vectors of the texts, the same each time.

Ward's tree (1963) over a sample shows the groups at every fineness; the tree is cut where texts are nearest to their
own group and farthest from the next (silhouette, Rousseeuw, 1987); k-means over all texts begins at the centres found
so. Nothing is drawn at random.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deployments.inference.generate_contracts import MOST_TOPICS
from deployments.kit.vectors import Vectors

NO_TOPIC: Final = -1
_SAMPLE: Final = 1_500
_SEVERAL: Final = 4
# Of random texts the best cut has a silhouette near 0.02.
_APART: Final = 0.04
# A text below has less in common with its group than two sentences of one language have by chance.
_BELONGS: Final = 0.3

Groups = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Topics:
    """`groups` is the topic of each text, the largest topic is 0, `NO_TOPIC` for texts like no others; `nearness` the
    cosine of each text to the `centres`, float32 [topics, dimensions], of its topic."""

    groups: Groups
    nearness: NDArray[np.float32]
    centres: Vectors

    @property
    def count(self) -> int:
        return len(self.centres)

    def members(self, topic: int) -> Groups:
        """The texts of a topic, the nearest to its centre first."""
        (places,) = np.nonzero(self.groups == topic)
        ordered: Groups = places[np.lexsort((places, -self.nearness[places]))]
        return ordered


def find_topics(vectors: Vectors, weights: NDArray[np.float64] | None = None, count: int | None = None) -> Topics:
    """The topics of texts with these vectors of unit length. `weights`: how often each text occurs; `count`: into how
    many topics, found out when it is None."""
    shares = np.ones(len(vectors)) if weights is None else weights
    # The libraries take a second to load: only who sums up waits for them.
    from sklearn.cluster import KMeans

    centres = _start(vectors, count)
    if len(centres) > 1:
        centres = KMeans(len(centres), init=centres, n_init=1, max_iter=60).fit(vectors, sample_weight=shares)
        centres = centres.cluster_centers_
    centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    likeness = vectors @ centres.T.astype(np.float32)
    groups = likeness.argmax(axis=1)
    nearness = likeness[np.arange(len(vectors)), groups]
    if len(vectors) > _SEVERAL:
        groups = np.where(nearness < _BELONGS, NO_TOPIC, groups)
    return _by_size(groups, nearness, centres.astype(np.float32), shares)


def _start(vectors: Vectors, count: int | None) -> Vectors:
    from scipy.cluster.hierarchy import fcluster, linkage

    # Every n-th text of an order that does not depend on when it came is as good as a random one.
    sample = vectors[:: max(1, -(-len(vectors) // _SAMPLE))]
    if (len(sample) < _SEVERAL and count is None) or len(sample) < 2 or count == 1:
        mean: Vectors = sample.mean(axis=0, keepdims=True)
        return mean
    tree = linkage(sample, "ward")
    cut = _best_cut(sample, tree) if count is None else fcluster(tree, min(count, len(sample)), "maxclust")
    return np.stack([sample[cut == group].mean(axis=0) for group in np.unique(cut)])


def _best_cut(sample: Vectors, tree: NDArray[np.float64]) -> NDArray[np.int32]:
    from scipy.cluster.hierarchy import fcluster
    from sklearn.metrics import silhouette_score

    distances = np.clip(1 - sample @ sample.T, 0, None)
    np.fill_diagonal(distances, 0)
    most = min(MOST_TOPICS, max(2, len(sample) // 2), len(sample) - 1)
    best, cut = _APART, np.ones(len(sample), dtype=np.int32)
    for wanted in sorted({2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 26, 30, 35, 40, 45, 50}):
        if wanted > most:
            break
        found = fcluster(tree, wanted, "maxclust")
        if len(np.unique(found)) < 2:
            continue
        score = silhouette_score(distances, found, metric="precomputed")
        if score > best:
            best, cut = score, found
    return cut


def _by_size(groups: Groups, nearness: NDArray[np.float32], centres: Vectors, weights: NDArray[np.float64]) -> Topics:
    sizes = np.array([weights[groups == topic].sum() for topic in range(len(centres))])
    order = [topic for topic in np.argsort(-sizes, kind="stable") if sizes[topic]]
    places = np.full(len(centres) + 1, NO_TOPIC)
    places[order] = np.arange(len(order))
    return Topics(places[groups], nearness, centres[order])
