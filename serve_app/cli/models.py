"""The AI models of this installation: built, shown, compared with their checksums."""

import os
import subprocess
import sys
from typing import Final

from rich.console import Console
from rich.table import Table

from deployments.models import minilm
from deployments.models.errors import ModelDamaged, ModelUnusable, SourceMissing
from deployments.models.registry import Registry
from deployments.models.settings import ModelsSettings
from serve_app.cli.failure import SPEAKER, CommandFailed
from serve_app.cli.steps import Steps
from serve_app.settings import Settings

_OFF: Final = "embedding, classification, search by meaning"


def prepare(settings: Settings, steps: Steps) -> str | None:
    """Build what is missing and can be built, and compare everything with its checksums; what is switched off, and
    why, as a sentence. Raises CommandFailed with the name of a file that is damaged, and for weights that are set and
    cannot be had."""
    wanted = settings.models()
    registry = Registry(wanted.folder)
    missing = None
    if minilm.is_available():
        if not minilm.is_built(registry, wanted.precision):
            with steps.step("Build the AI models"):
                _build_apart(wanted)
    elif not registry.has(minilm.NAME):
        missing = f"Without the AI models ({minilm.DISTRIBUTION} is not installed): {_OFF} are off."
    else:
        _require(registry, wanted.precision)
    with steps.step("Check the AI models"):
        _verify(registry)
    return missing


def build(settings: Settings, console: Console) -> None:
    """Build the models whose weights are installed, in the precision that is set. Raises CommandFailed when none
    are."""
    wanted = settings.models()
    with Steps(console).step(f"Build {minilm.NAME}"):
        _build(Registry(wanted.folder), wanted.precision)
    show(settings, console)


def show(settings: Settings, console: Console) -> None:
    """A table of every version that is installed."""
    registry = Registry(settings.models().folder)
    table = Table("Model", "Version", "Task", "Licence", "Built", "MiB", box=None)
    try:
        for each in registry:
            size = sum(file.size for file in each.files.values()) / 2**20
            table.add_row(
                each.name, each.version, each.task, each.license, f"{each.built_at:%Y-%m-%d %H:%M}", f"{size:.1f}"
            )
    except ModelDamaged as error:
        raise CommandFailed(f"{error}.") from None
    if table.row_count:
        console.print(table)
    else:
        console.print(f"No model is installed; {_OFF} are off. `formstream models build` makes what can be made.")


def verify(settings: Settings, console: Console) -> None:
    """Compare every file with its checksum. Raises CommandFailed with the first one that is damaged."""
    count = _verify(Registry(settings.models().folder))
    console.print(f"{count} {'version' if count == 1 else 'versions'}: every file is what was registered.")


def _require(registry: Registry, precision: minilm.Precision) -> None:
    try:
        minilm.require(registry, precision)
    except ModelUnusable as error:
        raise CommandFailed(f"{error.detail}.", f"FORMSTREAM_MODEL_PRECISION is {precision}.") from None
    except ModelDamaged as error:
        raise CommandFailed(f"Refused: {error}.", "Remove its folder; it is built anew.") from None


def _build(registry: Registry, precision: minilm.Precision) -> None:
    try:
        minilm.build(registry, [precision])
    except SourceMissing as error:
        raise CommandFailed(
            f"{str(error)[:1].upper()}{str(error)[1:]}.", f"{_OFF[:1].upper()}{_OFF[1:]} are off without it."
        ) from None
    except OSError as error:
        raise CommandFailed(f"The models cannot be written: {error}.") from None


def _build_apart(wanted: ModelsSettings) -> None:
    """`formstream models build` in a process of its own: the 270 MiB that building takes would stay with one
    that goes on."""
    command = [sys.executable, "-m", "serve_app", "models", "build"]
    environment = {
        **os.environ,
        "FORMSTREAM_MODELS_DIR": str(wanted.folder),
        "FORMSTREAM_MODEL_PRECISION": wanted.precision,
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise CommandFailed(*(line.removeprefix(SPEAKER) for line in done.stderr.splitlines()))


def _verify(registry: Registry) -> int:
    count = 0
    try:
        for manifest in registry:
            registry.verify(manifest)
            count += 1
    except ModelDamaged as error:
        raise CommandFailed(f"Refused: {error}.", "Remove its folder; it is built anew.") from None
    return count
