"""H3: pages of other origins, and the headers that protect every answer."""

import httpx
import pytest

from deployments.identity.contracts import TenantProfile
from tests.serve_app.edge.fakes import Fakes, running

CONSOLE = "https://console.example"
PARTNER = "https://partner.example"
ASKS = {"access-control-request-method": "POST"}


async def test_the_console_may_use_everything(fakes: Fakes) -> None:
    async with running(fakes, console_origins=frozenset({CONSOLE})) as client:
        headers = {"origin": CONSOLE, "access-control-request-method": "PATCH"}
        asked = await client.options("/api/v1/forms/frm_1", headers=headers)
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["access-control-allow-origin"] == CONSOLE
        assert asked.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH"
        assert asked.headers["access-control-max-age"] == "600"
        answer = await client.get("/api/v1/me", headers={"origin": CONSOLE, "authorization": "Bearer owner"})
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*", "https://console.example.evil", ""])
async def test_any_other_origin_gets_nothing(fakes: Fakes, origin: str) -> None:
    async with running(fakes, console_origins=frozenset({CONSOLE})) as client:
        for answer in (
            await client.options("/api/v1/auth/login", headers={"origin": origin, **ASKS}),
            await client.options("/api/v1/public/acme/party/responses", headers={"origin": origin, **ASKS}),
            await client.get("/api/v1/me", headers={"origin": origin, "authorization": "Bearer owner"}),
            await client.get("/api/v1/me", headers={"origin": origin}),
        ):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


async def test_where_a_credential_is_needed_every_origin_may_ask_without_cookies(fakes: Fakes) -> None:
    """The preflight has no credential, so it cannot tell whose origins count; the answer itself does."""
    async with running(fakes) as client:
        asked = await client.options("/api/v1/forms", headers={"origin": PARTNER, **ASKS})
        assert asked.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in asked.headers
        assert "Authorization" in asked.headers["access-control-allow-headers"]


@pytest.mark.parametrize("allowed", [PARTNER, "*"])
async def test_a_tenant_says_whose_pages_may_submit(fakes: Fakes, allowed: str) -> None:
    fakes.identity.profiles["acme"] = TenantProfile(id="acme", status="active", allowed_origins=[allowed])
    fakes.identity.profiles["globex"] = TenantProfile(id="globex", status="active")
    async with running(fakes) as client:
        headers = {"origin": PARTNER, **ASKS}
        asked = await client.options("/api/v1/public/acme/party/responses", headers=headers)
        assert asked.headers["access-control-allow-origin"] == allowed
        answer = await client.post("/api/v1/public/acme/party/responses", json={}, headers={"origin": PARTNER})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (201, allowed)
        assert "access-control-allow-credentials" not in answer.headers
        elsewhere = await client.options("/api/v1/public/globex/party/responses", headers=headers)
        assert "access-control-allow-origin" not in elsewhere.headers


@pytest.mark.parametrize("allowed", ["null", "*"])
async def test_a_page_without_an_origin_may_nothing(fakes: Fakes, allowed: str) -> None:
    """`null` is said by every sandboxed frame and every file, whoever made it."""
    fakes.identity.profiles["acme"] = TenantProfile(id="acme", status="active", allowed_origins=[allowed])
    async with running(fakes, console_origins=frozenset({"null"})) as client:
        answer = await client.post("/api/v1/public/acme/party/responses", json={}, headers={"origin": "null"})
        assert answer.status_code == 201
        assert "access-control-allow-origin" not in answer.headers


async def test_the_credential_s_tenant_says_whose_pages_may_read(fakes: Fakes) -> None:
    """`*` is for visitors: a page that holds a credential has to be named."""
    profiles = fakes.identity.profiles
    async with running(fakes) as client:
        headers = {"origin": PARTNER, "authorization": "Bearer owner"}
        profiles["acme"] = TenantProfile(id="acme", status="active", allowed_origins=["*"])
        assert "access-control-allow-origin" not in (await client.get("/api/v1/me", headers=headers)).headers
    async with running(fakes) as client:
        profiles["acme"] = TenantProfile(id="acme", status="active", allowed_origins=[PARTNER])
        answer = await client.get("/api/v1/me", headers=headers)
        assert answer.headers["access-control-allow-origin"] == PARTNER


async def test_every_answer_is_protected(fakes: Fakes) -> None:
    """H3: problems too; only a public form is for other origins."""
    async with running(fakes, public_url="https://forms.example") as client:
        for path in ("/health", "/api/v1/me", "/api/v1/docs"):
            answer = await client.get(path)
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in answer.headers
        public: httpx.Response = await client.get("/api/v1/public/acme/party")
        assert public.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
