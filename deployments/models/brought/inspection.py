"""What a graph from a stranger may consist of: said of its file, before anything of it runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from deployments.models.brought.errors import Refused

INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT: Final = "logits"

_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# What runs for ever, or calls for state: no encoder needs it.
_NEVER: Final = frozenset({"Loop", "Scan", "SequenceMap"})
_MOST_NODES: Final = 20_000
_DEPTH: Final = 8


def inspect(path: Path) -> None:
    """Raises Refused for a file that is no graph, for other operators than the standard ones, for loops, for data in
    other files, and for inputs and outputs that are not those of a classifier of texts or tokens."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # what protobuf raises has no common type
        raise Refused("graph.unreadable", "model.onnx is no ONNX file") from error
    if model.functions or model.training_info:
        raise Refused("graph.operators", "the graph has functions or training of its own")
    _check_domains([operators.domain for operators in model.opset_import])
    for count, node in enumerate(_nodes(model.graph)):
        if count >= _MOST_NODES:
            raise Refused("graph.size", f"the graph has more than {_MOST_NODES} operators")
        _check_domains([node.domain])
        if node.op_type in _NEVER:
            raise Refused("graph.operators", f"the graph has a {node.op_type}")
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise Refused("graph.external", "the graph has data in another file")
    _check_ends(model.graph)


def _check_domains(domains: list[str]) -> None:
    if other := sorted(set(domains) - _DOMAINS):
        raise Refused("graph.operators", f"operators of {other[0][:60]} are not taken, only the standard ones")


def _check_ends(graph: GraphProto) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    unknown = [each.name for each in inputs if each.name not in INPUTS]
    if unknown or "input_ids" not in {each.name for each in inputs}:
        raise Refused("graph.inputs", f"the inputs must be input_ids and perhaps {', '.join(INPUTS[1:])}")
    if any(each.type.tensor_type.elem_type != TensorProto.INT64 for each in inputs):
        raise Refused("graph.inputs", "the inputs must be int64")
    if OUTPUT not in {each.name for each in graph.output}:
        raise Refused("graph.outputs", f"there must be an output {OUTPUT}")


def _graphs(graph: GraphProto, depth: int = 0) -> Iterator[GraphProto]:
    if depth > _DEPTH:
        raise Refused("graph.size", "the graph has graphs within graphs")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.type in _GRAPHS else ():
                yield from _graphs(inner, depth + 1)


_GRAPHS: Final = (AttributeProto.GRAPH, AttributeProto.GRAPHS)


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for each in _graphs(graph):
        yield from each.node


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    for graph in _graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)
