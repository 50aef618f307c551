"""A BERT encoder with mean pooling as an ONNX graph, made from its weights alone.

Devlin et al., "BERT" (2019), for the encoder; Reimers and Gurevych, "Sentence-BERT" (2019), for the pooling: the mean
over the tokens that the mask lets through, at unit length. In eight bits the weights have a scale for each column and
what they are multiplied with a scale for each token, found as it comes: with one scale for all, as ONNX Runtime's own
dynamic quantisation has it, a token with large values would blur the others, and a text's vector would depend on which
texts are computed with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
_MICROSOFT: Final = "com.microsoft"
_HIDDEN_FROM_ATTENTION: Final = np.float32(-1e9)
_STEPS: Final = 127
# What the last layers attend with keeps its precision: they cost a tenth of the speed and halve the error.
_PRECISE_LAYERS: Final = 3

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class BertShape:
    """The sizes of an encoder, as its config.json names them."""

    layers: int
    heads: int
    hidden: int
    epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "BertShape":
        """The sizes in a `config.json`. Raises KeyError, and ValueError for an encoder of another kind."""
        if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
            raise ValueError(f"not a BERT encoder with gelu: {config['model_type']}, {config['hidden_act']}")
        return cls(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            hidden=config["hidden_size"],
            epsilon=config["layer_norm_eps"],
        )


def sentence_encoder(weights: Mapping[str, Array], shape: BertShape, *, eight_bits: bool = False) -> onnx.ModelProto:
    """A graph from `input_ids` and `attention_mask`, int64 [texts, tokens], to `vectors`, float32 [texts, hidden].

    Weights have the names that Hugging Face's BertModel gives them. Every text is one segment. The vector of a text is
    the same whatever it is computed with.
    """
    graph = _Graph(eight_bits=eight_bits)
    state = _embeddings(graph, weights, shape)
    bias = _attention_bias(graph)
    for layer in range(shape.layers):
        precise = layer >= shape.layers - _PRECISE_LAYERS
        state = _layer(graph, weights, shape, f"encoder.layer.{layer}", state, bias, precise=precise)
    graph.add("Identity", [_unit_mean(graph, state)], name="vectors")
    return graph.model(shape.hidden)


class _Graph:
    """Nodes and constants in the order in which they come to be."""

    def __init__(self, *, eight_bits: bool) -> None:
        self.eight_bits = eight_bits
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, inputs: Sequence[str], name: str | None = None, **attributes: Any) -> str:
        """Append a node; the name of its one output."""
        output = name or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def product(self, state: str, name: str, kernel: Array, *, precise: bool = False) -> str:
        """`state` times a matrix of weights, [inputs, outputs]."""
        if precise or not self.eight_bits:
            return self.add("MatMul", [state, self.constant(f"{name}.kernel", kernel)])
        scales, steps = _in_steps(kernel, axis=0)
        largest = self.add("ReduceMax", [self.add("Abs", [state])], axes=[-1], keepdims=1)
        scale = self.add("Mul", [largest, self.constant("one_step", np.float32(1 / _STEPS))])
        scale = self.add("Max", [scale, self.constant("tiny", np.float32(1e-12))])
        one, middle = self.constant("one", np.float32(1)), self.constant("middle", np.uint8(128))
        inputs = [
            self.add("QuantizeLinear", [self.add("Div", [state, scale]), one, middle]),
            self.constant(f"{name}.steps", steps),
            one,
            self.constant(f"{name}.scales", scales.reshape(-1)),
            middle,
        ]
        return self.add("Mul", [self.add("MatMulIntegerToFloat", inputs, domain=_MICROSOFT), scale])

    def rows(self, name: str, table: Array, places: str) -> str:
        """The rows of a table of weights at these places."""
        if not self.eight_bits:
            return self.add("Gather", [self.constant(name, table), places], axis=0)
        scales, steps = _in_steps(table, axis=1)
        rows = self.add("Gather", [self.constant(f"{name}.steps", steps), places], axis=0)
        scale = self.add("Gather", [self.constant(f"{name}.scales", scales), places], axis=0)
        return self.add("Mul", [self.add("Cast", [rows], to=TensorProto.FLOAT), scale])

    def constant(self, name: str, value: "Array | np.generic[Any]") -> str:
        """A constant under this name, which stands for the same value each time."""
        self._constants.setdefault(name, numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """A list of integers, as shapes and axes are given."""
        return self.constant("integers_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def model(self, hidden: int) -> onnx.ModelProto:
        """The whole, checked. Raises onnx.checker.ValidationError."""
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", hidden])]
        graph = helper.make_graph(self._nodes, "sentence_encoder", inputs, outputs, list(self._constants.values()))
        operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=operators, ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def _in_steps(weights: Array, axis: int) -> tuple[Array, Array]:
    """The scales along `axis`, which is kept with length 1, and the weights as int8 multiples of them."""
    scales = np.maximum(np.abs(weights).max(axis=axis, keepdims=True) / _STEPS, 1e-12).astype(np.float32)
    return scales, np.round(weights / scales).astype(np.int8)


def _embeddings(graph: _Graph, weights: Mapping[str, Array], shape: BertShape) -> str:
    words = graph.rows("words", weights["embeddings.word_embeddings.weight"], "input_ids")
    # One segment only, so its row belongs to every position.
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    positions = graph.constant("positions", weights["embeddings.position_embeddings.weight"] + segment)
    tokens = graph.add("Gather", [graph.add("Shape", ["input_ids"]), graph.integers(1)], axis=0)
    places = graph.add("Slice", [positions, graph.integers(0), tokens, graph.integers(0)])
    summed = graph.add("Add", [words, places])
    return _normalised(graph, weights, shape, "embeddings.LayerNorm", summed)


def _attention_bias(graph: _Graph) -> str:
    mask = graph.add("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    absent = graph.add("Sub", [graph.constant("one", np.float32(1)), mask])
    bias = graph.add("Mul", [absent, graph.constant("hidden_from_attention", _HIDDEN_FROM_ATTENTION)])
    return graph.add("Unsqueeze", [bias, graph.integers(1, 2)])


def _layer(
    graph: _Graph,
    weights: Mapping[str, Array],
    shape: BertShape,
    name: str,
    state: str,
    bias: str,
    *,
    precise: bool,
) -> str:
    attended = _attention(graph, weights, shape, f"{name}.attention.self", state, bias, precise=precise)
    projected = _dense(graph, weights, f"{name}.attention.output.dense", attended)
    state = _normalised(
        graph, weights, shape, f"{name}.attention.output.LayerNorm", graph.add("Add", [projected, state])
    )
    inner = _gelu(graph, _dense(graph, weights, f"{name}.intermediate.dense", state))
    outer = _dense(graph, weights, f"{name}.output.dense", inner)
    return _normalised(graph, weights, shape, f"{name}.output.LayerNorm", graph.add("Add", [outer, state]))


def _attention(
    graph: _Graph,
    weights: Mapping[str, Array],
    shape: BertShape,
    name: str,
    state: str,
    bias: str,
    *,
    precise: bool,
) -> str:
    each = shape.hidden // shape.heads
    # The scale of the scores goes into the weights of the queries.
    scale = np.float32(1 / np.sqrt(each))
    projections = {"query": scale, "key": np.float32(1), "value": np.float32(1)}
    kernel = np.concatenate([weights[f"{name}.{part}.weight"].T * by for part, by in projections.items()], axis=1)
    offset = np.concatenate([weights[f"{name}.{part}.bias"] * by for part, by in projections.items()])
    joined = graph.product(state, name, kernel, precise=precise)
    joined = graph.add("Add", [joined, graph.constant(f"{name}.offset", offset)])
    # [texts, tokens, 3, heads, each] -> [3, texts, heads, tokens, each]
    split = graph.add("Reshape", [joined, graph.integers(0, 0, 3, shape.heads, each)])
    split = graph.add("Transpose", [split], perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.add("Gather", [split, graph.constant(f"index_{part}", np.int64(part))], axis=0) for part in range(3)
    )
    scores = graph.add("MatMul", [query, graph.add("Transpose", [key], perm=[0, 1, 3, 2])])
    shares = graph.add("Softmax", [graph.add("Add", [scores, bias])], axis=-1)
    mixed = graph.add("Transpose", [graph.add("MatMul", [shares, value])], perm=[0, 2, 1, 3])
    return graph.add("Reshape", [mixed, graph.integers(0, 0, shape.hidden)])


def _dense(graph: _Graph, weights: Mapping[str, Array], name: str, state: str) -> str:
    product = graph.product(state, name, weights[f"{name}.weight"].T)
    return graph.add("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])])


def _gelu(graph: _Graph, state: str) -> str:
    """x * (1 + erf(x / sqrt 2)) / 2, in the form that ONNX Runtime fuses."""
    scaled = graph.add("Div", [state, graph.constant("root_two", np.float32(np.sqrt(2)))])
    shifted = graph.add("Add", [graph.add("Erf", [scaled]), graph.constant("one", np.float32(1))])
    return graph.add("Mul", [graph.add("Mul", [state, shifted]), graph.constant("half", np.float32(0.5))])


def _normalised(graph: _Graph, weights: Mapping[str, Array], shape: BertShape, name: str, state: str) -> str:
    scale = graph.constant(f"{name}.weight", weights[f"{name}.weight"])
    offset = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    return graph.add("LayerNormalization", [state, scale, offset], axis=-1, epsilon=shape.epsilon)


def _unit_mean(graph: _Graph, state: str) -> str:
    # The length of the sum and of the mean are the same up to a factor, which unit length takes away.
    mask = graph.add("Unsqueeze", [graph.add("Cast", ["attention_mask"], to=TensorProto.FLOAT), graph.integers(2)])
    total = graph.add("ReduceSum", [graph.add("Mul", [state, mask]), graph.integers(1)], keepdims=0)
    length = graph.add("ReduceL2", [total], axes=[1], keepdims=1)
    return graph.add("Div", [total, graph.add("Max", [length, graph.constant("tiny", np.float32(1e-12))])])
