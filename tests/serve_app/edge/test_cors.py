"""H3: pages of other origins, and the headers that protect every answer."""

import httpx
import pytest

from tests.serve_app.edge.fakes import Fakes, running

CONSOLE = "https://console.example"


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
            await client.options("/api/v1/forms", headers={"origin": origin, "access-control-request-method": "POST"}),
            await client.get("/api/v1/me", headers={"origin": origin, "authorization": "Bearer owner"}),
            await client.get("/api/v1/me", headers={"origin": origin}),
        ):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


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
