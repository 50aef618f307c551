"""Leading a duty: one process at a time holds its lease. An optimisation, never a lock."""

import asyncio
import os
import secrets
import socket
import time
from datetime import timedelta
from typing import Final

from db.repositories.leases import LeaseRepository
from db.session import Database
from db.types import utc_now

LEASE_S: Final = 5.0


def instance_name(duty: str) -> str:
    """A name for this instance that no other has, readable for an operator."""
    return f"{duty}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Leadership:
    """The lease of one duty. A paused process or a wrong clock can make two leaders, which must be harmless."""

    def __init__(self, database: Database, duty: str, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._duty = duty
        self._lease_s = lease_s
        self._held_until = 0.0
        self._ask_again_at = 0.0
        self.holder = instance_name(duty)

    @property
    def is_held(self) -> bool:
        """Whether the lease was ours and has not run out."""
        return time.monotonic() < self._held_until

    async def acquire(self) -> bool:
        """Whether we lead now. Asks the database once in a third of the lease. Raises DatabaseUnavailable."""
        asked_at = time.monotonic()
        if asked_at < self._ask_again_at:
            return self.is_held
        now = utc_now()
        async with self._database.unscoped_write() as unit:
            leases = LeaseRepository(unit.session)
            held = await leases.acquire(self._duty, self.holder, now, now + timedelta(seconds=self._lease_s))
        # Counted from before the question, so that we never believe longer than the database does.
        self._held_until = asked_at + self._lease_s if held else 0.0
        self._ask_again_at = asked_at + self._lease_s / 3
        return held

    async def release(self, timeout_s: float = 2.0) -> None:
        """Give the lease back, so that another need not wait until it runs out. Raises DatabaseUnavailable."""
        self._held_until = 0.0
        async with asyncio.timeout(timeout_s), self._database.unscoped_write() as unit:
            await LeaseRepository(unit.session).release(self._duty, self.holder)
