"""What processes load before they do anything: their start is the time of the processors of the smallest machine."""

import subprocess
import sys

import pytest

from serve_app.ray_environment import RAY_ENVIRONMENT
from tests.e2e.platform import ROOT

# What takes long to load, and a process that needs it does not need it at once.
NEVER = {"alembic.command", "augurs", "duckdb", "openpyxl", "scipy", "sklearn", "sqlglot", "typst"}
PLATFORM = {"babel", "lark", "nats", "onnxruntime", "phonenumbers", "sanic", "usearch"}

EDGE = "serve_app.edge.deployment, serve_app.edge_contexts, serve_app.edge_credentials, serve_app.edge_link"
WORKER = "serve_app.worker, serve_app.subscriptions, deployments.responses.query.indexing"


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("serve_app.graph, serve_app.edge_host, serve_app.host, serve_app.models_host", PLATFORM | {"sqlalchemy"}),
        ("serve_app.worker", PLATFORM - {"nats"}),
        (EDGE, {"onnxruntime", "usearch", "PIL"}),
        (WORKER, {"sanic"}),
        ("serve_app.runtime, deployments.forms.deployment", {"onnxruntime", "sanic", "usearch", "PIL"}),
    ],
    ids=["whoever builds an application", "whoever builds a worker", "an edge", "a worker", "a context"],
)
def test_a_process_loads_only_what_it_runs(imported: str, absent: set[str]) -> None:
    """D6: what one process needs is not loaded by another, and what few calls need is loaded by the first of them."""
    loaded = modules_after(f"import {imported}")
    assert not (absent | NEVER) & loaded


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has loaded after this."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**RAY_ENVIRONMENT, "PYTHONPATH": str(ROOT)},
    )
    return set(done.stdout.split())
