"""U5: the page of permissions says what the code enforces."""

from serve_app.cli.permissions_reference import reference
from tests.architecture.rooms import ROOT


def test_the_page_is_what_the_command_prints() -> None:
    """After a change: `formstream permissions > docs/permissions.md`."""
    assert (ROOT / "docs" / "permissions.md").read_text() == reference()
