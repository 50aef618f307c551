"""The settings: read from the environment once, handed to each room as its own part."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FORMSTREAM_{name.upper()}", raising=False)


def test_everything_local_is_below_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", "somewhere")
    settings = Settings()
    folder = tmp_path / "somewhere"
    assert settings.data_dir == folder
    assert settings.database().url == f"sqlite:///{folder}/formstream.db"
    assert settings.object_store() == f"file://{folder}/objects"
    assert settings.edge().object_store_url == f"file://{folder}/objects"


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings(data_dir=Path("~/forms")).data_dir == tmp_path / "forms"


def test_each_room_gets_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://formstream:pw@db.internal/formstream",
        "DATABASE_POOL_SIZE": "3",
        "NATS_URL": "nats://user:pw@nats.internal:4222",
        "NATS_REPLICAS": "3",
        "OBJECT_STORE_URL": "s3://bucket/prefix",
        "SECRET_KEY": SECRET,
        "SIGNUP_ENABLED": "false",
        "ACCESS_TOKEN_LIFE_S": "60",
        "PORT": "9000",
        "ACCESS_LOG": "true",
        "TRUSTED_PROXIES": "2",
        "EGRESS_ALLOW": " 127.0.0.1/32, 10.0.0.0/8 ,",
    }.items():
        monkeypatch.setenv(f"FORMSTREAM_{name}", value)
    settings = Settings()
    database = settings.database()
    assert (database.url, database.pool_size) == ("postgresql+asyncpg://formstream:pw@db.internal/formstream", 3)
    eventing = settings.eventing()
    assert (eventing.nats_url, eventing.replicas) == ("nats://user:pw@nats.internal:4222", 3)
    identity = settings.identity()
    assert (identity.signup_enabled, identity.access_token_life_s) == (False, 60)
    assert SECRET not in repr(identity)
    assert all(SECRET.encode() != key for key in identity.signing_key.all())
    edge = settings.edge()
    assert (edge.port, edge.access_log, edge.proxies, edge.object_store_url) == (9000, True, 2, "s3://bucket/prefix")
    assert settings.egress_networks() == ("127.0.0.1/32", "10.0.0.0/8")


def test_certificates_for_nats_are_handed_on_with_their_whole_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"URL": "tls://a:4222, tls://b", "TLS_CA": "ca.pem", "TLS_CERT": "c.pem", "TLS_KEY": ""}.items():
        monkeypatch.setenv(f"FORMSTREAM_NATS_{name}", value)
    with pytest.raises(ValidationError, match="need each other"):
        Settings()
    monkeypatch.setenv("FORMSTREAM_NATS_TLS_KEY", "k.pem")
    eventing = Settings().eventing()
    assert eventing.nats_tls_ca == tmp_path / "ca.pem"
    assert (eventing.nats_tls_cert, eventing.nats_tls_key) == (tmp_path / "c.pem", tmp_path / "k.pem")


def test_no_network_is_reachable_unless_named() -> None:
    assert Settings().egress_networks() == ()


@pytest.mark.parametrize("key", ["", "short", "x" * 31])
def test_a_weak_secret_key_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="FORMSTREAM_SECRET_KEY needs at least 32 characters"):
        Settings(data_dir=tmp_path, secret_key=key).secret_keys()  # type: ignore[arg-type]


def test_secrets_are_not_shown() -> None:
    shown = repr(
        Settings(
            secret_key=SECRET,  # type: ignore[arg-type]
            nats_url="nats://u:hunter2@n",  # type: ignore[arg-type]
            smtp_url="smtp://u:hunter2@m",  # type: ignore[arg-type]
            admin_password="hunter2",  # type: ignore[arg-type]
        )
    )
    assert SECRET not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "65536"), ("PORT", "http"), ("LOG_LEVEL", "LOUD"), ("NATS_REPLICAS", "0")]
)
def test_a_value_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FORMSTREAM_{name}", value)
    with pytest.raises(ValidationError):
        Settings()
