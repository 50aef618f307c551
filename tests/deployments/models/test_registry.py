"""The registry: what is in it is what was registered, or is refused."""

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Barrier, Thread

import pytest

from deployments.models.deployment import Models
from deployments.models.errors import ModelDamaged
from deployments.models.registry import Manifest, Provenance, Registry
from deployments.models.settings import ModelsSettings
from serve_app.models_host import warm_up

PROVENANCE = Provenance(source="a test", license="Apache-2.0")


def _register(folder: Path, content: bytes = b"weights") -> Manifest:
    return Registry(folder).register(
        "tiny",
        "1",
        task="embedding",
        provenance=PROVENANCE,
        make=lambda made: (made / "a.onnx").write_bytes(content) and None,
    )


def test_what_was_registered_is_found_again(tmp_path: Path) -> None:
    manifest = _register(tmp_path)
    assert Registry(tmp_path).verified("tiny") == (manifest, tmp_path / "tiny" / "1")
    assert _register(tmp_path, b"other") == manifest, "a version never changes"


def test_one_flipped_bit_is_refused_with_the_name_of_the_file(models_folder: Path, tmp_path: Path) -> None:
    """A1: a damaged model is not served, and keeps its host from becoming ready."""
    for path in models_folder.rglob("*"):
        copy = tmp_path / path.relative_to(models_folder)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            os.link(path, copy)
    (damaged,) = tmp_path.rglob("model.int8.onnx")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.unlink()
    damaged.write_bytes(content)
    with pytest.raises(ModelDamaged, match=r"model\.int8\.onnx: the checksum"):
        asyncio.run(warm_up(Models(ModelsSettings(folder=tmp_path))))


def test_a_file_that_is_gone_and_a_manifest_that_is_torn_are_refused(tmp_path: Path) -> None:
    _register(tmp_path)
    (tmp_path / "tiny" / "1" / "a.onnx").unlink()
    with pytest.raises(ModelDamaged, match=r"a\.onnx: the file is missing"):
        Registry(tmp_path).verified("tiny")
    (tmp_path / "tiny" / "1" / "manifest.json").write_text('{"name":')
    with pytest.raises(ModelDamaged, match="manifest cannot be read"):
        Registry(tmp_path).newest("tiny")


def _make_and_wait(folder: Path, begun: Event) -> None:
    def make(made: Path) -> None:
        (made / "a.onnx").write_bytes(b"half")
        begun.set()
        signal.pause()

    Registry(folder).register("tiny", "1", task="embedding", provenance=PROVENANCE, make=make)


def test_who_is_killed_while_registering_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """A1: kill -9 in the middle; the next one registers as if nothing had been."""
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=_make_and_wait, args=(tmp_path, begun))
    process.start()
    assert begun.wait(20)
    process.kill()
    process.join()
    assert list(Registry(tmp_path)) == []
    _register(tmp_path)
    assert (tmp_path / "tiny" / "1" / "a.onnx").read_bytes() == b"weights"


def test_a_version_that_lacks_what_is_needed_is_made_anew(tmp_path: Path) -> None:
    first = _register(tmp_path)

    def make(folder: Path) -> None:
        (folder / "a.onnx").write_bytes(b"weights")
        (folder / "b.onnx").write_bytes(b"more")

    registry = Registry(tmp_path)
    again = registry.register("tiny", "1", task="embedding", provenance=PROVENANCE, make=make, needed=["a.onnx"])
    assert again == first
    more = registry.register("tiny", "1", task="embedding", provenance=PROVENANCE, make=make, needed=["b.onnx"])
    assert registry.verified("tiny") == (more, tmp_path / "tiny" / "1")
    assert set(more.files) == {"a.onnx", "b.onnx"}


def test_two_at_once_register_one_version(tmp_path: Path) -> None:
    """A1: two nodes that share a folder start together."""
    together = Barrier(2)
    made: list[Manifest] = []

    def register() -> None:
        def make(folder: Path) -> None:
            (folder / "a.onnx").write_bytes(b"weights")
            together.wait(20)

        made.append(Registry(tmp_path).register("tiny", "1", task="embedding", provenance=PROVENANCE, make=make))

    threads = [Thread(target=register) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    manifest, folder = Registry(tmp_path).verified("tiny")
    assert [each.files for each in made] == [manifest.files] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["a.onnx", "manifest.json"]
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["1"]
