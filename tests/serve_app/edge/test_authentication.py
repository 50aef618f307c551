"""Credentials, permissions and the tenant that a caller acts in."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from deployments.kit.errors import Unauthenticated, Unavailable
from deployments.kit.principal import Principal
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.test_answers import problem


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic abc", "Bearer wrong", "Bearer a b", b"Bearer \xff"])
async def test_no_valid_credential_is_401_before_anything_else(client: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    response = await client.post("/api/v1/forms", content=b"not json", headers=headers)
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_the_scheme_is_case_insensitive(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/me", headers={"authorization": "bearer owner"})
    assert response.json()["tenant_id"] == "acme"


async def test_a_missing_permission_is_403_before_the_body_is_read(client: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer reader"}
    problem(await client.post("/api/v1/forms", content=b"not json", headers=headers), 403, "forbidden")
    assert (await client.get("/api/v1/forms", headers=headers)).status_code == 200


async def test_x_tenant_id_narrows_and_never_widens(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    """T: another tenant is not found, whatever the header says, and whoever could be asked for it."""
    fakes.identity.principals["stranger"] = replace(fakes.identity.principals["owner"], tenant_id="globex")
    stranger = {"authorization": "Bearer stranger", "x-tenant-id": "acme"}
    problem(await owner.get("/api/v1/me", headers=stranger), 404, "tenant.not_found")
    assert (await owner.get("/api/v1/me", headers={"x-tenant-id": "acme"})).status_code == 200
    for tenant in ("globex", "_platform", "", "../acme"):
        problem(await owner.get("/api/v1/me", headers={"x-tenant-id": tenant}), 404, "tenant.not_found")
    # To be of the platform is not enough.
    clerk = replace(fakes.identity.principals["root"], scopes=frozenset({"forms:read"}))
    fakes.identity.principals["clerk"] = clerk
    headers = {"authorization": "Bearer clerk", "x-tenant-id": "acme"}
    problem(await owner.get("/api/v1/me", headers=headers), 404, "tenant.not_found")


async def test_a_platform_administrator_chooses_the_tenant(client: httpx.AsyncClient) -> None:
    root = {"authorization": "Bearer root"}
    assert (await client.get("/api/v1/me", headers=root)).json()["tenant_id"] == "_platform"
    chosen = await client.get("/api/v1/me", headers=root | {"x-tenant-id": "acme"})
    assert chosen.json()["tenant_id"] == "acme"
    assert (await client.get("/api/v1/me", headers=root | {"x-tenant-id": "nobody"})).status_code == 404


async def test_identity_is_asked_once_for_a_while(client: httpx.AsyncClient, fakes: Fakes) -> None:
    for credential in ("owner", "wrong"):
        headers = {"authorization": f"Bearer {credential}"}
        answers = await asyncio.gather(*(client.get("/api/v1/me", headers=headers) for _ in range(8)))
        assert len({answer.status_code for answer in answers}) == 1
    assert fakes.identity.asked == ["owner", "wrong"]


async def test_a_revoked_credential_stops_working_within_a_second(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    assert (await owner.get("/api/v1/me")).status_code == 200
    del fakes.identity.principals["owner"]
    async with asyncio.timeout(2):
        while (await owner.get("/api/v1/me")).status_code != 401:
            await asyncio.sleep(0.05)


async def test_concurrent_requests_share_one_question_and_one_leaving_harms_nobody(
    client: httpx.AsyncClient, fakes: Fakes
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()
    principal = fakes.identity.principals["owner"]

    async def slow(credential: str) -> Principal:
        fakes.identity.asked.append(credential)
        asked.set()
        await go.wait()
        return principal

    fakes.identity.authenticate = slow  # type: ignore[method-assign]
    headers = {"authorization": "Bearer owner"}
    leaving = asyncio.create_task(client.get("/api/v1/me", headers=headers))
    await asked.wait()
    staying = asyncio.create_task(client.get("/api/v1/me", headers=headers))
    leaving.cancel()
    go.set()
    assert (await staying).status_code == 200
    assert fakes.identity.asked == ["owner"]


async def test_an_outage_of_identity_is_not_remembered(client: httpx.AsyncClient, fakes: Fakes) -> None:
    answers: list[Exception] = [Unavailable(retry_after=1), Unauthenticated()]

    async def failing(credential: str) -> Principal:
        raise answers.pop(0)

    fakes.identity.authenticate = failing  # type: ignore[method-assign]
    headers = {"authorization": "Bearer owner"}
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 503
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
