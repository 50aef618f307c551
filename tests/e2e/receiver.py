"""A customer's webhook receiver: a real HTTP server that keeps what it gets."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Receiver:
    """Deliveries by `webhook-id`, as (headers, body)."""

    def __init__(self) -> None:
        self.url = ""
        self.deliveries: defaultdict[str, list[tuple[dict[str, str], bytes]]] = defaultdict(list)
        self._arrived = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        async with self._arrived:
            self.deliveries[headers["webhook-id"]].append((headers, body))
            self._arrived.notify_all()
        return web.Response(status=204)

    async def wait_for(self, count: int, timeout_s: float) -> None:
        """Until so many different deliveries have arrived. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.deliveries) >= count)


@asynccontextmanager
async def receiving(host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
