"""One running platform for the tests that do not break it."""

from collections.abc import Iterator

import pytest

from tests.e2e.platform import Platform


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The embedded default, ready."""
    running = Platform(tmp_path_factory.mktemp("platform") / "data")
    try:
        running.start()
        yield running
    finally:
        running.stop()
