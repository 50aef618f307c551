"""O7: in maintenance nothing is changed, everything can be read, and nobody has to restart anything."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from deployments.identity.contracts import Maintenance, TenantProfile
from deployments.kit.principal import PLATFORM_TENANT
from serve_app.edge.maintenance import GOES_ON, is_refused
from serve_app.edge.routes import OPERATIONS
from tests.serve_app.edge.fakes import Fakes, running

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def closed(fakes: Fakes) -> Fakes:
    fakes.identity.profiles[PLATFORM_TENANT] = _platform(reason="A new disk.")
    return fakes


def _platform(**values: object) -> TenantProfile:
    return TenantProfile(
        id=PLATFORM_TENANT, status="active", maintenance=Maintenance.model_validate({"since": SINCE, **values})
    )


async def test_writes_are_refused_with_a_time_to_come_back(closed: Fakes, owner: httpx.AsyncClient) -> None:
    for answer in (
        await owner.post("/api/v1/forms/frm_1/responses", json={"answers": {}}),
        await owner.delete("/api/v1/forms/frm_1"),
        await owner.post("/api/v1/public/acme/party/responses", json={"answers": {}}),
    ):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "60"
        problem = answer.json()
        assert (problem["code"], problem["detail"]) == ("maintenance", "A new disk.")
    assert closed.forms.commands == []


async def test_reads_go_on(closed: Fakes, owner: httpx.AsyncClient) -> None:
    assert (await owner.get("/api/v1/forms/frm_1")).status_code == 200
    assert (await owner.get("/api/v1/public/acme/party")).status_code == 200


async def test_the_time_to_come_back_is_that_of_its_end(fakes: Fakes, owner: httpx.AsyncClient) -> None:
    fakes.identity.profiles[PLATFORM_TENANT] = _platform(until=datetime.now(UTC) + timedelta(seconds=300))
    late = int((await owner.delete("/api/v1/forms/frm_1")).headers["retry-after"])
    assert 290 <= late <= 300


async def test_an_end_that_is_past_does_not_open_anything(fakes: Fakes, owner: httpx.AsyncClient) -> None:
    fakes.identity.profiles[PLATFORM_TENANT] = _platform(until=SINCE)
    assert (await owner.delete("/api/v1/forms/frm_1")).headers["retry-after"] == "1"


async def test_a_form_says_so_as_a_page(closed: Fakes) -> None:
    async with running(closed) as client:
        answer = await client.post("/f/acme/party", data={}, headers={"accept": "text/html", "accept-language": "de"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert answer.headers["content-type"].startswith("text/html")
    assert "gewartet" in answer.text


async def test_health_says_so(closed: Fakes, client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    report = answer.json()
    assert report["status"] == "maintenance"
    assert report["maintenance"]["reason"] == "A new disk."
    assert (await client.get("/health")).status_code == 200


async def test_it_begins_and_ends_without_a_restart(fakes: Fakes) -> None:
    async with running(fakes) as client:
        client.headers["authorization"] = "Bearer owner"
        assert (await client.get("/health/ready")).json()["status"] == "ok"
        fakes.identity.profiles[PLATFORM_TENANT] = _platform()
        assert (await client.delete("/api/v1/forms/frm_1")).status_code == 503
        del fakes.identity.profiles[PLATFORM_TENANT]
        assert (await client.get("/health/ready")).json()["status"] == "ok"


def test_what_goes_on_is_there_and_changes_nothing_of_a_tenant() -> None:
    by_id = {operation.id: operation for operation in OPERATIONS}
    assert set(by_id) >= GOES_ON
    assert all(by_id[name].method == "POST" for name in GOES_ON)
    refused = {operation.id for operation in OPERATIONS if is_refused(operation)}
    assert {"submit_response", "sign_up", "create_form", "append_to_upload", "update_tenant"} <= refused
    assert not refused & {"list_responses", "log_in", "analytics_query", "suspend_tenant"}
