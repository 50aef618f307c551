"""F6: forms and responses carried in and out over HTTP, on both databases."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.deployments.imports.samples import SURVEYJS, SURVEYJS_RESULTS
from tests.eventing.harness import empty_stream, eventually
from tests.serve_app.one_process import OneProcess, one_process, settings_for


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with empty_stream(nats_server):
        pass
    settings = settings_for(tmp_path, database_settings, nats_server)
    async with one_process(settings, monkeypatch) as running:
        yield running


async def imported(client: httpx.AsyncClient, name: str, slug: str, *files: bytes) -> dict[str, Any]:
    """The result of an import, once its job has ended."""
    data = {"format": name, "slug": slug, "title": "Imported"}
    started = await client.post("/api/v1/imports", data=data, files=[("file", ("f", content)) for content in files])
    assert started.status_code == 202, started.text

    async def has_ended() -> bool:
        return (await client.get(started.headers["location"])).json()["state"] in {"succeeded", "failed"}

    await eventually(has_ended)
    job = (await client.get(started.headers["location"])).json()
    assert job["state"] == "succeeded", job
    result: dict[str, Any] = job["result"]
    return result


async def test_a_survey_comes_in_with_its_results_and_goes_out_in_every_format(platform: OneProcess) -> None:
    """F6, F5: two files make one import; what is exported and imported again is the same definition."""
    async with await platform.sign_up() as client:
        files = json.dumps(SURVEYJS).encode(), json.dumps(SURVEYJS_RESULTS).encode()
        result = await imported(client, "surveyjs_json", "survey", *files)
        assert (result["imported"], result["errors_total"]) == (2, 2)
        assert {warning["code"] for warning in result["warnings"]} >= {"logic.untranslated", "answers.unmapped"}
        again = await imported(client, "surveyjs_json", "survey", *files)
        assert (again["imported"], again["skipped"]) == (0, 2)
        form = f"/api/v1/forms/{result['form_id']}"
        definition = (await client.get(form)).json()["definition"]
        responses = (await client.get(f"{form}/responses")).json()["data"]
        assert {"Ann", "Bob"} == {response["answers"]["your_name"] for response in responses}
        for name in ("formstream_json", "surveyjs_json", "xlsform"):
            file = await client.get(f"{form}/definition?format={name}&version=1")
            assert file.status_code == 200, file.text
            copy = await imported(client, name, f"copy-{name.replace('_', '-')}", file.content)
            assert copy["imported"] == 0
            assert (await client.get(f"/api/v1/forms/{copy['form_id']}")).json()["definition"] == definition
