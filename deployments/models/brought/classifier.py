"""A classifier of texts or of tokens, as Hugging Face's libraries export them: tokenizer, graph, names of labels."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from deployments.kit.enrichment import BroughtKind
from deployments.models.brought.archive import CONFIG, GRAPH, TOKENIZER
from deployments.models.brought.errors import Refused
from deployments.models.brought.inspection import OUTPUT
from deployments.models.contracts import Tag

MAX_TOKENS: Final = 512
_MOST_LABELS: Final = 1_000
_LABEL_LENGTH: Final = 200


class Classifier:
    """The unpacked files of one model, loaded."""

    def __init__(self, folder: Path) -> None:
        """Load. Raises Refused."""
        config = _config(folder / CONFIG)
        self.labels = _labels(config)
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._tokenizer.enable_truncation(_most_tokens(config))
            self._tokenizer.no_padding()
        except Exception as error:  # what the library raises has no type of its own
            raise Refused("tokenizer.unreadable", "tokenizer.json cannot be used") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # as above
            raise Refused("graph.unusable", "ONNX Runtime cannot load the graph") from error
        self._inputs = [each.name for each in self._session.get_inputs()]
        self.kind = self._probe()

    def scores(self, texts: Sequence[str]) -> list[list[float]]:
        """The probability of each label for each text."""
        return [_softmax(self._logits(text)[1][0]).tolist() for text in texts]

    def tags(self, texts: Sequence[str]) -> list[list[Tag]]:
        """What each text has, in the order of the text. Of overlapping readings there are none: a token has one label.
        Tokens in a row with the same label are one, unless the second begins with `B-`."""
        return [self._tags(text) for text in texts]

    def _tags(self, text: str) -> list[Tag]:
        encoding, logits = self._logits(text)
        found: list[Tag] = []
        open_until = -1
        special = encoding.special_tokens_mask
        for place, shares in enumerate(_softmax(logits[0])):
            start, end = encoding.offsets[place]
            name = self.labels[int(shares.argmax())]
            if special[place] or name == "O" or end <= start:
                open_until = open_until if end <= start and not special[place] else -1
                continue
            label = name[2:] if name[:2] in ("B-", "I-") else name
            share = float(shares.max())
            if found and open_until == place - 1 and found[-1].label == label and not name.startswith("B-"):
                last = found.pop()
                start, share = last.start, min(last.confidence, share)
            found.append(Tag(label=label, text=text[start:end], start=start, end=end, confidence=round(share, 6)))
            open_until = place
        return found

    def _logits(self, text: str) -> tuple[Encoding, NDArray[np.float32]]:
        encoding = self._tokenizer.encode(text)
        given = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        arrays = {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
        logits = np.asarray(self._session.run([OUTPUT], arrays)[0], dtype=np.float32)
        return encoding, logits

    def _probe(self) -> BroughtKind:
        """Answer texts of several lengths, and be what the labels say."""
        kind: BroughtKind | None = None
        for text in ("a", "Where is my order?", "word " * 600, "👍 新しい"):
            encoding = self._tokenizer.encode(text)
            if not encoding.ids:
                raise Refused("tokenizer.unusable", "the tokenizer finds no token in a text")
            try:
                _, logits = self._logits(text)
            except Exception as error:  # what ONNX Runtime raises has no common type
                raise Refused("graph.failed", "the graph fails on a text") from error
            shapes: dict[tuple[int, ...], BroughtKind] = {
                (1, len(self.labels)): "sequence",
                (1, len(encoding.ids), len(self.labels)): "token",
            }
            found = shapes.get(logits.shape)
            if found is None or kind not in (None, found) or not np.isfinite(logits).all():
                raise Refused(
                    "graph.outputs",
                    f"logits of {len(encoding.ids)} tokens have the shape {list(logits.shape)[:4]}, which fits neither "
                    f"a text nor its tokens with {len(self.labels)} labels, or are no numbers",
                )
            kind = found
        return kind or "sequence"


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Refused("config.unreadable", "config.json is no JSON") from error
    if not isinstance(config, dict):
        raise Refused("config.unreadable", "config.json is no object")
    return config


def _labels(config: dict[str, Any]) -> list[str]:
    named = config.get("id2label")
    try:
        labels = [named[str(place)] for place in range(len(named))]  # type: ignore[index, arg-type]
    except (TypeError, KeyError) as error:
        raise Refused("config.labels", "id2label must name the labels 0, 1, 2 …") from error
    if not 1 <= len(labels) <= _MOST_LABELS or len(set(map(str, labels))) < len(labels):
        raise Refused("config.labels", f"there must be 1 to {_MOST_LABELS} labels with different names")
    if not all(isinstance(label, str) and 0 < len(label) <= _LABEL_LENGTH and label.isprintable() for label in labels):
        raise Refused("config.labels", f"labels must be texts of 1 to {_LABEL_LENGTH} characters")
    return labels


def _most_tokens(config: dict[str, Any]) -> int:
    most = config.get("max_position_embeddings")
    return min(most, MAX_TOKENS) if isinstance(most, int) and most > 0 else MAX_TOKENS


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    if logits.shape[-1] == 1:
        shares = 1 / (1 + np.exp(-logits))
    else:
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
    return np.asarray(shares, dtype=np.float32)
