"""Health, metrics, and the page of the API document."""

import asyncio
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.kit.cache import Caches
from deployments.kit.calls import answer
from serve_app.edge.dispatch import Dispatcher
from serve_app.edge.metrics import Metrics
from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import SUBMIT


async def test_liveness_asks_nobody(client: httpx.AsyncClient, fakes: Fakes) -> None:
    async def broken() -> None:
        raise RuntimeError

    fakes.probes["responses"] = broken
    response = await client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_readiness_names_what_fails(client: httpx.AsyncClient, fakes: Fakes) -> None:
    async def works() -> None:
        return

    async def broken() -> None:
        raise RuntimeError("secret host name")

    async def hangs() -> None:
        await asyncio.Event().wait()

    fakes.probes |= {"identity": works}
    fakes.events.oldest_s = 0.25
    assert (await client.get("/health/ready")).json() == {
        "status": "ok",
        "checked": ["identity"],
        "failing": [],
        "degraded": [],
        "oldest_unpublished_event_s": 0.25,
    }
    fakes.probes |= {"forms": broken, "responses": hangs}
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["failing"] == ["forms", "responses"]
    assert response.headers["retry-after"] == "1"
    assert "secret" not in response.text


async def test_what_does_not_work_is_named_while_requests_are_taken(client: httpx.AsyncClient, fakes: Fakes) -> None:
    """E7: NATS, mail or the disk are no reason to send clients away, and no secret either."""
    fakes.events.components = {"nats": False, "smtp": False, "disk": True}
    response = await client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["degraded"] == ["nats", "smtp"]
    text = (await client.get("/metrics")).text
    assert 'formstream_component_healthy{component="nats"} 0.0' in text
    assert 'formstream_component_healthy{component="disk"} 1.0' in text
    assert 'formstream_consumer_pending_events{consumer="mail"} 7.0' in text
    assert 'formstream_consumer_waiting_events{consumer="mail"} 2.0' in text
    assert 'formstream_consumer_dead_letters{consumer="mail"} 1.0' in text
    assert "formstream_backup_last_success_timestamp_seconds 1.79533404225e+09" in text
    assert "formstream_drill_last_success_timestamp_seconds 1.79534e+09" in text
    assert "formstream_drill_findings 0.0" in text
    assert "formstream_events_oldest_unpublished_seconds 0.0" in text
    assert fakes.events.asked == 1


async def test_numbers_that_cannot_be_had_are_not_made_up(client: httpx.AsyncClient, fakes: Fakes) -> None:
    fakes.events.failure = RuntimeError("no")
    report = (await client.get("/health/ready")).json()
    assert (report["status"], report["degraded"], report["oldest_unpublished_event_s"]) == (
        "degraded",
        ["events"],
        None,
    )
    assert "formstream_consumer_pending_events{" not in (await client.get("/metrics")).text


async def test_requests_are_counted_by_operation_and_status(client: httpx.AsyncClient) -> None:
    await client.post(SUBMIT, json={})
    await client.get("/api/v1/forms")
    await client.get("/api/v1/forms")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    count = "formstream_http_requests_total"
    assert samples[count, ("operation", "submit_public_response"), ("status", "201")] == 1
    assert samples[count, ("operation", "list_forms"), ("status", "401")] == 2
    assert samples["formstream_http_request_duration_seconds_count", ("operation", "list_forms")] == 2
    assert samples[("formstream_http_requests_in_flight",)] == 1, "the request for the metrics itself"


async def test_metrics_may_want_a_token_of_their_own(fakes: Fakes) -> None:
    """O2: nobody but Prometheus reads them; whoever is logged in does not either."""
    async with running(fakes, metrics_token="of-prometheus") as client:
        for header in ({}, {"Authorization": "Bearer owner"}, {"Authorization": "Bearer of-prometheus2"}):
            refused = await client.get("/metrics", headers=header)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
        read = await client.get("/metrics", headers={"Authorization": "Bearer of-prometheus"})
        assert read.status_code == 200
        assert "formstream_http_requests_total" in read.text


async def test_the_queues_are_measured() -> None:
    lane = Dispatcher(lambda batch: answer(batch, {}))
    lane.batches, lane.calls, lane.waiting = 3, 40, 7
    text = Metrics({"responses.hot": lane}, lambda: 5, Caches()).render().decode()
    assert 'formstream_dispatch_waiting_calls{lane="responses.hot"} 7.0' in text
    assert 'formstream_dispatch_calls_total{lane="responses.hot"} 40.0' in text
    assert 'formstream_dispatch_batches_total{lane="responses.hot"} 3.0' in text
    assert "formstream_live_listeners 5.0" in text


async def test_the_page_needs_no_other_host_and_no_inline_script(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/v1/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "connect-src 'self'" in policy
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) >= 5
    for link in links:
        assert link.startswith("/api/v1/")
        asset = await client.get(link)
        assert (asset.status_code, bool(asset.content)) == (200, True), link
        assert asset.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)", page.text)
    assert not re.search(r"\son\w+=", page.text)


async def test_the_document_and_its_page_can_be_switched_off(fakes: Fakes) -> None:
    async with running(fakes, docs=False) as client:
        assert (await client.get("/api/v1/docs")).status_code == 404
        assert (await client.get("/api/v1/openapi.json")).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/docs/../../etc/passwd", "/api/v1/docs/redoc.standalone.js"])
async def test_no_other_file_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404
