"""One running platform for the tests that do not break it."""

from collections.abc import Generator, Iterator

import pytest

from tests.e2e.platform import Platform
from tests.tracing import untraced

_TIMEOUT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A platform takes its time to start on a busy machine; whichever test comes first waits for it."""
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """What is tested runs in processes of its own; tracing who drives it would only slow that down."""
    return (yield from untraced())


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The embedded default, ready."""
    running = Platform(tmp_path_factory.mktemp("platform") / "data")
    try:
        running.start()
        yield running
    finally:
        running.stop()
