"""Rotating the secret key while the platform serves: a new one, everything encrypted anew with it, and the old one
gone when nothing needs it any more."""

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.table import Table

from db.session import Database
from db.types import utc_now
from deployments.identity.signing_keys import LONGEST_LIFE
from deployments.kit.kept_keys import KeptKeys
from deployments.kit.resealing import LOST, Resealing
from deployments.kit.secret_keys import KeyLine, SecretKeys, key_id, parse_keys, written_keys
from deployments.kit.vault import Vault
from serve_app.cli.environment import ensure_secret_key, new_secret_key
from serve_app.cli.failure import CommandFailed
from serve_app.cli.private_file import write_private
from serve_app.cli.work import on_database
from serve_app.settings import Settings

Result = TypeVar("Result")

HEAD_START: Final = timedelta(seconds=5)
"""After this every process has read a key that came into the file, so none makes what another does not accept."""
ROLLOUT: Final = timedelta(days=1)
"""As long as processes that were given their keys at their start may go on making with the old one."""

_PASSES: Final = 5


@dataclass(frozen=True, slots=True)
class KeyState:
    """A secret key that is accepted: how many encrypted texts need it, and until when what it signed lives; None for
    one that never signed, or signs now."""

    id: str
    is_current: bool
    texts: int
    since: datetime | None
    needed_until: datetime | None

    def is_needed(self, now: datetime) -> bool:
        """Whether something would be lost, or refused, without it."""
        return self.is_current or self.texts > 0 or (self.needed_until is not None and self.needed_until > now)

    @property
    def is_next(self) -> bool:
        """Whether it is accepted and has never made anything."""
        return not self.is_current and self.since is None and self.texts == 0


@dataclass(frozen=True, slots=True)
class Survey:
    """Every key that is accepted, the current one first, and how many encrypted texts none of them opens."""

    keys: tuple[KeyState, ...]
    lost: int


async def survey(settings: Settings, database: Database) -> Survey:
    """What needs which key; it looks at everything that is encrypted."""
    keys = settings.secret_keys()
    vault = Vault(keys)
    counted = await Resealing(database, vault).count()
    noted = {kept.id: kept for kept in await KeptKeys(database, vault).all()}
    states = []
    for key in keys.all():
        name = key_id(key)
        kept = noted.get(name)
        ended = kept.retired_at if kept is not None else None
        states.append(
            KeyState(
                name,
                key == keys.current,
                counted.get(name, 0),
                kept.noted_at if kept is not None else None,
                ended + longest_life(settings) + ROLLOUT if ended is not None else None,
            )
        )
    return Survey(tuple(states), counted.get(LOST, 0))


def longest_life(settings: Settings) -> timedelta:
    """How long anything lives that is signed and not kept: tokens of access, and links to exports and reports."""
    return max(LONGEST_LIFE, settings.exports().life, settings.reports().life)


def rotate(settings: Settings, console: Console) -> None:
    """Put a new key into the file of keys, which makes what is made in a few seconds; where the key is given, note that
    it is another one than before. Raises CommandFailed."""
    ensure_secret_key(settings)
    if settings.secret_key.get_secret_value():
        name = _with(settings, _note_given)
        console.print(f"The secret key {name} of FORMSTREAM_SECRET_KEY is noted.")
    else:
        fresh, since = new_secret_key(), (utc_now() + HEAD_START).replace(microsecond=0)
        with _changing(settings.keys_file()) as lines:
            if not lines[0].has_begun(utc_now()):
                raise CommandFailed("A key was added a moment ago and is not in force yet.")
            lines.insert(0, KeyLine(fresh, since))
        _with(settings, lambda database, vault: KeptKeys(database, vault).note(since))
        console.print(f"The secret key {key_id(fresh)} is in force from {since:%H:%M:%S} UTC; older ones are accepted.")
    console.print("Now `formstream secrets reseal` encrypts with it what is stored.")


async def _note_given(database: Database, vault: Vault) -> str:
    kept = KeptKeys(database, vault)
    name = key_id(vault.keys.current)
    if [each.id for each in await kept.all() if each.retired_at is None] == [name]:
        raise CommandFailed(
            f"FORMSTREAM_SECRET_KEY is the key {name}, as before, and cannot be changed from here.",
            "Where it is set, first add a new one to FORMSTREAM_OLD_SECRET_KEYS in every process, then let the two "
            "change places: docs/runbooks/key-rotation.md.",
        )
    await kept.note()
    return name


