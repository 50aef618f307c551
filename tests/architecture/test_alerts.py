"""O3: every alert can be acted upon, asks for metrics that there are, and is shown to fire and to clear."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.edge.measures import MEASURES
from tests.architecture.rooms import ROOT

DEPLOY = ROOT / "deploy"
GROUPS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
CASES: list[dict[str, Any]] = [
    case
    for path in sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
    for case in yaml.safe_load(path.read_text())["tests"]
]
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTMANAGER: dict[str, Any] = yaml.safe_load((DEPLOY / "alertmanager.yml").read_text())
METRIC = re.compile(r"\b(?:formstream|ray|process|nats|pg)_\w+\b")
# What others tell, as far as the guide lists it.
FOREIGN = set(re.findall(r"`((?:ray|process)_\w+)`", (ROOT / "docs" / "guides" / "observability.md").read_text()))
KNOWN = FOREIGN.union(*(measure.series for measure in MEASURES))


def _tests_of(alert: str) -> list[dict[str, Any]]:
    return [
        {"minute": _minutes(look["eval_time"]), **look}
        for case in CASES
        for look in case["alert_rule_test"]
        if look["alertname"] == alert
    ]


def _minutes(duration: str) -> int:
    hours, minutes = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", duration).groups()  # type: ignore[union-attr]
    return 60 * int(hours or 0) + int(minutes or 0)


def test_there_are_enough_and_none_twice() -> None:
    assert len(RULES) == sum(len(group["rules"]) for group in GROUPS) >= 12


@pytest.mark.parametrize("alert", RULES)
class TestAlert:
    def test_says_what_is_wrong_and_what_to_do(self, alert: str) -> None:
        rule = RULES[alert]
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "runbook_url"}
        page = ROOT / rule["annotations"]["runbook_url"]
        assert page.parent == RUNBOOKS
        assert f"`{alert}` ({rule['labels']['severity']})" in " ".join(page.read_text().split())

    def test_is_shown_to_fire_and_to_clear(self, alert: str) -> None:
        looks = sorted(_tests_of(alert), key=lambda look: int(look["minute"]))
        fires = [bool(look.get("exp_alerts")) for look in looks]
        assert fires == [False, True, False], "not before its time, then, and not afterwards"

    def test_asks_for_metrics_that_there_are(self, alert: str) -> None:
        assert set(METRIC.findall(RULES[alert]["expr"])) <= KNOWN

    def test_is_in_the_index(self, alert: str) -> None:
        rule = RULES[alert]
        page = Path(rule["annotations"]["runbook_url"]).name
        rows = [row for row in (RUNBOOKS / "README.md").read_text().splitlines() if row.startswith(f"| `{alert}` |")]
        assert len(rows) == 1
        assert f"| {rule['labels']['severity']} |" in rows[0]
        assert f"]({page})" in rows[0]


def test_every_page_belongs_to_an_alert() -> None:
    """Or says, in the index, that it has none."""
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    linked = {Path(rule["annotations"]["runbook_url"]).name for rule in RULES.values()}
    index = (RUNBOOKS / "README.md").read_text()
    assert {page for page in pages - linked if f"]({page})" not in index} == set()


class TestAlertmanager:
    """Routing, deduplication and inhibition."""

    def test_every_severity_has_its_receiver(self) -> None:
        receivers = {each["name"] for each in ALERTMANAGER["receivers"]}
        route = ALERTMANAGER["route"]
        assert {route["receiver"], *(each["receiver"] for each in route["routes"])} == receivers
        routed = {matcher for each in route["routes"] for matcher in each["matchers"]}
        assert routed == {f'severity="{rule["labels"]["severity"]}"' for rule in RULES.values()}
        assert route["group_by"]

    def test_what_inhibits_and_is_inhibited_exists(self) -> None:
        named = [
            name
            for rule in ALERTMANAGER["inhibit_rules"]
            for matcher in (*rule["source_matchers"], *rule["target_matchers"])
            for name in re.fullmatch(r'alertname=~?"(.+)"', matcher)[1].split("|")  # type: ignore[index]
        ]
        assert set(named) <= RULES.keys()

    def test_prometheus_tells_it(self) -> None:
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        (manager,) = config["alerting"]["alertmanagers"]
        assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
        assert [Path(path).name for path in config["rule_files"]] == ["rules.yml"]
        jobs = {job["job_name"] for job in config["scrape_configs"]}
        asked = {job for rule in RULES.values() for job in re.findall(r'job="(\w+)"', rule["expr"])}
        assert asked <= jobs
