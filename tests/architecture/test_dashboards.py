"""O3: the dashboards ask for what there is, and Grafana finds them."""

import json
import re
from typing import Any

import pytest
import yaml

from deploy.grafana.queries import DASHBOARDS, queries
from serve_app.edge.routes import OPERATIONS
from tests.architecture.rooms import ROOT
from tests.architecture.test_alerts import KNOWN, METRIC

PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))
}
QUERIES = list(queries())
(SOURCE,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
LABELS = re.compile(r'operation=~"([^"]+)"')


def test_there_is_one_for_each_subject() -> None:
    assert BOARDS.keys() == {"system", "application", "queues", "ai", "business"}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
class TestDashboard:
    def test_every_panel_says_what_it_shows(self, name: str) -> None:
        panels = BOARDS[name]["panels"]
        assert len(panels) >= 8
        assert len({panel["id"] for panel in panels}) == len(panels) == len({panel["title"] for panel in panels})
        for panel in panels:
            assert panel["title"]
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]

    def test_no_panel_lies_on_another(self, name: str) -> None:
        taken = [
            (x, y)
            for panel in BOARDS[name]["panels"]
            for at in [panel["gridPos"]]
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ]
        assert len(taken) == len(set(taken))
        assert max(x for x, _ in taken) < 24

    def test_it_asks_the_source_that_is_provisioned(self, name: str) -> None:
        for panel in BOARDS[name]["panels"]:
            for asking in (panel, *panel["targets"]):
                assert asking["datasource"] == {"type": SOURCE["type"], "uid": SOURCE["uid"]}


@pytest.mark.parametrize(("name", "panel", "query"), QUERIES, ids=[f"{name}: {panel}" for name, panel, _ in QUERIES])
def test_a_query_asks_for_metrics_and_operations_that_there_are(name: str, panel: str, query: str) -> None:
    assert set(METRIC.findall(query)) <= KNOWN, panel
    assert "tenant_id" not in query
    operations = {operation.id for operation in OPERATIONS}
    for choice in LABELS.findall(query):
        for pattern in choice.split("|"):
            assert any(re.fullmatch(pattern, each) for each in operations), f"{name}: no operation is {pattern}"


def test_every_metric_is_on_a_dashboard_or_in_a_rule() -> None:
    """What nobody looks at need not be measured."""
    rules = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()
    looked_at = {name for _, _, query in QUERIES for name in METRIC.findall(query)} | set(METRIC.findall(rules))
    unused = {series for series in KNOWN if series not in looked_at and not series.endswith(("_sum", "_count"))}
    assert unused <= {"formstream_edge_replica"}


def test_they_are_provisioned() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "formstream.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/formstream/dashboards"
    assert SOURCE["url"] == "http://prometheus:9090"
