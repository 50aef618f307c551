"""The keys that sign access tokens, from outside the API."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from db.session import Database
from db.types import utc_now
from deployments.identity.signing_keys import Algorithm, SigningKey, SigningKeys
from deployments.kit.vault import Vault
from serve_app.cli.environment import ensure_secret_key
from serve_app.cli.work import on_database
from serve_app.settings import Settings

Result = TypeVar("Result")


def signing_keys(settings: Settings, database: Database) -> SigningKeys:
    """The platform's keys."""
    ensure_secret_key(settings)
    return SigningKeys(database, settings.identity(), Vault(settings.secret_keys()))


def rotate(settings: Settings, algorithm: Algorithm | None, console: Console) -> None:
    """Add a key and print its id."""
    chosen = algorithm or settings.signing_algorithm
    key_id = _with_keys(settings, lambda keys: keys.rotate(chosen))
    console.print(f"Key {key_id} ({chosen}) signs new tokens in a few seconds; older tokens stay valid.")


def revoke(settings: Settings, key_id: str, console: Console) -> None:
    """Refuse everything that the key signed. Raises SigningKeyNotFound."""
    _with_keys(settings, lambda keys: keys.revoke(key_id))
    console.print(f"Nothing is accepted any more that the key {key_id} signed.")


def show(settings: Settings, console: Console) -> None:
    """Print every key."""
    table = Table("key", "algorithm", "signs since", "state")
    now = utc_now()
    for key in _with_keys(settings, lambda keys: keys.all()):
        since = key.active_at.strftime("%Y-%m-%d %H:%M:%S %Z") if key.active_at else "the first start"
        table.add_row(key.id, key.algorithm, since, _state(key, now))
    console.print(table)


def _state(key: SigningKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.retired_at is None:
        return "current"
    return "retired, its tokens are accepted" if key.verifies(now) else "retired"


def _with_keys(settings: Settings, use: Callable[[SigningKeys], Awaitable[Result]]) -> Result:
    return on_database(settings.database(), lambda database: use(signing_keys(settings, database)))
