"""What the doctor says of one thing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serve_app.cli.doctor.finding import Finding, Severity
from serve_app.cli.doctor.installation import Installation
from serve_app.settings import Settings

CLUSTER = Path(__file__).parents[4] / "serve_config.yaml"


def installation(data_dir: Path, *, serve_config: Path | None = None, **values: Any) -> Installation:
    """One with these settings and an empty environment."""
    return Installation(Settings(data_dir=data_dir, **values), {}, serve_config)


def worst(findings: Iterable[Finding], check: str) -> Finding:
    """The worst finding of a check, which has to have one, and a cure when it is not well."""
    found = max((each for each in findings if each.check == check), key=lambda each: each.severity)
    assert bool(found.cure) == (found.severity is not Severity.OK), found
    return found
