"""The settings reference says what the code says."""

from serve_app.cli.settings_reference import reference
from tests.architecture.rooms import ROOT


def test_the_page_is_what_the_command_prints() -> None:
    """After a change: `formstream settings > docs/settings.md`."""
    assert (ROOT / "docs" / "settings.md").read_text() == reference()
