"""E1: the page of events says what the code records."""

from serve_app.cli.events_reference import reference
from tests.architecture.rooms import ROOT


def test_the_page_is_what_the_command_prints() -> None:
    """After a change: `formstream events > docs/reference/events.md`."""
    assert (ROOT / "docs" / "reference" / "events.md").read_text() == reference()
