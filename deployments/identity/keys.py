"""API keys: how they look, and when each was last used."""

import asyncio
import logging
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from db.errors import DatabaseError
from db.repositories.credentials import CredentialDirectory
from db.repositories.holders import KeyHolder
from db.session import Database

KEY_PREFIX: Final = "fsk_"
SHOWN_LENGTH: Final = 12
"""How much of a key is kept to recognise it: the prefix and 48 of its 256 bits."""

_PRECISION: Final = timedelta(minutes=1)
_MAX_WAITING: Final = 1_000
_logger = logging.getLogger(__name__)


def new_key() -> str:
    """A fresh API key with 256 bits of randomness."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class KeyUsage:
    """Notes when keys were used, to the minute and behind the caller's back: a note may be lost, a call never is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[str, str], datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, key: KeyHolder, now: datetime) -> None:
        """The key was used now."""
        if key.last_used_at is not None and now - key.last_used_at < _PRECISION:
            return
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.setdefault((key.tenant_id, key.key_id), now)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def drain(self) -> None:
        """Wait until every note is written or lost."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _write(self) -> None:
        while self._waiting:
            moments, self._waiting = self._waiting, {}
            try:
                async with self._database.unscoped_write() as unit:
                    await CredentialDirectory(unit.session).touch_api_keys_in_any_tenant(moments, _PRECISION)
            except (DatabaseError, SQLAlchemyError):
                _logger.warning("the use of %d API keys could not be noted", len(moments), exc_info=True)
