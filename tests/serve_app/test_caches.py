"""C: what the platform remembers, seen over HTTP."""

from pathlib import Path

import pytest

from db.settings import DatabaseSettings
from tests.serve_app.one_process import one_process, settings_for

DEFINITION = {"pages": [{"id": "p1", "elements": [{"id": "name", "type": "short_text", "title": "Name"}]}]}


async def test_a_dashboard_is_answered_from_memory_and_sees_every_change(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C1-C3: who reads over and over is answered without a question, who writes sees it at once, another tenant sees
    none of it; and `/health/cache` and the metrics tell how often, without a name of anybody."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        acme, globex = await platform.sign_up("acme"), await platform.sign_up("globex")
        made = await acme.post("/api/v1/forms", json={"slug": "f", "title": "One", "definition": DEFINITION})
        form = f"/api/v1/forms/{made.json()['id']}"
        assert (await acme.post(f"{form}/publish", json={})).status_code == 200
        counted = f"{form}/responses?include_total=true"
        for number in range(3):
            title = f"Title {number}"
            assert (await acme.patch(form, json={"title": title})).status_code == 200
            sent = await acme.post("/api/v1/public/acme/f/responses", json={"answers": {"name": "Ada"}})
            assert sent.status_code == 201, sent.text
            for _ in range(8):
                assert (await acme.get(form)).json()["title"] == title
                assert [each["title"] for each in (await acme.get("/api/v1/forms")).json()["data"]] == [title]
                assert (await acme.get("/api/v1/public/acme/f")).status_code == 200
                assert (await acme.get(counted)).json()["meta"]["total"] == number + 1
                assert (await globex.get(form)).status_code == 404
                assert (await globex.get("/api/v1/forms")).json()["data"] == []
        anybody = platform.client()
        health = await anybody.get("/health/cache")
        assert health.json()["hit_rate"] > 0.8
        caches = health.json()["caches"]
        assert caches["calm"]["forms"]["hits"] > caches["calm"]["forms"]["misses"]
        assert caches["calm"]["forms"]["absent"] > 0
        assert (caches["hot"]["response_counts"]["misses"], caches["hot"]["response_counts"]["hits"]) == (3, 21)
        assert caches["edge"]["credentials"]["hit_rate"] > 0.8
        metrics = (await anybody.get("/metrics")).text
        assert 'formstream_cache_reads_total{cache="forms",outcome="hits",process="calm"}' in metrics
        assert not any(name in health.text + metrics for name in ("acme", "globex"))
