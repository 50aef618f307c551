"""The settings of a platform in its backup: what differs from the defaults, with secrets only when it is encrypted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from pydantic_core import to_jsonable_python
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from deployments.kit.contract import Contract
from serve_app.settings import Settings

SETTINGS: Final = "settings.env"
SECRETS: Final = "secrets.json"
ADMIN_FILE: Final = "admin.json"

_URLS: Final = ("database_url", "database_replica_urls")
_KEPT_APART: Final = ("secret_key", "old_secret_keys", "backup_passphrase")
"""The keys are a part of their own, the passphrase would lock itself in."""


class Secrets(Contract):
    """What opens the platform: the secret key with those that are accepted beside it, and the administrator who was
    made up at its first start."""

    secret_key: str
    old_secret_keys: tuple[str, ...] = ()
    administrator: str | None = None

    def every_key(self) -> tuple[str, ...]:
        """Every key, first the one that made what was made; none when the backup has none."""
        return tuple(filter(None, (self.secret_key, *self.old_secret_keys)))


def keys_in(settings: Settings) -> tuple[str, ...]:
    """Every secret key that is accepted here, first the one that makes what is made; none when there is none yet."""
    return settings.secret_keys().all() if settings.has_secret_key() else ()


def secrets_of(settings: Settings) -> Secrets:
    """The secrets, as they are."""
    current, *old = keys_in(settings) or ("",)
    return Secrets(secret_key=current, old_secret_keys=tuple(old), administrator=_text(settings.data_dir / ADMIN_FILE))


def environment(settings: Settings, *, secret: bool) -> bytes:
    """The settings that differ from their defaults, as lines `FORMSTREAM_NAME=value`; passwords only with `secret`."""
    lines = [f"FORMSTREAM_{name.upper()}={value}" for name, value in _values(settings, secret=secret)]
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def _values(settings: Settings, *, secret: bool) -> Iterator[tuple[str, str]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value == field.get_default(call_default_factory=True) or name in _KEPT_APART:
            continue
        if isinstance(value, SecretStr):
            if secret:
                yield name, value.get_secret_value()
        elif name in _URLS and not secret:
            yield name, ",".join(_without_password(url) for url in value.split(","))
        else:
            yield name, _written(value)


def _written(value: Any) -> str:
    plain = to_jsonable_python(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _without_password(url: str) -> str:
    try:
        return make_url(url.strip()).render_as_string(hide_password=True)
    except ArgumentError:
        return ""


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
