"""O2: what `/metrics` tells of a running platform."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from db.settings import DatabaseSettings
from deployments.models.errors import ModelMissing
from serve_app.edge.measures import MEASURES
from serve_app.model_times import ModelTimes
from tests.factories import ANSWERS
from tests.serve_app.one_process import NOWHERE, one_process, settings_for
from tests.serve_app.test_one_process import publish_party

# What the library tells of every process, and when its counters began.
OF_THE_CLIENT = re.compile("^process_|^python_info$|_created$")


async def test_everything_that_is_told_is_declared_and_says_how_much_there_is(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, database_settings, NOWHERE)
    async with one_process(settings, monkeypatch, works=False) as platform:
        client = await platform.sign_up()
        await publish_party(client)
        for _ in range(2):
            submitted = await client.post("/api/v1/public/acme/party/responses", json={"answers": ANSWERS})
            assert submitted.status_code == 201, submitted.text
        hook = {"url": "http://127.0.0.1:9/hook", "events": ["response.submitted"]}
        webhook = (await client.post("/api/v1/webhooks", json=hook)).json()["id"]
        assert (await client.post(f"/api/v1/webhooks/{webhook}/test", json={})).status_code == 202
        text = (await client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    ours = {name: family.type for name, family in families.items() if not OF_THE_CLIENT.search(name)}
    assert ours == {measure.name: measure.kind for measure in MEASURES}
    for measure in MEASURES:
        for sample in families[measure.name].samples:
            assert sample.labels.keys() - {"le"} == set(measure.labels), measure.name
    assert told["formstream_tenants", ("state", "active")] == 1
    assert told["formstream_forms", ("state", "published")] == 1
    assert told["formstream_responses",] == 2
    assert told["formstream_users",] == 1
    assert told["formstream_webhook_endpoints", ("state", "enabled")] == 1
    assert told["formstream_webhook_deliveries_due",] == 1
    assert told["formstream_webhook_deliveries_oldest_seconds",] > 0
    assert told["formstream_webhook_deliveries_ended", ("state", "failed")] == 0
    assert told["formstream_db_pool_connections_max", ("process", "hot"), ("role", "write")] > 0
    assert told["formstream_db_pool_connections_in_use", ("process", "hot"), ("role", "write")] >= 0
    assert "acme" not in text


async def test_calls_of_models_are_timed_by_how_they_ended() -> None:
    class Models:
        async def embed(self, texts: list[str]) -> list[str]:
            return texts

        async def generate(self, _: str) -> None:
            raise ModelMissing

        async def installed(self) -> tuple[()]:
            return ()

    times = ModelTimes()
    models: Any = times.timed(Models())  # type: ignore[arg-type]
    assert await models.embed(["a"]) == ["a"]
    await models.installed()
    with pytest.raises(ModelMissing):
        await models.generate("a")
    found = {(each.method, each.outcome): each for each in times.numbers()}
    assert {key: each.calls for key, each in found.items()} == {("embed", "answered"): 1, ("generate", "failed"): 1}
    assert all(each.duration_s > 0 for each in found.values())
