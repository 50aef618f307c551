"""Numbers of a context for the metrics of an edge: asked for now and then, and left out when they cannot be had."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Final, Generic, TypeVar

import structlog
from prometheus_client.registry import Collector

_ANSWER_S: Final = 2.0

log = structlog.get_logger(__name__)

Api = TypeVar("Api")
Measures = TypeVar("Measures")


class Measured(Collector, ABC, Generic[Api, Measures]):
    """`measures` are as they last were; none when they cannot be had, so that nobody takes old ones for new."""

    asked_s: float
    """The least time between two questions: anybody may read metrics, so that must not cost a query each time."""

    def __init__(self) -> None:
        self.measures: Measures | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    @abstractmethod
    def ask(self, api: Api) -> Awaitable[Measures]:
        """Ask the context."""

    async def refresh(self, api: Api) -> None:
        """Ask again if it is time to."""
        async with self._asking:
            if time.monotonic() - self._asked_at < self.asked_s:
                return
            self._asked_at = time.monotonic()
            try:
                async with asyncio.timeout(_ANSWER_S):
                    self.measures = await self.ask(api)
            except Exception as error:  # noqa: BLE001 - whoever asks wants the rest all the more
                log.warning("no measures", of=type(self).__name__, reason=type(error).__name__)
                self.measures = None
