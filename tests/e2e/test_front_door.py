"""O7: the proxy of one host is told other shares while people send, and nobody notices."""

import asyncio
import collections
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from aiohttp import web

from tests.e2e.front_door import open_to
from tests.plain_http import TRUSTS_NOBODY

PEOPLE = 8


@asynccontextmanager
async def answering(name: str) -> AsyncIterator[int]:
    """The port of a server that takes its time and says its name."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(0.1)
        return web.Response(text=name)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_shares_are_changed_while_requests_are_in_flight(tmp_path: Path) -> None:
    """Each is answered by one of the two, as many by each as was said; what was in flight ends where it began."""
    answers: list[str] = []
    dropped: list[str] = []
    stopping = asyncio.Event()

    async def person(url: str) -> None:
        while not stopping.is_set():
            async with httpx.AsyncClient(base_url=url, verify=TRUSTS_NOBODY, trust_env=False) as client:
                try:
                    answer = await client.post("/submit", content=b"x" * 500, headers={"Connection": "close"})
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    # Of connections that come at the very moment Caddy drops a few, before anybody has the request.
                    dropped.append(url)
                    continue
                answers.append(answer.text if answer.is_success else str(answer.status_code))

    async def share(count: int) -> collections.Counter[str]:
        begun = len(answers) + PEOPLE  # who was in flight at the change is not counted
        async with asyncio.timeout(30):
            while len(answers) < begun + count:
                await asyncio.sleep(0.01)
        return collections.Counter(answers[begun : begun + count])

    async with answering("old") as old, answering("new") as new, open_to(old, tmp_path) as door:
        async with asyncio.TaskGroup() as group:
            for _ in range(PEOPLE):
                group.create_task(person(door.url))
            try:
                assert await share(50) == {"old": 50}
                await asyncio.to_thread(door.lead_to, {old: 3, new: 1})
                found = await share(200)
                assert 20 < found["new"] < 90
                await asyncio.to_thread(door.lead_to, {new: 1})
                assert await share(50) == {"new": 50}
                await asyncio.to_thread(door.lead_to, {old: 1})
                assert await share(50) == {"old": 50}
            finally:
                stopping.set()
        assert set(answers) == {"old", "new"}, door.errors[:2]
        assert len(dropped) <= PEOPLE
