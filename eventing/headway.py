"""How far the relay may go ahead of the consumers."""

import asyncio
import time
from typing import Final

import nats.errors
import structlog
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from eventing.streams import EVENTS

_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 1.0
_HOPELESS: Final = 10_000

_log = structlog.get_logger(__name__)


class Headway:
    """Whether some consumer has so many events before it that it could not take another tenant's in its turn.

    What waits in the stream is served in one line; what waits in the database, tenant by tenant. A consumer that is
    very far behind, since it is new or nobody runs it, is not waited for: it would hold up what the others do.
    """

    def __init__(self, bound: int, hopeless: int = _HOPELESS) -> None:
        self._bound = bound
        self._hopeless = hopeless
        self._is_used_up = False
        self._went = 0
        self._looked_at = float("-inf")

    def went(self, number: int) -> None:
        """So many more are before every consumer."""
        self._went += number

    async def is_used_up(self, js: JetStreamContext) -> bool:
        """As of the last 50 ms, or since less than that number went; False when JetStream does not tell."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S or (self._went >= self._bound and not self._is_used_up):
            self._looked_at, self._went = now, 0
            self._is_used_up = await self._look(js)
        return self._is_used_up

    async def _look(self, js: JetStreamContext) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                consumers = await js.consumers_info(EVENTS)
        except NotFoundError:
            return False
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _log.info("consumers are not known", error=str(error) or type(error).__name__)
            return False
        behind = ((each.num_pending or 0) + (each.num_ack_pending or 0) for each in consumers)
        return any(self._bound <= number <= self._hopeless for number in behind)
