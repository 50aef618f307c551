"""T2, D8: selectors select, and never contradict each other or widen what a credential opens."""

import asyncio

import httpx
import pytest

from deployments.identity.contracts import TenantProfile
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


async def test_a_host_name_selects_its_tenant(fakes: Fakes) -> None:
    """T2: by a name that was given to it, or by its label below the platform's domain; and it never widens."""
    fakes.identity.profiles["acme"] = TenantProfile(id="acme", status="active", hosts=["forms.acme.example"])
    fakes.identity.profiles["globex"] = TenantProfile(id="globex", status="active")
    async with running(fakes, tenant_domain="forms.example") as client:

        async def seen_by(credential: str, host: str) -> httpx.Response:
            return await client.get("/api/v1/me", headers={"authorization": f"Bearer {credential}", "host": host})

        for host in ("forms.acme.example", "acme.forms.example", "ACME.forms.example.:8080"):
            assert (await seen_by("owner", host)).json()["tenant_id"] == "acme"
            assert (await seen_by("root", host)).json()["tenant_id"] == "acme"
        problem(await seen_by("owner", "globex.forms.example"), 404, "tenant.not_found")
        # A host that belongs to nobody selects nothing.
        assert (await seen_by("owner", "a.acme.forms.example")).json()["tenant_id"] == "acme"
        answer = await client.post(SUBMIT, json={}, headers={"host": "globex.forms.example"})
        problem(answer, 400, "tenant.ambiguous")
        both = {"authorization": "Bearer owner", "host": "acme.forms.example", "x-tenant-id": "globex"}
        problem(await client.get("/api/v1/me", headers=both), 400, "tenant.ambiguous")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [
        (0, "globex.forms.example", 200),
        (1, "globex.forms.example", 404),
        (1, "globex.forms.example, acme.forms.example", 200),
    ],
)
async def test_a_forwarded_host_counts_behind_a_trusted_proxy_only(
    fakes: Fakes, proxies: int, forwarded: str, status: int
) -> None:
    """T2: what a client writes before the proxy's own entry does not count either."""
    fakes.identity.profiles["globex"] = TenantProfile(id="globex", status="active")
    async with running(fakes, tenant_domain="forms.example", proxies=proxies) as client:
        headers = {"authorization": "Bearer owner", "host": "acme.forms.example", "x-forwarded-host": forwarded}
        assert (await client.get("/api/v1/me", headers=headers)).status_code == status


async def test_a_host_is_looked_up_once_for_many(fakes: Fakes) -> None:
    fakes.identity.profiles["acme"] = TenantProfile(id="acme", status="active", hosts=["forms.acme.example"])
    async with running(fakes) as client:
        headers = {"authorization": "Bearer owner", "host": "forms.acme.example"}
        answers = await asyncio.gather(*(client.get("/api/v1/me", headers=headers) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert fakes.identity.looked_up == ["forms.acme.example"]


async def test_a_login_that_names_nobody_s_tenant_is_404(fakes: Fakes) -> None:
    async with running(fakes) as client:
        login = {"email": "a@b.io", "password": "x"}
        answer = await client.post("/api/v1/auth/login", json=login, headers={"x-tenant-id": "nobody"})
        problem(answer, 404, "tenant.not_found")


async def test_a_deleted_tenant_is_selected_by_nothing(fakes: Fakes) -> None:
    """T3: neither its id nor its host name means anybody, whoever asks."""
    fakes.identity.profiles["globex"] = TenantProfile(id="globex", status="deleted", hosts=["forms.globex.example"])
    named = {"x-tenant-id": "globex"}
    async with running(fakes) as client:
        login = {"email": "a@b.io", "password": "x"}
        problem(await client.post("/api/v1/auth/login", json=login, headers=named), 404, "tenant.not_found")
        root = {"authorization": "Bearer root"}
        problem(await client.get("/api/v1/me", headers=root | named), 404, "tenant.not_found")
        host = {"host": "forms.globex.example"}
        assert (await client.get("/api/v1/me", headers=root | host)).json()["tenant_id"] == "_platform"


async def test_without_isolation_headers_select_nothing(fakes: Fakes) -> None:
    """T8: the credential still decides."""
    async with running(fakes, tenant_isolation=False, default_tenant="acme") as client:
        headers = {"authorization": "Bearer owner", "x-tenant-id": "globex"}
        assert (await client.get("/api/v1/me", headers=headers)).json()["tenant_id"] == "acme"


def test_one_tenant_needs_its_name() -> None:
    """T8: refused at start-up, with a sentence that says what to do."""
    with pytest.raises(ValueError, match="needs FORMSTREAM_DEFAULT_TENANT"):
        Settings(tenant_isolation=False)