def reseal(settings: Settings, console: Console) -> None:
    """Encrypt with the current key what others encrypted, and tell what is left. Raises CommandFailed."""
    left = _with(settings, lambda database, vault: _reseal(settings, database, vault, console))
    old = sum(key.texts for key in left.keys if not key.is_current)
    console.print(f"{old} encrypted texts need an old key.")
    if left.lost:
        console.print(f"{left.lost} are opened by none of the keys: the one that encrypted them is not listed here.")
    for key in left.keys:
        if not key.is_current:
            console.print(f"{key.id}: {_told(key, utc_now())}.")


async def _reseal(settings: Settings, database: Database, vault: Vault, console: Console) -> Survey:
    await _until_in_force(vault.keys)
    await KeptKeys(database, vault).note()
    resealing = Resealing(database, vault)
    # Whoever was about to write something with the old key has done so by the second time.
    for _ in range(_PASSES):
        if not await resealing.run(lambda table, rows: console.print(f"{table}: {rows} rows")):
            break
    return await survey(settings, database)


async def _until_in_force(keys: SecretKeys) -> None:
    newest = keys.lines()[0]
    if newest.since is None or newest.has_begun(now := utc_now()):
        return
    if newest.since - now > 2 * HEAD_START:
        raise CommandFailed(f"The newest key is in force from {newest.since.isoformat()}; run this again then.")
    await asyncio.sleep((newest.since - now).total_seconds())


def status(settings: Settings, console: Console, *, as_json: bool) -> None:
    """Print every key that is accepted, and what needs it."""
    ensure_secret_key(settings)
    found = on_database(settings.database(), lambda database: survey(settings, database))
    now = utc_now()
    if as_json:
        sys.stdout.write(json.dumps(_document(found, now)) + "\n")
        return
    table = Table("key", "in force since", "encrypted texts", "state")
    for key in found.keys:
        table.add_row(key.id, f"{key.since:%Y-%m-%d %H:%M} UTC" if key.since else "", str(key.texts), _told(key, now))
    console.print(table)
    if found.lost:
        console.print(f"{found.lost} encrypted texts are opened by none of the keys.")


def remove(settings: Settings, name: str, console: Console, *, at_once: bool) -> None:
    """Accept a key no more. Raises CommandFailed for the current one, and, unless `at_once`, for one that is needed."""
    found = on_database(settings.database(), lambda database: survey(settings, database))
    key = next((each for each in found.keys if each.id == name), None)
    if key is None:
        raise CommandFailed(f"There is no secret key {name} here.")
    if key.is_current:
        raise CommandFailed(f"{name} is the current key: add another with `formstream secrets rotate`.")
    if key.texts:
        raise CommandFailed(f"{key.texts} encrypted texts need {name}: run `formstream secrets reseal`.")
    if key.is_needed(utc_now()) and not at_once:
        raise CommandFailed(f"{name} is needed: {_told(key, utc_now())}.", "--now removes it all the same.")
    given = (settings.secret_key.get_secret_value(), *settings.old_keys())
    if any(each and key_id(each) == name for each in given):
        raise CommandFailed(f"Nothing needs {name}: remove it from FORMSTREAM_OLD_SECRET_KEYS.")
    with _changing(settings.keys_file()) as lines:
        lines[:] = [line for line in lines if key_id(line.key) != name]
    console.print(f"The secret key {name} is not accepted any more, within a second.")


def _told(key: KeyState, now: datetime) -> str:
    if key.is_current:
        return "current"
    if key.is_next:
        return "accepted, has never been in force"
    if key.texts:
        return "old, needed: reseal"
    if key.is_needed(now):
        return f"old, may be removed from {key.needed_until:%Y-%m-%d %H:%M} UTC on, when the last link by it ends"
    return "old, may be removed"


def _document(found: Survey, now: datetime) -> dict[str, Any]:
    return {
        "keys": [
            {
                "id": key.id,
                "current": key.is_current,
                "next": key.is_next,
                "texts": key.texts,
                "since": key.since.isoformat() if key.since else None,
                "needed_until": key.needed_until.isoformat() if key.needed_until else None,
                "needed": key.is_needed(now),
            }
            for key in found.keys
        ],
        "lost": found.lost,
    }


@contextmanager
def _changing(file: Path) -> Iterator[list[KeyLine]]:
    """The keys of the file, written back whole at the end; one change at a time."""
    lock = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = list(parse_keys(file.read_text(encoding="utf-8")))
        yield lines
        write_private(file, written_keys(lines))
    except OSError as error:
        raise CommandFailed(f"{file} cannot be changed: {error.strerror}.") from None
    finally:
        os.close(lock)


def _with(settings: Settings, use: Callable[[Database, Vault], Awaitable[Result]]) -> Result:
    return on_database(settings.database(), lambda database: use(database, Vault(settings.secret_keys())))
