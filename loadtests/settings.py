"""What a run can be told, from the environment; the address is Locust's own `--host`."""

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Administrator:
    """The platform administrator who lifts the limits of the run's tenant."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may not reach: the share of requests that fail, and milliseconds for 95 of 100 submissions."""

    errors: float
    p95_ms: float


def limits() -> Limits:
    """From LOADTEST_ERRORS and LOADTEST_P95_MS."""
    return Limits(float(os.environ.get("LOADTEST_ERRORS", "0.001")), float(os.environ.get("LOADTEST_P95_MS", "100")))


TABLE = "LOADTEST_TABLE"
"""Names the file that the table of a run is kept in."""


def kept_table() -> Path | None:
    """Where `loadtests.run` wants the table."""
    return Path(os.environ[TABLE]) if os.environ.get(TABLE) else None


def haste() -> float:
    """How many times as fast as people everybody thinks, from LOADTEST_HASTE; 1 is as in life."""
    return float(os.environ.get("LOADTEST_HASTE", "1"))


def administrator() -> Administrator:
    """From LOADTEST_ADMIN_EMAIL and LOADTEST_ADMIN_PASSWORD, else from `admin.json` in the platform's data folder.

    The folder is FORMSTREAM_DATA_DIR, `.formstream` by default. Raises LookupError when there is neither.
    """
    email, password = os.environ.get("LOADTEST_ADMIN_EMAIL"), os.environ.get("LOADTEST_ADMIN_PASSWORD")
    if email and password:
        return Administrator(email, password)
    file = Path(os.environ.get("FORMSTREAM_DATA_DIR", ".formstream")) / "admin.json"
    try:
        kept = json.loads(file.read_text())
        return Administrator(kept["email"], kept["password"])
    except (OSError, ValueError, KeyError) as error:
        raise LookupError(
            f"no administrator: set LOADTEST_ADMIN_EMAIL and LOADTEST_ADMIN_PASSWORD, or let {file} be read"
        ) from error
