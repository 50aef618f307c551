"""What Ray's processes inherit: the settings as they are now, the secrets, and where the code is."""

import os
import secrets
from pathlib import Path

import serve_app
from serve_app.cli.private_file import read_or_create
from serve_app.ray_environment import ON_LOOPBACK
from serve_app.settings import Settings

_ROOT = Path(serve_app.__file__).parents[1]
_RAY_TOKEN = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def ray_token_file(settings: Settings) -> Path:
    """Where the token is kept that opens Ray and its dashboard."""
    return settings.data_dir / "ray.token"


def export(settings: Settings, port: int) -> None:
    """Put into the environment what the workers must agree on; call before Ray is imported."""
    ensure_secret_key(settings)
    os.environ.update(
        FORMSTREAM_DATA_DIR=str(settings.data_dir),
        FORMSTREAM_HOST=settings.host,
        FORMSTREAM_PORT=str(port),
        **ON_LOOPBACK,
    )
    if given := settings.secret_key.get_secret_value():
        os.environ["FORMSTREAM_SECRET_KEY"] = given
    if _ROOT.name != "site-packages":
        folders = [str(_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(folders))
    if not any(name in os.environ for name in _RAY_TOKEN):
        # Ray's own default keeps one token per user in the home folder, which a service may not have.
        token = ray_token_file(settings)
        read_or_create(token, lambda: secrets.token_hex(32))
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))


def ensure_secret_key(settings: Settings) -> None:
    """See to it that there is a secret key: given, or kept in its file, made when that is missing."""
    if not settings.secret_key.get_secret_value():
        read_or_create(settings.keys_file(), new_secret_key)


def new_secret_key() -> str:
    """A fresh secret key."""
    return secrets.token_urlsafe(48)
