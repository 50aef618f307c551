"""What the workers inherit."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from serve_app.cli.environment import export, ray_token_file
from serve_app.settings import Settings


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of its own, restored afterwards."""
    fresh = {"PATH": os.environ["PATH"], "FORMSTREAM_DATA_DIR": str(tmp_path)}
    monkeypatch.setattr(os, "environ", fresh)
    return fresh


def test_the_secret_key_is_made_once_and_private(tmp_path: Path, environment: dict[str, str]) -> None:
    settings = Settings(data_dir=tmp_path)
    export(settings, 8000)
    first = settings.secret_keys().all()
    assert "FORMSTREAM_SECRET_KEY" not in environment, "it could not be rotated while the workers run"
    assert len(first[0]) >= 32
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    export(settings, 8000)
    assert settings.secret_keys().all() == first


def test_a_given_secret_key_is_not_written(tmp_path: Path, environment: dict[str, str]) -> None:
    export(Settings(data_dir=tmp_path, secret_key=SecretStr("x" * 32)), 8000)
    assert environment["FORMSTREAM_SECRET_KEY"] == "x" * 32
    assert not (tmp_path / "secret.key").exists()


def test_workers_find_the_address_the_folder_and_the_code(tmp_path: Path, environment: dict[str, str]) -> None:
    environment["PYTHONPATH"] = "elsewhere"
    export(Settings(data_dir=tmp_path, port=0), 4711)
    export(Settings(data_dir=tmp_path, port=0), 4711)
    assert environment["FORMSTREAM_PORT"] == "4711"
    assert environment["FORMSTREAM_DATA_DIR"] == str(tmp_path)
    root, *others = environment["PYTHONPATH"].split(os.pathsep)
    assert (Path(root) / "serve_app" / "__main__.py").is_file()
    assert others == ["elsewhere"]


def test_ray_stays_on_loopback(tmp_path: Path, environment: dict[str, str]) -> None:
    """Otherwise it takes the machine's address for 127.0.0.1, and listens at every one."""
    export(Settings(data_dir=tmp_path), 8000)
    assert environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"


def test_ray_gets_a_token_of_this_platform(tmp_path: Path, environment: dict[str, str]) -> None:
    settings = Settings(data_dir=tmp_path)
    export(settings, 8000)
    token = ray_token_file(settings)
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert len(token.read_text().strip()) == 64
    assert token.stat().st_mode & 0o777 == 0o600


def test_a_token_of_the_operator_is_kept(tmp_path: Path, environment: dict[str, str]) -> None:
    environment["RAY_AUTH_TOKEN"] = "theirs"
    settings = Settings(data_dir=tmp_path)
    export(settings, 8000)
    assert "RAY_AUTH_TOKEN_PATH" not in environment
    assert not ray_token_file(settings).exists()
