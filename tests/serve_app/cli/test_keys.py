"""U2: keys are listed, rotated and revoked by command."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from deployments.identity.signing_keys import SigningKeyNotFound
from serve_app.cli.database import prepare
from serve_app.cli.keys import revoke, rotate, show
from serve_app.settings import Settings


def printed(settings: Settings) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=200)
    show(settings, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_keys_come_and_go(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    prepare(settings)
    console = Console(file=io.StringIO())
    ((first, algorithm, _, state),) = printed(settings)
    assert (algorithm, state) == ("HS256", "current")
    rotate(settings, "EdDSA", console)
    old, new = printed(settings)
    assert (old[0], old[3]) == (first, "retired, its tokens are accepted")
    assert (new[1], new[3]) == ("EdDSA", "current")
    revoke(settings, first, console)
    assert printed(settings)[0][3] == "revoked"
    with pytest.raises(SigningKeyNotFound):
        revoke(settings, "unknown", console)


def test_the_algorithm_of_the_settings_is_there_from_the_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, signing_algorithm="ES256")
    for _ in range(2):
        prepare(settings)
        assert [row[1] for row in printed(settings)] == ["HS256", "ES256"]
