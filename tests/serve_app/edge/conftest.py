"""An edge on a free port, before contexts in memory."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.serve_app.edge.fakes import Fakes, running


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def client(fakes: Fakes) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody in particular."""
    async with running(fakes) as client:
        yield client


@pytest.fixture
async def owner(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Somebody who may do everything in the tenant `acme`."""
    client.headers["authorization"] = "Bearer owner"
    return client
