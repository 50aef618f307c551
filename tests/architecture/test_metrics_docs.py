"""The metrics reference says what the code exports, and no metric can grow with the number of customers."""

from serve_app.cli.metrics_reference import reference
from serve_app.edge.measures import LABELS, MEASURES
from tests.architecture.rooms import ROOMS, ROOT, sources

UNBOUNDED = {
    "tenant",
    "tenant_id",
    "form",
    "form_id",
    "user",
    "path",
    "url",
    "address",
    "request_id",
    "error",
    "reason",
}


def test_the_page_is_what_the_command_prints() -> None:
    """After a change: `formstream metrics > docs/metrics.md`."""
    assert (ROOT / "docs" / "metrics.md").read_text() == reference()


def test_every_metric_is_declared_once_and_in_that_place() -> None:
    names = [measure.name for measure in MEASURES]
    assert len(names) == len(set(names))
    elsewhere = {
        f"{path.relative_to(ROOT)} names {name}"
        for path in sources(*ROOMS)
        if path.name != "measures.py"
        for name in names
        if f'"{name}' in path.read_text()
    }
    assert not elsewhere


def test_no_label_grows_with_customers() -> None:
    used = {label for measure in MEASURES for label in measure.labels}
    assert used == LABELS.keys()
    assert not used & UNBOUNDED
