"""How many attempts ended how and what they took: counted here, added up in the database for all workers."""

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial

from db.repositories.job_tallies import Tally, add_tallies
from db.session import Database


class Tallies:
    """What one runner has seen since it last told. What a worker that is killed has not told is not counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)

    def count(self, kind: str, outcome: str, *, due: datetime, started: datetime, ended: datetime) -> None:
        """An attempt ended; clocks that differ make no time negative."""
        seen = self._seen[kind, outcome]
        seen.attempts += 1
        seen.duration_s += max(0.0, (ended - started) / timedelta(seconds=1))
        seen.lag_s += max(0.0, (started - due) / timedelta(seconds=1))

    async def tell(self) -> None:
        """Add what was seen to what all have seen. Raises DatabaseUnavailable, and keeps it for the next time."""
        if not self._seen:
            return
        told, self._seen = self._seen, defaultdict(Tally)
        try:
            await self._database.transact(partial(add_tallies, tallies=told))
        except Exception:
            for key, tally in told.items():
                self._seen[key] += tally
            raise
