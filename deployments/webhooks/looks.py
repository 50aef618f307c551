"""Where lanes look what is due: those of one tenant that look together share one read."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from db.group_commit import GroupCommit
from db.repositories.webhook_lanes import Look, Sight, look_at
from db.session import Database
from db.types import utc_now

_AT_ONCE: Final = 50

FULL: Final = _AT_ONCE
"""As many deliveries as one look shows; fewer are all that there were."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The tenant's settings, and what the lane saw; None when its endpoint is gone."""

    settings: Mapping[str, Any]
    sight: Sight | None


class Looks:
    """The looks of the lanes of one process. What one event starts, it starts for many endpoints at once: each lane
    with a read of its own would pay for a connection and a transaction, and wait for all the others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._group: GroupCommit[tuple[str, Look], Seen] = GroupCommit(self._read)

    async def add(self, tenant_id: str, look: Look) -> Seen:
        """What the lane sees now. Raises DatabaseUnavailable."""
        return await self._group.add((tenant_id, look))

    async def _read(self, items: Sequence[tuple[str, Look]]) -> Sequence[Seen | Exception]:
        by_tenant: dict[str, list[int]] = defaultdict(list)
        for index, (tenant_id, _) in enumerate(items):
            by_tenant[tenant_id].append(index)
        outcomes: list[Seen | Exception] = [LookupError()] * len(items)

        async def read_of(tenant_id: str, indices: Sequence[int]) -> None:
            try:
                work = partial(
                    look_at, tenant_id=tenant_id, looks=[items[i][1] for i in indices], now=utc_now(), limit=_AT_ONCE
                )
                settings, sights = await self._database.view(work, tenant_id)
                found: list[Seen | Exception] = [Seen(settings, sight) for sight in sights]
            except Exception as error:  # noqa: BLE001 - every lane must be answered, whatever went wrong
                found = [error] * len(indices)
            for index, outcome in zip(indices, found, strict=True):
                outcomes[index] = outcome

        await asyncio.gather(*(read_of(tenant_id, indices) for tenant_id, indices in by_tenant.items()))
        return outcomes
