"""One running platform for the tests that do not break it."""

from collections.abc import Iterator

import pytest

from tests.e2e.platform import Platform

_TIMEOUT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A platform takes its time to start on a busy machine; whichever test comes first waits for it."""
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The embedded default, ready."""
    running = Platform(tmp_path_factory.mktemp("platform") / "data")
    try:
        running.start()
        yield running
    finally:
        running.stop()
