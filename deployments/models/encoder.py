"""Texts to vectors: a tokenizer and an ONNX Runtime session."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from deployments.kit.vectors import Vectors
from deployments.models import minilm
from deployments.models.registry import Registry

MAX_TOKENS: Final = 512
# What fits into the caches of a processor: more at once is a third slower.
_MAX_BATCH_TOKENS: Final = 1_024


class Encoder:
    """all-MiniLM-L6-v2 of a registry, its files compared with their checksums before anything is loaded."""

    def __init__(self, registry: Registry, *, precision: minilm.Precision = "int8", threads: int = 1) -> None:
        """Load. Raises ModelMissing, ModelUnusable, ModelDamaged."""
        minilm.require(registry, precision)
        manifest, folder = registry.verified(minilm.NAME)
        self.model = f"{manifest.name}@{manifest.version}-{precision}"
        self.dimensions = minilm.DIMENSIONS
        self._tokenizer = _tokenizer(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A thread that waits by turning takes the processor from whoever serves requests.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = folder / minilm.FILES[precision]
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector of unit length for each text, float32 [texts, dimensions]; what is beyond 512 tokens does not count.

        Texts of like length are computed together, because the shorter ones are padded to the longest.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        lengths = [len(each.ids) for each in encodings]
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for batch in batches(lengths, _MAX_BATCH_TOKENS):
            ids = np.zeros((len(batch), lengths[batch[-1]]), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(batch):
                ids[row, : lengths[index]] = encodings[index].ids
                mask[row, : lengths[index]] = 1
            vectors[batch] = self._session.run(["vectors"], {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


def batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """The places of `lengths` in groups, short ones first, each group with at most `most` cells when padded to its
    longest member, or of one member alone."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and (len(groups[-1]) + 1) * lengths[index] <= most:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / minilm.TOKENIZER))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer
