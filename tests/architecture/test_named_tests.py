"""What docs/security.md and docs/reliability.md say is shown by a test that exists."""

import re

import pytest

from tests.architecture.rooms import ROOT

PAGES = ("security.md", "reliability.md")
NAMED = sorted(
    {
        found
        for page in PAGES
        for found in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / page).read_text())
    }
)


def test_tests_are_named() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "function"), NAMED)
def test_the_named_test_exists(path: str, function: str) -> None:
    text = (ROOT / path).read_text()
    assert not function or f"def {function}(" in text
