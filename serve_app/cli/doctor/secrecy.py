"""Secrets: how strong the key is, who may read what is kept in the data folder, passwords that were made up."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zxcvbn

from db.session import Database
from db.types import utc_now
from deployments.kit.secret_keys import parse_keys
from serve_app.cli.database import administrator_file
from serve_app.cli.doctor.database import UNREACHABLE
from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation
from serve_app.cli.secret_keys import survey

_CHARACTERS: Final = 10
"""Different ones that 32 random hexadecimal digits have at least, but for one in a hundred thousand."""
_GOOD_SCORE: Final = 3
_PRIVATE: Final = ("secret.key", "admin.json", "ray.token")


async def examine(installation: Installation) -> list[Finding]:
    """Look at the secrets that the platform is given or keeps."""
    settings = installation.settings
    return [
        *secret_key(installation),
        *await old_secret_keys(installation),
        permissions(settings.data_dir),
        administrator(installation),
        administrator_password(installation),
    ]


def secret_key(installation: Installation) -> Iterator[Finding]:
    """It signs tokens and encrypts what is stored."""
    name = "secret.key"
    settings = installation.settings
    given = settings.secret_key.get_secret_value()
    cure = "Make one with `openssl rand -hex 32`; every process needs the same."
    file = settings.keys_file()
    kept = _kept(file)
    if not given and not installation.embedded and settings.secret_key_file is None:
        yield wrong(name, "FORMSTREAM_SECRET_KEY is not set, and every replica needs it.", cure)
    elif not given:
        yield fine(name, f"It is {'' if kept else 'going to be '}kept in {file}.")
    elif len(set(given)) < _CHARACTERS or "change" in given.lower():
        yield wrong(name, "FORMSTREAM_SECRET_KEY can be guessed.", cure)
    else:
        yield fine(name, "It is long, and looks random.")
    if given and not set(kept) <= {given, *settings.old_keys()}:
        yield doubtful(
            "secret.key-changed",
            f"FORMSTREAM_SECRET_KEY is another key than the one in {file}; what was encrypted with that is lost.",
            f"Set FORMSTREAM_SECRET_KEY to the content of {file}, or remove the file when nothing is left of it.",
        )


async def old_secret_keys(installation: Installation) -> list[Finding]:
    """Keys before the current one are accepted for as long as something needs them, and no longer."""
    name = "secret.old-keys"
    settings = installation.settings
    try:
        keys = settings.secret_keys().all() if settings.has_secret_key() else ()
    except ValueError as error:
        return [wrong(name, f"{error}.", "See docs/runbooks/key-rotation.md.")]
    if len(keys) < 2:
        return []
    try:
        async with Database(settings.database()) as database:
            found = await survey(settings, database)
    except UNREACHABLE:
        return []  # which others tell
    now = utc_now()
    unneeded = [key.id for key in found.keys if not key.is_needed(now) and not key.is_next]
    stale = [key.id for key in found.keys if not key.is_current and key.texts]
    told = []
    if unneeded:
        says = f"Nothing needs the old secret key {', '.join(unneeded)}, and it is still accepted."
        told.append(doubtful(name, says, "`formstream secrets remove` it."))
    if stale:
        says = f"Stored secrets are encrypted with the old secret key {', '.join(stale)}."
        told.append(doubtful(name, says, "Run `formstream secrets reseal`."))
    if found.lost:
        says = f"{found.lost} stored secrets are opened by none of the secret keys."
        told.append(wrong(name, says, "Name the key that encrypted them in FORMSTREAM_OLD_SECRET_KEYS."))
    return told or [fine(name, "Older secret keys are accepted only as long as something needs them.")]


def _kept(file: Path) -> tuple[str, ...]:
    try:
        return tuple(line.key for line in parse_keys(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return ()


def permissions(data_dir: Path) -> Finding:
    """Answers and secrets are in there."""
    name = "secret.permissions"
    for path in (data_dir, *(data_dir / each for each in _PRIVATE)):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = "700" if path.is_dir() else "600"
            return wrong(name, f"Others than its owner may read {path}.", f"chmod {mode} {path}")
    return fine(name, f"Only its owner reads {data_dir}.")


def administrator(installation: Installation) -> Finding:
    """The first password is written in a file, which nobody needs after the first login."""
    name = "secret.administrator-file"
    file = administrator_file(installation.settings)
    if file.exists() and installation.published:
        return doubtful(
            name,
            f"{file} has the password that was made up for the first administrator, in plain.",
            f"Log in, change the password, and remove {file}.",
        )
    return fine(name, "No password lies around.")


def administrator_password(installation: Installation) -> Finding:
    """Whoever guesses it administrates every tenant."""
    name = "secret.administrator-password"
    password = installation.settings.admin_password.get_secret_value()
    if password and zxcvbn.zxcvbn(password[:72])["score"] < _GOOD_SCORE:
        return wrong(
            name,
            "FORMSTREAM_ADMIN_PASSWORD is easy to guess.",
            "Choose a longer one, change it in the account too, and unset the variable after the first start.",
        )
    return fine(name, "It is not easy to guess." if password else "None is in the environment.")
