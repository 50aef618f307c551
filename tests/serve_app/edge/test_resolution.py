"""T2, D8: selectors select, and never contradict each other or widen what a credential opens."""

import asyncio

import httpx
import pytest

from serve_app.settings import Settings
from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import SUBMIT, problem


@pytest.mark.parametrize("other", ["globex", "*", "..", "ACME", "", b"\xe4cme"])
async def test_a_header_that_contradicts_the_path_is_400(
    client: httpx.AsyncClient, fakes: Fakes, other: str | bytes
) -> None:
    problem(await client.post(SUBMIT, json={}, headers={"x-tenant-id": other}), 400, "tenant.ambiguous")
    assert not fakes.responses.submitted
    assert (await client.post(SUBMIT, json={}, headers={"x-tenant-id": "acme"})).status_code == 201


async def test_a_selector_given_twice_is_400(owner: httpx.AsyncClient) -> None:
    twice = [("authorization", "Bearer owner"), ("x-tenant-id", "acme"), ("x-tenant-id", "acme")]
    problem(await owner.get("/api/v1/me", headers=twice), 400, "tenant.ambiguous")


@pytest.mark.parametrize(
    "head",
    [
        "GET /api/v1/me HTTP/1.1\r\nhost: acme@evil",
        "GET /api/v1/me HTTP/1.1\r\nhost: acme.example:80:80",
        "GET /api/v1/me HTTP/1.1\r\nhost: a\r\nhost: b",
        "GET http://evil.example/api/v1/me HTTP/1.1\r\nhost: acme.example",
    ],
)
async def test_a_host_that_plays_games_is_400(client: httpx.AsyncClient, head: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(f"{head}\r\nauthorization: Bearer owner\r\nconnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")


async def test_without_isolation_headers_select_nothing(fakes: Fakes) -> None:
    """T8: the credential still decides."""
    async with running(fakes, tenant_isolation=False, default_tenant="acme") as client:
        headers = {"authorization": "Bearer owner", "x-tenant-id": "globex"}
        assert (await client.get("/api/v1/me", headers=headers)).json()["tenant_id"] == "acme"


def test_one_tenant_needs_its_name() -> None:
    """T8: refused at start-up, with a sentence that says what to do."""
    with pytest.raises(ValueError, match="needs FORMSTREAM_DEFAULT_TENANT"):
        Settings(tenant_isolation=False)
