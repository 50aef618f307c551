"""Prints every query of the dashboards as a recording rule, so that promtool says whether it is PromQL."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent / "dashboards"


def queries() -> Iterator[tuple[str, str, str]]:
    """Dashboard, panel and query of each."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard: dict[str, Any] = json.loads(path.read_text())
        for note in dashboard["annotations"]["list"]:
            yield path.stem, note["name"], note["expr"]
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                # What Grafana puts there: four times the time between two scrapes, at the least.
                yield path.stem, panel["title"], target["expr"].replace("$__rate_interval", "1m")


def rules() -> str:
    """The rules, as a file of Prometheus: JSON is YAML."""
    made = [
        {"record": f"{dashboard}:query_{number}", "expr": query}
        for number, (dashboard, _, query) in enumerate(queries(), 1)
    ]
    return json.dumps({"groups": [{"name": "dashboards", "rules": made}]}, indent=1)


if __name__ == "__main__":
    sys.stdout.write(rules())
