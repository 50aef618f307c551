"""The platform's maintenance, begun and ended from outside the API."""

from datetime import timedelta

from rich.console import Console
from rich.text import Text

from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.identity import maintenance
from deployments.identity.contracts import Maintenance
from deployments.kit.principal import PLATFORM_TENANT, Principal
from serve_app.cli.work import on_database

_OPERATOR = Principal.system(PLATFORM_TENANT, "operator")


def begin(settings: DatabaseSettings, reason: str, minutes: int | None, console: Console) -> None:
    """Refuse writes. Raises NotPrepared."""
    until = None if minutes is None else utc_now() + timedelta(minutes=minutes)
    begun = on_database(settings, lambda database: maintenance.begin(database, _OPERATOR, reason, until))
    console.print(_sentence(begun))


def end(settings: DatabaseSettings, console: Console) -> None:
    """Take writes again. Raises NotPrepared."""
    ended = on_database(settings, lambda database: maintenance.end(database, _OPERATOR))
    console.print("There was no maintenance." if ended is None else "Writes are taken again, within a second.")


def show(settings: DatabaseSettings, console: Console) -> None:
    """Print what is going on."""
    found = on_database(settings, maintenance.current)
    console.print("No maintenance." if found is None else _sentence(found))


def _sentence(found: Maintenance) -> Text:
    until = f", until about {found.until:%Y-%m-%d %H:%M %Z}" if found.until is not None else ""
    reason = f" {found.reason}" if found.reason else ""
    return Text(f"In maintenance since {found.since:%Y-%m-%d %H:%M %Z}{until}: writes are refused.{reason}")
