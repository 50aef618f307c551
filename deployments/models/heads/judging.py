"""What a head says of texts."""

from collections.abc import Sequence

import numpy as np

from deployments.kit.vectors import Vectors
from deployments.models.contracts import Judgements
from deployments.models.errors import HeadOutdated
from deployments.models.heads.builtin import Judge
from deployments.models.heads.cutting import cut


def judged(head: Judge, texts: Sequence[str], vectors: Vectors | None, encoder: str) -> Judgements:
    """Scores of texts; `vectors` are those of `encoder`. Raises HeadOutdated when the head needs those of another."""
    if head.needs_vectors and not _is_same(head.card.encoder, encoder):
        raise HeadOutdated(f"{head.card.name} was trained on vectors of {head.card.encoder}; train it again")
    rows, start = [], 0
    for batch in cut(texts):
        part = None if vectors is None else vectors[start : start + len(batch)]
        rows.append(head.score(batch, part))
        start += len(batch)
    scores = np.vstack(rows) if rows else np.empty((0, len(head.card.labels)), dtype=np.float32)
    return Judgements(
        model=f"{head.card.name}@{head.card.version}",
        labels=head.card.labels,
        threshold=head.card.threshold,
        scores=tuple(tuple(row) for row in scores.tolist()),
    )


def _is_same(trained_on: str, installed: str) -> bool:
    # Eight bits or single precision: the vectors agree well enough.
    return trained_on.removesuffix("-int8").removesuffix("-fp32") in (
        installed,
        installed.removesuffix("-int8").removesuffix("-fp32"),
        installed.partition("@")[0],
    )
