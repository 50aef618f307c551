"""The workflows: what CI has to do, and by whom (O10)."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.rooms import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def _steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in document["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
class TestEvery:
    def test_action_is_pinned_by_commit(self, path: Path) -> None:
        used = [step["uses"] for step in _steps(_read(path)) if "uses" in step]

        assert used
        assert all(PINNED.fullmatch(each) for each in used), used

    def test_job_has_only_the_rights_that_it_names(self, path: Path) -> None:
        document = _read(path)

        assert document["permissions"] == {}
        for job in document["jobs"].values():
            assert set(job["permissions"]) <= {"contents", "packages"}
            assert job["permissions"]["contents"] == "read"

    def test_checkout_leaves_no_credential_behind(self, path: Path) -> None:
        for step in _steps(_read(path)):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_ci_does_everything() -> None:
    """Lint, types and tests on both databases (`make test`), files, scans, the image and its start."""
    done = "\n".join(step.get("run", step.get("uses", "")) for step in _steps(_read(ROOT / ".github/workflows/ci.yml")))

    for part in (
        "make test",
        "make test-deploy",
        "make lint-deploy",
        "make scan sbom",
        "docker/build-push-action",
        "up --no-build --wait",
        "trivy",
    ):
        assert part in done


def test_production_waits_for_staging_and_gets_the_same_image() -> None:
    jobs = _read(ROOT / ".github/workflows/release.yml")["jobs"]

    assert jobs["image"]["needs"] == "ci"
    assert jobs["staging"]["needs"] == "image"
    assert set(jobs["production"]["needs"]) == {"image", "staging"}
    assert (jobs["staging"]["environment"]["name"], jobs["production"]["environment"]["name"]) == (
        "staging",
        "production",
    )
    (deploy,) = [step for step in jobs["production"]["steps"] if "deploy/kuberay/" in step.get("run", "")]
    assert "canary.sh" in deploy["run"], "few people meet it first"
    assert "needs.image.outputs.digest" in deploy["env"]["IMAGE"]
    assert jobs["production"]["steps"] == jobs["staging"]["steps"]


def test_what_ci_runs_are_targets_of_make() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    called = re.findall(r"\bmake ([a-z- ]+)", "\n".join(path.read_text() for path in WORKFLOWS))

    assert {name for words in called for name in words.split()} <= targets
