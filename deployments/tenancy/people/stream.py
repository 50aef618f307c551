"""What an erasure needs of the event stream."""

from collections.abc import Sequence
from typing import Protocol


class EventStream(Protocol):
    """The stream of events of all tenants. Everything raises EventingError when it cannot be reached."""

    async def last(self) -> int:
        """The number of the last message."""
        ...

    async def is_consumed(self, number: int) -> bool:
        """Whether every consumer is done with every message up to this one."""
        ...

    async def forget(self, tenant_id: str, types: Sequence[str], number: int) -> int:
        """Remove a tenant's messages of these types up to this one; how many there were."""
        ...
