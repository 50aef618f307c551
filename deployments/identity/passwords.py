"""Passwords: argon2id with OWASP's parameters, computed off the event loop, a few at a time."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from deployments.identity.errors import PasswordsBusy

Result = TypeVar("Result")

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_RETRY_AFTER_S: Final = 2.0


class Passwords:
    """Hashes and checks passwords. Each hash takes 19 MiB and a core for some 30 ms, so the waiting line is bounded."""

    def __init__(self, *, concurrency: int = 2, waiting: int = 64) -> None:
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="password")
        self._bound = concurrency + waiting
        self._calls = 0
        self._nobody = _nobodys(_HASHER)

    async def hash(self, password: str) -> str:
        """The PHC string of a password. Raises PasswordsBusy when too many calls wait."""
        return await self._run(lambda: _HASHER.hash(_octets(password)))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed; never for None, which takes the same time.

        Raises PasswordsBusy when too many calls wait.
        """
        matches = await self._run(lambda: _matches(hashed or self._nobody, password))
        return matches and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return _HASHER.check_needs_rehash(hashed)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._calls >= self._bound:
            raise PasswordsBusy(retry_after=_RETRY_AFTER_S)
        self._calls += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._calls -= 1


@cache
def _nobodys(hasher: PasswordHasher) -> str:
    # What an unknown account is checked against, so that it takes as long as a known one.
    return hasher.hash(secrets.token_hex())


def _matches(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, _octets(password))
    except (VerificationError, InvalidHashError):
        return False


def _octets(password: str) -> bytes:
    # NFC, so that an accent typed on another keyboard is the same accent (RFC 8265 §4.2).
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
