"""The commands as they are typed: one sentence on stderr, a non-zero exit, never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.cli.instance import InstanceLock

COMMANDS = ("up", "demo", "migrate", "settings", "doctor", "check-config", "version")


def formstream(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORMSTREAM_")}
    return subprocess.run(
        [sys.executable, "-m", "serve_app", *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], words: str, code: int = 1) -> None:
    assert done.returncode == code, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("formstream: ")
    assert words in line


def test_every_command_explains_itself() -> None:
    overview = formstream("--help").stdout
    for command in COMMANDS:
        assert command in overview
    done = formstream("up", "--help")
    assert done.returncode == 0
    for option in ("--no-dashboard", "--data-dir", "--host", "--port", "--config"):
        assert option in done.stdout


@pytest.mark.parametrize("arguments", [("up", "--no-such"), ("up", "--port", "many"), ("no-such",), ("check-config",)])
def test_wrong_usage_is_a_sentence(arguments: tuple[str, ...]) -> None:
    assert_refused(formstream(*arguments), "", code=2)


def test_up_refuses_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = formstream("up", "--data-dir", str(tmp_path), "--port", str(port))
    assert_refused(done, f"Port {port} on 127.0.0.1 is taken")
    assert not (tmp_path / "formstream.db").exists()


def test_up_refuses_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(formstream("up", "--data-dir", str(tmp_path / "file" / "data")), "cannot be written")


def test_up_refuses_a_broken_database_url(tmp_path: Path) -> None:
    done = formstream("up", "--data-dir", str(tmp_path), FORMSTREAM_DATABASE_URL="nonsense")
    assert_refused(done, "FORMSTREAM_DATABASE_URL is not a database URL")


def test_up_refuses_a_folder_in_use(tmp_path: Path) -> None:
    with InstanceLock(tmp_path):
        done = formstream("up", "--data-dir", str(tmp_path), "--port", "0")
    assert_refused(done, f"process {os.getpid()}")


def test_migrate_says_where_the_database_is_now(tmp_path: Path) -> None:
    done = formstream("migrate", "--data-dir", str(tmp_path / "new"))
    assert done.returncode == 0, done
    assert "The database is at revision" in done.stdout
    assert (tmp_path / "new" / "formstream.db").is_file()


def test_check_config_names_every_unknown_key(tmp_path: Path) -> None:
    file = tmp_path / "serve_config.yaml"
    file.write_text("applications: []\nproxy_locaton: Disabled\nhttp_options: {prt: 1}\n")
    done = formstream("check-config", str(file))
    assert_refused(done, "proxy_locaton")
    assert "http_options.prt" in done.stderr


def test_demo_without_a_platform_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        assert_refused(formstream("demo", "--url", url, "--data-dir", str(tmp_path)), f"No platform answers at {url}")
        # Without an address it is where `formstream up` with the same settings would be.
        assert_refused(formstream("demo", FORMSTREAM_PORT=str(port)), f"No platform answers at {url}")


def test_settings_and_version_print_to_stdout() -> None:
    assert formstream("settings").stdout.startswith("# Settings")
    assert formstream("version").stdout.startswith("formstream ")
