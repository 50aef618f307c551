"""A generating model of some kilobytes: after whatever prompt it writes the words that it was made with."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONTEXT = 8_192
_END = 256
_HEADS, _SIZE = 1, 2


def tiny_writer(folder: Path, words: Sequence[str], *, ends: bool = True, context: int = CONTEXT) -> Path:
    """A folder for ONNX Runtime GenAI. Its tokens are bytes, an end, and each of the words, one after the other; with
    `ends` false it repeats itself for ever."""
    folder.mkdir(parents=True)
    first = _END + 1
    size = first + len(words)
    successor = np.full(size, first if words else _END)
    successor[first:] = [*range(first + 1, size), _END if ends else first]
    logits = np.zeros((size, size), dtype=np.float32)
    logits[np.arange(size), successor] = 1.0
    onnx.save(_decoder(logits), folder / "model.onnx")
    (folder / "genai_config.json").write_text(json.dumps(_config(size, context)))
    tokens = {**{sign: place for place, sign in enumerate(_bytes())}, "<end>": _END}
    tokens |= {_written(word): first + place for place, word in enumerate(words)}
    assert len(tokens) == size, "words are written once"
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(tokens)))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<end>", "model_max_length": context})
    )
    return folder


def _decoder(table: np.ndarray) -> onnx.ModelProto:
    past = ["batch", _HEADS, "past", _SIZE]
    integers = TensorProto.INT64
    inputs = [
        helper.make_tensor_value_info("input_ids", integers, ["batch", "tokens"]),
        helper.make_tensor_value_info("attention_mask", integers, ["batch", "all"]),
        *(helper.make_tensor_value_info(f"past.0.{part}", TensorProto.FLOAT, past) for part in ("key", "value")),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "tokens", len(table)]),
        *(
            helper.make_tensor_value_info(f"present.0.{part}", TensorProto.FLOAT, ["batch", _HEADS, "all", _SIZE])
            for part in ("key", "value")
        ),
    ]
    constants = {
        "table": table,
        "sizes": np.array([_HEADS], dtype=np.int64),
        "size": np.array([_SIZE], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["logits"], axis=0),
        helper.make_node("Shape", ["input_ids"], ["batch_of"], start=0, end=1),
        helper.make_node("Shape", ["input_ids"], ["tokens_of"], start=1, end=2),
        helper.make_node("Concat", ["batch_of", "sizes", "tokens_of", "size"], ["added_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["added_shape"], ["added"]),
        *(
            helper.make_node("Concat", [f"past.0.{part}", "added"], [f"present.0.{part}"], axis=2)
            for part in ("key", "value")
        ),
    ]
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _config(size: int, context: int) -> dict[str, object]:
    return {
        "model": {
            "type": "llama",
            "bos_token_id": _END,
            "eos_token_id": _END,
            "pad_token_id": _END,
            "vocab_size": size,
            "context_length": context,
            "decoder": {
                "filename": "model.onnx",
                "session_options": {"provider_options": []},
                "head_size": _SIZE,
                "hidden_size": _HEADS * _SIZE,
                "num_attention_heads": _HEADS,
                "num_key_value_heads": _HEADS,
                "num_hidden_layers": 1,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past.%d.key",
                    "past_value_names": "past.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {"max_length": context, "past_present_share_buffer": False},
    }


def _tokenizer(tokens: dict[str, int]) -> dict[str, object]:
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": _END,
                "content": "<end>",
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "vocab": tokens, "merges": []},
    }


def _bytes() -> list[str]:
    """The sign of each byte, as byte-level BPE has it since GPT-2."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = {byte: chr(byte) for byte in plain}
    signs |= {byte: chr(256 + place) for place, byte in enumerate(b for b in range(256) if b not in signs)}
    return [signs[byte] for byte in range(256)]


def _written(word: str) -> str:
    signs = _bytes()
    return "".join(signs[byte] for byte in word.encode())
