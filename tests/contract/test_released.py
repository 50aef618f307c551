"""H1: what was released goes on to hold. The document of the last release is kept as it was."""

import copy
import json
import re
import tomllib
from datetime import date

from serve_app.cli.api_document import api_document
from tests.architecture.rooms import ROOT
from tests.contract.breaking import breaking_changes

RELEASED = sorted(
    (ROOT / "docs" / "reference").glob("openapi-*.json"),
    key=lambda path: [int(part) for part in re.findall(r"\d+", path.stem)],
)


def test_nothing_breaks_callers_of_the_last_release() -> None:
    """Where it must: deprecate the operation, add another, and wait for the sunset. See docs/guides/api.md."""
    old = json.loads(RELEASED[-1].read_text())
    assert breaking_changes(old, api_document(), date.today()) == []  # noqa: DTZ011 - a sunset is a day


def test_the_last_release_is_not_newer_than_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert RELEASED[-1].stem.removeprefix("openapi-") <= version


def test_a_change_of_what_was_released_would_be_seen() -> None:
    """In the real document, not only in a small one."""
    old = json.loads(RELEASED[-1].read_text())
    new = copy.deepcopy(old)
    operation = new["paths"]["/api/v1/forms"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    told = operation["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    new["components"]["schemas"][asked].setdefault("required", []).append("reason")
    del new["components"]["schemas"][told]["properties"]["slug"]
    found = breaking_changes(old, new, date(2026, 1, 1))
    assert any("demands the field reason" in each for each in found)
    assert any("has no field slug" in each for each in found)
