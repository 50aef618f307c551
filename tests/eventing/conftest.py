"""One embedded NATS server with real JetStream for all eventing tests."""

from collections.abc import Iterator

import pytest

from eventing.server import EmbeddedServer


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url, with credentials, of a server that lives as long as the test session."""
    with EmbeddedServer(tmp_path_factory.mktemp("nats")) as server:
        yield server.url
