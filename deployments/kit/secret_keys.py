"""The platform's secret keys: one makes what is made, those before it are accepted, and each derives one key for a
purpose. None of them ever enters the database."""

import hashlib
import hmac
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

SHORTEST: Final = 32

_REREAD_S: Final = 1.0
_ID: Final = "key-id"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT")


@lru_cache(maxsize=128)
def derive_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF, RFC 5869), so that no key serves two."""
    return HKDF(hashes.SHA256(), 32, None, purpose.encode()).derive(secret.encode())


def key_id(secret: str) -> str:
    """The public name of a secret key; it says nothing about it."""
    return derive_key(secret, _ID).hex()[:12]


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key as a file of keys has it: it makes what is made from `since` on; None for always."""

    key: str = field(repr=False)
    since: datetime | None = None

    def has_begun(self, now: datetime) -> bool:
        """Whether its time has come."""
        return self.since is None or self.since <= now


def parse_keys(text: str) -> tuple[KeyLine, ...]:
    """The keys of a file: a line each, the newest first, a key and since when it makes what is made, if that is said.

    Raises ValueError for a key that is too short, and for a time that is none or has no zone.
    """
    return tuple(_parsed(line) for line in map(str.strip, text.splitlines()) if line and not line.startswith("#"))


def written_keys(lines: Iterable[KeyLine]) -> str:
    """The content of a file with these keys."""
    return "".join(
        f"{line.key}\n" if line.since is None else f"{line.key} {line.since.isoformat(timespec='seconds')}\n"
        for line in lines
    )


def in_force(lines: Iterable[KeyLine], now: datetime) -> tuple[str, ...]:
    """The keys, first the one that makes what is made: the newest whose time has come."""
    keys = list(lines)
    current = next((line for line in keys if line.has_begun(now)), None)
    first = () if current is None else (current.key,)
    return tuple(dict.fromkeys((*first, *(line.key for line in keys))))


class SecretKeys:
    """`current` makes what is made; what any of `all` made is accepted.

    Those of a file are read again within a second after it changed, so that a rotation needs no restart; while it
    cannot be read, those that were read last count. `also` are accepted beside them.
    """

    def __init__(self, *keys: str, file: Path | None = None, also: tuple[str, ...] = ()) -> None:
        """Raises OSError, ValueError when there is a file that cannot be read."""
        self._lines = tuple(map(KeyLine, keys))
        self._also = also
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._looked_at = float("-inf")
        if file is not None:
            self._look(file)
        if not self._lines:
            raise ValueError("there is no secret key")

    @classmethod
    def of(cls, given: "str | SecretKeys") -> "SecretKeys":
        """These keys, or the one that is given."""
        return cls(given) if isinstance(given, str) else given

    @property
    def current(self) -> str:
        """The key that makes what is made."""
        return self.all()[0]

    @property
    def newest(self) -> str:
        """The key that makes what is made, or is going to within moments."""
        return self.lines()[0].key

    def all(self) -> tuple[str, ...]:
        """Every key that is accepted, first the one that makes what is made."""
        return tuple(dict.fromkeys((*in_force(self.lines(), datetime.now(UTC)), *self._also)))

    def lines(self) -> tuple[KeyLine, ...]:
        """The keys as they are written, without those that come beside them."""
        if self._file is not None and time.monotonic() - self._looked_at > _REREAD_S:
            try:
                self._look(self._file)
            except (OSError, ValueError):
                self._looked_at = time.monotonic()
        return self._lines

    def derived(self, purpose: str) -> "RotatingKey":
        """The key for a purpose; it follows those of the platform."""
        return RotatingKey(lambda: tuple(derive_key(key, purpose) for key in self.all()))

    def _look(self, file: Path) -> None:
        found = os.stat(file)
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        if stamp != self._stamp:
            self._lines = parse_keys(file.read_text(encoding="utf-8")) or self._lines
            self._stamp = stamp
        self._looked_at = time.monotonic()


Keys: TypeAlias = str | SecretKeys


class RotatingKey:
    """A key of HMAC-SHA256 (RFC 2104) that is replaced while it is used: the first makes, each is accepted."""

    def __init__(self, read: Callable[[], tuple[bytes, ...]]) -> None:
        self._read = read

    @classmethod
    def of(cls, given: "str | bytes | RotatingKey") -> "RotatingKey":
        """This key, or one that stays as it is given."""
        if isinstance(given, RotatingKey):
            return given
        key = given.encode() if isinstance(given, str) else given
        return cls(lambda: (key,))

    def all(self) -> tuple[bytes, ...]:
        """Every key that is accepted, first the one that makes."""
        return self._read()

    def derived(self, purpose: str) -> "RotatingKey":
        """A key for a narrower purpose."""
        return RotatingKey(lambda: tuple(derive_key(key.decode(), purpose) for key in self.all()))

    def digits(self) -> "RotatingKey":
        """The key that is the text of this one's hexadecimal digits."""
        return RotatingKey(lambda: tuple(key.hex().encode() for key in self.all()))

    def mac(self, text: bytes) -> str:
        """What only the platform can have made of the text, in hexadecimal digits."""
        return _mac(self.all()[0], text)

    def macs(self, text: bytes) -> tuple[str, ...]:
        """What each accepted key makes of the text, first that of the current one."""
        return tuple(_mac(key, text) for key in self.all())

    def made(self, text: bytes, mac: str) -> bool:
        """Whether one of the accepted keys made this of the text."""
        given = mac.encode("utf-8", "replace")
        # Every key is tried, whichever made it.
        equal = [hmac.compare_digest(given, each.encode()) for each in self.macs(text)]
        return any(equal)

    def __repr__(self) -> str:
        return "RotatingKey(**)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validated)

    @classmethod
    def _validated(cls, given: Any) -> "RotatingKey":
        if isinstance(given, RotatingKey):
            return given
        text = given.get_secret_value() if isinstance(given, SecretStr) else given
        if not isinstance(text, str) or len(text) < SHORTEST:
            raise ValueError(f"a key has at least {SHORTEST} characters")
        return cls.of(text)


def _mac(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _parsed(line: str) -> KeyLine:
    key, _, last = line.rpartition(" ")
    # A key that somebody chose may have spaces in it.
    since = datetime.fromisoformat(last) if key and _TIME.match(last) else None
    key = line if since is None else key.strip()
    if len(key) < SHORTEST:
        raise ValueError(f"a secret key has at least {SHORTEST} characters")
    if since is not None and since.tzinfo is None:
        raise ValueError("the time of a secret key needs a zone, as in 2026-03-01T00:00:00+00:00")
    return KeyLine(key, since)
