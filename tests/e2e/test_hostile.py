"""H2, H3: bad input gets a problem, never a 500."""

import pytest

from tests.e2e.platform import Platform
from tests.factories import ANSWERS, PARTY

JSON = {"content-type": "application/json"}


@pytest.mark.cluster
async def test_bad_input_gets_a_problem(platform: Platform) -> None:
    client = await platform.sign_up("hostile")
    form = (await client.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})).json()
    await client.post(f"/api/v1/forms/{form['id']}/publish")
    bodies: list[tuple[bytes, set[int]]] = [
        (b"", {400}),
        (b"{", {400}),
        (b"null", {422}),
        (b"[]", {422}),
        (b"{}", {422}),
        (b"x" * 10_000_000, {413}),
        (b"[" * 1000 + b"]" * 1000, {400, 422}),
        (b'{"answers":' + b'{"a":' * 1000 + b"1" + b"}" * 1001, {400, 422}),
        (b'{"answers": 7}', {422}),
        (b'{"answers": {"name": 7, "email": [], "side": "corn", "score": "x"}}', {422}),
        (b'{"answers": {"name": "A", "email": "a@b.co", "colour": 1}}', {422}),
        (b'{"answers": {"name": "\xff\xfe", "email": "a@b.co"}}', {400}),
        (b'{"answers": {"name": "A\\u0000B", "email": "a@b.co"}}', {422}),
        (b'{"answers": {"name": "A\x00B", "email": "a@b.co"}}', {400}),
        (b'{"answers": {"name": "\\ud800", "email": "a@b.co"}}', {400, 422}),
        (b'{"answers": {"name": "A", "email": "a@b.co", "score": 1e999}}', {400, 422}),
    ]
    targets = [
        "/api/v1/public/hostile/party/responses",
        f"/api/v1/forms/{form['id']}/responses",
        f"/api/v1/forms/{form['id']}/submit",
    ]
    for target in targets:
        for body, expected in bodies:
            answer = await client.post(target, content=body, headers=JSON)
            assert answer.status_code in expected, (target, body[:60], answer.status_code, answer.text[:300])
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert {"type", "title", "status", "detail", "code", "correlation_id"} <= set(problem)
            assert problem["correlation_id"] == answer.headers["x-correlation-id"]
    for target in ("/api/v1/forms", "/api/v1/signup", "/api/v1/auth/login", "/api/v1/webhooks", "/api/v1/api-keys"):
        for body, _ in bodies:
            answer = await client.post(target, content=body, headers=JSON)
            assert 400 <= answer.status_code < 500, (target, body[:60], answer.status_code, answer.text[:300])
            assert answer.headers["content-type"] == "application/problem+json"
    for path in ("/api/v1/forms?limit=0", "/api/v1/forms?limit=x", "/api/v1/forms?cursor=%00", "/api/v1/forms/%00"):
        answer = await client.get(path)
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
    wrong = await client.post(targets[0], content=b"a=b", headers={"content-type": "application/x-www-form-urlencoded"})
    assert wrong.status_code == 415
    good = await client.post(targets[0], json={"answers": ANSWERS})
    assert good.status_code == 201, good.text
    await client.aclose()


@pytest.mark.cluster
async def test_no_credential_comes_before_bad_input(platform: Platform) -> None:
    """401 before validation."""
    async with platform.client() as anybody:
        assert (await anybody.post("/api/v1/forms", content=b"{", headers=JSON)).status_code == 401
        assert (await anybody.get("/api/v1/forms/frm_x")).status_code == 401
    async with platform.client("fsk_" + "0" * 43) as forged:
        assert (await forged.get("/api/v1/me")).status_code == 401
