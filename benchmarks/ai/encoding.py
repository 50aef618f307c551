"""Vectors of the benchmarks' texts, by the encoder as it is served."""

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from deployments.kit.vectors import Vectors
from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.registry import Registry


@cache
def encoder() -> Encoder:
    """The encoder in eight bits, built for this run."""
    folder = Path(tempfile.mkdtemp(prefix="formstream-models-"))
    registry = Registry(folder)
    minilm.build(registry)
    return Encoder(registry, precision="int8", threads=2)


def embedded(texts: Sequence[str]) -> Vectors:
    """A vector for each text."""
    return encoder().embed(texts)
