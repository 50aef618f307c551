"""Somebody who listens to the live stream, as a client would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

STREAM = "/api/v1/events/stream"


@dataclass
class Ear:
    """What was heard so far. `over` is set when the stream has ended."""

    ids: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    comments: int = 0
    status: int = 0
    problem: dict[str, Any] = field(default_factory=dict)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def hears(self, number: int, within_s: float = 20.0) -> list[dict[str, Any]]:
        """Wait for so many events in all."""
        async with asyncio.timeout(within_s):
            while len(self.events) < number:
                self._news.clear()
                await self._news.wait()
        return self.events

    async def is_over(self, within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            await self.over.wait()

    async def listen(self, client: httpx.AsyncClient, headers: dict[str, str], params: dict[str, Any]) -> None:
        try:
            timeout = httpx.Timeout(30, read=60)
            async with client.stream("GET", STREAM, headers=headers, params=params, timeout=timeout) as answer:
                self.status = answer.status_code
                if answer.status_code != 200:
                    self.problem = orjson.loads(await answer.aread())
                    return
                assert answer.headers["content-type"] == "text/event-stream"
                await self._read(answer)
        except httpx.TransportError:
            pass
        finally:
            self.over.set()
            self.open.set()

    async def _read(self, answer: httpx.Response) -> None:
        block: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                self.comments += 1
                self.open.set()
            elif line:
                name, _, value = line.partition(": ")
                block[name] = value
            else:
                event = orjson.loads(block["data"])
                assert block == {"id": event["id"], "event": event["type"], "data": block["data"]}
                self.ids.append(event["id"])
                self.events.append(event)
                block = {}
                self._news.set()


@asynccontextmanager
async def listening(client: httpx.AsyncClient, after: str | None = None, **params: Any) -> AsyncIterator[Ear]:
    """An ear that has been admitted, or refused."""
    ear = Ear()
    headers = {"Last-Event-ID": after} if after else {}
    task = asyncio.create_task(ear.listen(client, headers, params))
    try:
        async with asyncio.timeout(20):
            await ear.open.wait()
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
