"""What is refused before anything starts, in which words."""

import socket
from pathlib import Path

import pytest

from serve_app.cli.failure import CommandFailed
from serve_app.cli.preflight import check_address, check_data_dir, load_settings


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PORT", "many", "valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("DATABASE_URL", "nonsense", "is not a database URL"),
        ("DATABASE_URL", "mysql://user@host/database", "is not a database URL"),
        ("DATABASE_URL", "postgresql://host:port/database", "is not a database URL"),
        ("DATABASE_URL", "postgresql://user@host/database?sslmode=verify", "is one of disable, allow, prefer"),
        ("NATS_URL", "tls://a:4222,nats://b:4222", "names servers with tls:// and without"),
        ("NATS_TLS_CA", "/nowhere/ca.pem", "need a FORMSTREAM_NATS_URL with tls://"),
        ("SECRET_KEY", "short", "at least 32 characters"),
        ("ADMIN_PASSWORD", "short", "at least 10 characters"),
        ("EGRESS_ALLOW", "10.0.0.0/8,1.2.3.4/99", "1.2.3.4/99"),
        ("REPORT_FONTS", "/nowhere/fonts", "there is no folder /nowhere/fonts"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str) -> None:
    monkeypatch.setenv(f"FORMSTREAM_{variable}", value)
    with pytest.raises(CommandFailed) as refused:
        load_settings()
    (sentence,) = refused.value.sentences
    assert sentence.startswith(f"FORMSTREAM_{variable}")
    assert words in sentence


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"NATS_TLS_CERT": "/cert.pem"}, "FORMSTREAM_NATS_TLS_CERT and FORMSTREAM_NATS_TLS_KEY need each other."),
        ({"NATS_TLS_KEY": "/key.pem"}, "FORMSTREAM_NATS_TLS_CERT and FORMSTREAM_NATS_TLS_KEY need each other."),
        ({"NATS_TLS_CA": "/nowhere/ca.pem"}, "the CA for NATS, /nowhere/ca.pem, cannot be used: No such file"),
        ({"NATS_TLS_CERT": "/cert.pem", "NATS_TLS_KEY": "/key.pem"}, "/cert.pem with the key /key.pem, cannot be used"),
    ],
)
def test_certificates_for_nats_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("FORMSTREAM_NATS_URL", "tls://user:hunter2@nats.internal:4222")
    for name, value in variables.items():
        monkeypatch.setenv(f"FORMSTREAM_{name}", value)
    with pytest.raises(CommandFailed) as refused:
        load_settings()
    (sentence,) = refused.value.sentences
    assert sentence.startswith("FORMSTREAM_NATS_TLS")
    assert words in sentence
    assert "hunter2" not in sentence


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMSTREAM_PORT", "many")
    monkeypatch.setenv("FORMSTREAM_LOG_LEVEL", "LOUD")
    with pytest.raises(CommandFailed) as refused:
        load_settings()
    assert {sentence.partition(":")[0] for sentence in refused.value.sentences} == {
        "FORMSTREAM_PORT",
        "FORMSTREAM_LOG_LEVEL",
    }


def test_a_password_in_a_broken_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMSTREAM_DATABASE_URL", "oracle://user:hunter2@host/database")
    with pytest.raises(CommandFailed) as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


def test_the_data_folder_is_made_for_its_owner(tmp_path: Path) -> None:
    check_data_dir(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CommandFailed, match="cannot be written") as refused:
            check_data_dir(path)
        assert str(path) in str(refused.value)


def test_a_taken_port_is_refused_although_it_is_shared() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandFailed, match=f"Port {port} on 127.0.0.1 is taken"):
            check_address("127.0.0.1", port)
    assert check_address("127.0.0.1", port) == port


def test_port_zero_is_a_free_one() -> None:
    assert check_address("127.0.0.1", 0) > 0


@pytest.mark.parametrize("host", ["192.0.2.77", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(CommandFailed, match="is not an address of this machine"):
        check_address(host, 0)
