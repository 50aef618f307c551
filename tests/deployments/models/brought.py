"""Small models of strangers, good and bad ones, as archives."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = ("[UNK]", "late", "broken", "refund", "thanks", "great", "Ada", "Berlin")
TOPICS = ("complaint", "praise")
NAMES = ("O", "B-person", "I-person", "B-place")


def tokenizer() -> bytes:
    """A tokenizer that knows WORDS."""
    made = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    return made.to_str().encode()


def config(labels: Sequence[str]) -> bytes:
    """As transformers writes it."""
    named = {str(place): label for place, label in enumerate(labels)}
    return json.dumps({"model_type": "bert", "id2label": named, "max_position_embeddings": 64}).encode()


def graph(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Any] | None = None,
    *,
    domains: Sequence[str] = ("",),
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
) -> onnx.ModelProto:
    """A model that gives `logits`."""
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in inputs]
    result = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    values = [numpy_helper.from_array(np.array(value), name) for name, value in (constants or {}).items()]
    made = helper.make_graph(list(nodes), "brought", given, result, values)
    return helper.make_model(made, opset_imports=[helper.make_opsetid(name, 17) for name in domains], ir_version=8)


def topics() -> onnx.ModelProto:
    """A classifier of texts: complaints have the words 1 to 3, praise 4 and 5."""
    table = np.zeros((len(WORDS), 2), dtype=np.float32)
    table[1:4, 0] = table[4:6, 1] = 8
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["found"], axis=0),
        helper.make_node("ReduceSum", ["found", "along"], ["logits"], keepdims=0),
    ]
    return graph(nodes, {"table": table, "along": np.array([1], dtype=np.int64)})


def names() -> onnx.ModelProto:
    """A classifier of tokens: one word is a person, one a place."""
    table = np.zeros((len(WORDS), len(NAMES)), dtype=np.float32)
    table[:, 0] = 4
    table[6, 1] = table[7, 3] = 9
    return graph([helper.make_node("Gather", ["table", "input_ids"], ["logits"], axis=0)], {"table": table})


def files(model: onnx.ModelProto | None = None, labels: Sequence[str] = TOPICS) -> dict[str, bytes]:
    """What an archive of a good model holds."""
    return {
        "config.json": config(labels),
        "tokenizer.json": tokenizer(),
        "model.onnx": (model or topics()).SerializeToString(),
    }


def zipped(contents: Mapping[str, bytes]) -> bytes:
    """The contents as a zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    return archive.getvalue()


def tarred(contents: Mapping[str, bytes | str], mode: Any = "w:gz") -> bytes:
    """The contents as a tar archive; a text is where a symbolic link leads."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as opened:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                opened.addfile(member)
            else:
                member.size = len(content)
                opened.addfile(member, io.BytesIO(content))
    return archive.getvalue()
