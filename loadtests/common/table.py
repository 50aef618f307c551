"""The table of a run: for each kind of request how many there were and how long they took."""

import json
from pathlib import Path
from typing import Any

COLUMNS = ("what", "requests", "failures", "a second", "p50 ms", "p95 ms", "p99 ms")


def rows(stats: Any) -> list[dict[str, Any]]:
    """Of Locust's statistics; the last row is of all."""
    entries = sorted(stats.entries.values(), key=lambda entry: str(entry.name))
    return [
        dict(
            zip(
                COLUMNS,
                (
                    entry.name,
                    entry.num_requests,
                    entry.num_failures,
                    round(entry.total_rps, 1),
                    *(entry.get_response_time_percentile(share) for share in (0.5, 0.95, 0.99)),
                ),
                strict=True,
            )
        )
        for entry in (*entries, stats.total)
    ]


def write(path: Path, stats: Any) -> None:
    """Keep the table."""
    path.write_text(json.dumps(rows(stats)))


def read(path: Path) -> list[dict[str, Any]]:
    """The kept table; empty where there is none, since the run broke off."""
    if not path.exists():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found
