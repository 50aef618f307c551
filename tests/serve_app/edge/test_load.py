"""D2: what an edge replica tells autoscaling."""

import asyncio

import httpx

from serve_app.edge.deployment import Edge
from serve_app.edge.settings import EdgeSettings
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.test_answers import SUBMIT


async def test_requests_in_progress_are_counted_and_idle_connections_are_not(fakes: Fakes) -> None:
    edge = Edge(EdgeSettings(port=0, object_store_url="memory:///"), fakes.apis())
    assert edge.running == 0
    port = await edge.start()
    answer = fakes.responses.answer
    go = asyncio.Event()

    async def slow() -> object:
        await go.wait()
        return answer()

    fakes.responses.answer = slow
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/health")).status_code == 200
        assert edge.running == 0
        requests = [asyncio.create_task(client.post(SUBMIT, json={})) for _ in range(3)]
        async with asyncio.timeout(5):
            while edge.running < 3:
                await asyncio.sleep(0.01)
        go.set()
        assert {response.status_code for response in await asyncio.gather(*requests)} == {201}
        assert edge.running == 0
    await edge.stop()
