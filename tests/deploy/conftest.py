"""One installation for all that is asked of it."""

from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from tests.deploy.installation import ADDRESS, Installation


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Ready, behind its proxy."""
    ours = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    assert ADDRESS in ours, "this wants a network of its own: make test-deploy"
    running = Installation(tmp_path_factory.mktemp("installation"))
    try:
        await running.start()
        yield running
    finally:
        await running.stop()
