"""H1: the running API against its own document, property-based and stateful, with allowed and forbidden input."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from db.settings import DatabaseSettings
from deployments.identity.permissions import ROLES
from serve_app.edge.routes import jobs
from serve_app.settings import Settings
from tests.architecture.rooms import ROOT
from tests.serve_app.one_process import OneProcess, one_process, settings_for

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("SCHEMA_EXAMPLES", "5")
SEED = os.environ.get("SCHEMA_SEED", "1")

_DEADLINE_S = 540.0

# With these the tool would end the credential or the tenant that it works with.
SPARED = {"tenant:own", "api_keys:write", "users:write"}


@pytest.fixture(params=os.environ.get("SCHEMA_DATABASES", "sqlite").split(","))
def settings(request: pytest.FixtureRequest, tmp_path: Path, models_folder: Path) -> Settings:
    database: DatabaseSettings = request.getfixturevalue(
        "sqlite_settings" if request.param == "sqlite" else "postgres_settings"
    )
    return settings_for(tmp_path, database, rate_limits={}, models_dir=models_folder)


@pytest.mark.timeout(600)
async def test_the_api_is_what_its_document_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server error, no status, header or body that the document does not describe, nothing forbidden accepted."""
    # Nobody works here, so who waits for a job would wait in vain.
    monkeypatch.setattr(jobs, "_LONGEST_WAIT_S", 0.1)
    async with one_process(settings, monkeypatch, works=False) as platform:
        code, report = await _run(platform, await _key(platform), tmp_path)
    assert code == 0, report
    assert "Server error" not in report


async def _key(platform: OneProcess) -> str:
    owner = await platform.sign_up()
    new = {"name": "schema", "scopes": sorted(ROLES["owner"] - SPARED)}
    return str((await owner.post("/api/v1/api-keys", json=new)).json()["key"])


async def _run(platform: OneProcess, key: str, folder: Path) -> tuple[int, str]:
    options = {
        "--header": f"Authorization: Bearer {key}",
        "--phases": "examples,coverage,fuzzing,stateful",
        "--max-examples": EXAMPLES,
        "--seed": SEED,
        "--request-timeout": "20",
        # An answer without an end; see tests/serve_app/test_live_stream.py.
        "--exclude-operation-id": "stream_events",
    }
    tool = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"),
        f"http://127.0.0.1:{platform.settings.port}/api/v1/openapi.json",
        *("--no-color", "--continue-on-failure"),
        *(part for option in options.items() for part in option),
        cwd=folder,
        env={
            # Nobody measures the tool itself.
            **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.security.tool",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            output, _ = await tool.communicate()
    finally:
        with suppress(ProcessLookupError):
            tool.kill()
        await tool.wait()
    lines = (line[:300] for line in output.decode(errors="replace").splitlines())
    return tool.returncode or 0, "\n".join(lines)
