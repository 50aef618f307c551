"""The wheel holds the four rooms with everything they read from beside their code, and nothing else."""

import importlib
import subprocess
from pathlib import PurePath

import pytest

from tests.architecture.rooms import ROOMS, ROOT, project

WHEEL = project()["tool"]["hatch"]["build"]["targets"]["wheel"]

# Files that code opens by its own location; a wheel without one fails only when it is used.
READ_AT_RUN_TIME = {
    "db/migrations/script.py.mako",
    "deployments/forms/templates/contact.json",
    "deployments/models/extraction/gazetteer.txt.xz",
    "deployments/models/extraction/tagger.md",
    "deployments/models/extraction/tagger.onnx",
    "deployments/models/heads/builtin/language/card.md",
    "deployments/models/heads/builtin/spam/record.json",
    "deployments/models/heads/builtin/spam/spam.onnx",
    "deployments/models/heads/builtin/toxicity/toxicity.onnx",
    "deployments/notifications/templates/response_notification.txt.j2",
    "deployments/notifications/templates/de/invitation.txt.j2",
    "serve_app/embedded.yaml",
    "serve_app/web/account/account.js",
    "serve_app/web/account/verify.html",
    "serve_app/web/docs.html",
    "serve_app/web/form/form.js",
    "serve_app/web/form/templates/page.html.j2",
    "serve_app/web/form/texts/ar.json",
}


def _data_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }


def test_the_wheel_is_built_by_hatchling() -> None:
    assert project()["build-system"] == {"requires": ["hatchling"], "build-backend": "hatchling.build"}


def test_the_wheel_names_exactly_the_four_rooms() -> None:
    """Listed and never discovered: `tests` and `loadtests` would be found too."""
    assert tuple(WHEEL["packages"]) == ROOMS
    assert WHEEL.keys() == {"packages"}, "an include, exclude or path rewrite needs a look at this test"


def test_data_files_are_where_the_code_looks() -> None:
    assert _data_files() >= READ_AT_RUN_TIME


def test_no_data_file_is_ignored_by_git() -> None:
    """Hatchling leaves out what git ignores."""
    found = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input="\n".join(sorted(_data_files())),
        capture_output=True,
        text=True,
    )

    assert found.returncode in (0, 1), found.stderr
    assert found.stdout.split() == []


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_imported_from_here(room: str) -> None:
    """`db` is also the name of a published distribution: ours must be the one that is found."""
    origin = importlib.import_module(room).__file__

    assert origin is not None
    assert PurePath(origin).parent == ROOT / room


def test_the_command_exists() -> None:
    module, _, function = project()["project"]["scripts"]["formstream"].partition(":")

    assert callable(getattr(importlib.import_module(module), function))


def test_the_distribution_needs_python_3_11_and_is_licensed() -> None:
    assert project()["project"]["requires-python"] == ">=3.11"
    assert project()["project"]["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
