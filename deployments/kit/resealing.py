"""Encrypting anew, with the current secret key, what was encrypted with one before it, while the platform serves."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, TypeAlias

from db.repositories.sealed import BEGINNING, SealedRow, SealedRows, sealed_columns
from db.session import Database
from deployments.kit.secret_keys import key_id
from deployments.kit.vault import Vault

Progress: TypeAlias = Callable[[str, int], None]

LOST: Final = ""
"""Stands for the key of what none of the accepted keys opens."""

_PAGE: Final = 500
_AT_ONCE: Final = 100
"""Rows that are locked at the same time."""


class Resealing:
    """Goes through every table in pages. It notes nothing of how far it came: what is done is passed over quickly, so
    it can be killed and run again at any time, also twice at once."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def run(self, progress: Progress = lambda _table, _rows: None) -> int:
        """Encrypt everything with the current key; how many rows had something of another. `progress` is told of the
        rows of each table that were written."""
        total = 0
        for table in sealed_columns():
            async for rows in self._pages(table):
                stale = [row.key for row in rows if any(map(self._is_stale, _texts(row.values)))]
                for start in range(0, len(stale), _AT_ONCE):
                    written = await self._reseal(table, stale[start : start + _AT_ONCE])
                    total += written
                    progress(table, written)
        return total

    async def count(self) -> dict[str, int]:
        """How many encrypted texts there are of each secret key, by its name; `LOST` for those of none of them."""
        found: Counter[str] = Counter()
        for table in sealed_columns():
            async for rows in self._pages(table):
                found.update(self._name_of(text) for row in rows for text in _texts(row.values))
        return dict(found)

    async def _pages(self, table: str) -> AsyncIterator[list[SealedRow]]:
        after: tuple[Any, ...] | None = None
        while True:
            async with self._database.unscoped_read() as unit:
                rows = await SealedRows(unit.session, table).page(after, _PAGE)
            yield rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].key

    async def _reseal(self, table: str, keys: list[tuple[Any, ...]]) -> int:
        written = 0
        async with self._database.unscoped_write() as unit:
            rows = SealedRows(unit.session, table)
            for row in await rows.locked(keys):
                changed = {
                    name: fresh for name, value in row.values.items() if (fresh := self._resealed(value)) != value
                }
                if changed:
                    await rows.put(SealedRow(row.key, changed))
                    written += 1
        return written

    def _resealed(self, value: Any) -> Any:
        if isinstance(value, str):
            return (self._vault.resealed(value) or value) if value.startswith(BEGINNING) else value
        if isinstance(value, dict):
            return {name: self._resealed(inner) for name, inner in value.items()}
        return [self._resealed(inner) for inner in value] if isinstance(value, list) else value

    def _is_stale(self, text: str) -> bool:
        return self._vault.key_of(text) not in (None, self._vault.keys.current)

    def _name_of(self, text: str) -> str:
        key = self._vault.key_of(text)
        return LOST if key is None else key_id(key)


def _texts(value: Any) -> Iterator[str]:
    """The encrypted texts inside of a value."""
    if isinstance(value, str) and value.startswith(BEGINNING):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
