"""A linear head: weights of n-grams and of a vector, added up for each label and made probabilities by softmax."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from deployments.models import minilm
from deployments.models.heads.head import SCORES, TEXTS, VECTORS, HeadCard
from deployments.models.heads.recipes.ngrams import OPERATORS, Ngrams


def written(blocks: Sequence[Ngrams], weights: NDArray[np.float32], bias: NDArray[np.float32], card: HeadCard) -> bytes:
    """The file of a head that reads the vector of a text and then the n-grams of each block.

    `weights` has a row for each of these features and, as `bias`, a column for each label of the card.
    """
    nodes: list[onnx.NodeProto] = []
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    parts = [VECTORS]
    for number, block in enumerate(blocks):
        made, needed, output = block.nodes(f"block_{number}")
        nodes += made
        constants += needed
        parts.append(output)
    nodes += [
        helper.make_node("Concat", parts, ["features"], axis=1),
        helper.make_node("MatMul", ["features", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "bias"], ["odds"]),
        helper.make_node("Softmax", ["odds"], [SCORES], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, ["texts", minilm.DIMENSIONS]),
        helper.make_tensor_value_info(TEXTS, TensorProto.STRING, ["texts", 1]),
    ]
    outputs = [helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["texts", len(card.labels)])]
    graph = helper.make_graph(nodes, card.name, inputs, outputs, constants)
    operators = [helper.make_opsetid(domain, version) for domain, version in OPERATORS.items()]
    return card.written_into(helper.make_model(graph, opset_imports=operators, ir_version=8))
