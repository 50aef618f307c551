"""The hot path: a submission goes to its context as it came."""

import httpx
import pytest

from deployments.responses.contracts import SubmittedResponse
from tests.serve_app.edge.fakes import NOW, Fakes
from tests.serve_app.edge.test_answers import SUBMIT, problem

BODY = b'{"answers": {"email": "a@b.c"}, "meta": {}}'
JSON = {"content-type": "application/json"}


async def test_a_visitor_submits(client: httpx.AsyncClient, fakes: Fakes) -> None:
    response = await client.post(SUBMIT, content=BODY, headers=JSON | {"idempotency-key": "key-1"})
    assert response.status_code == 201
    assert response.json() == {
        "id": "rsp_1",
        "status": "complete",
        "version": 1,
        "submitted_at": "2026-03-01T12:00:00Z",
    }
    assert "idempotent-replayed" not in response.headers
    [(principal, command)] = fakes.responses.submitted
    assert (principal.kind, principal.tenant_id) == ("anonymous", "acme")
    assert (command.body, command.slug, command.form_id, command.idempotency_key) == (BODY, "party", None, "key-1")


@pytest.mark.parametrize("path", ["/api/v1/forms/frm_1/responses", "/api/v1/forms/frm_1/submit"])
async def test_a_credential_submits(owner: httpx.AsyncClient, fakes: Fakes, path: str) -> None:
    response = await owner.post(path, content=BODY, headers=JSON)
    assert response.status_code == 201
    [(principal, command)] = fakes.responses.submitted
    assert (principal.kind, principal.tenant_id, principal.subject) == ("user", "acme", "usr_1")
    assert (command.body, command.slug, command.form_id, command.idempotency_key) == (BODY, None, "frm_1", None)


async def test_a_replay_says_so(client: httpx.AsyncClient, fakes: Fakes) -> None:
    fakes.responses.answer = lambda: SubmittedResponse(
        id="rsp_1", status="complete", version=1, submitted_at=NOW, replayed=True
    )
    response = await client.post(SUBMIT, content=BODY, headers=JSON | {"idempotency-key": "k"})
    assert (response.status_code, response.headers["idempotent-replayed"]) == (201, "true")


@pytest.mark.parametrize("key", ["", "x" * 256, "has space", b"caf\xe9"])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, fakes: Fakes, key: str) -> None:
    response = await client.post(SUBMIT, content=BODY, headers=JSON | {"idempotency-key": key})
    problem(response, 422, "invalid")
    assert not fakes.responses.submitted


async def test_no_body_goes_to_the_context_as_no_body(client: httpx.AsyncClient, fakes: Fakes) -> None:
    await client.post(SUBMIT, headers=JSON)
    assert fakes.responses.submitted[0][1].body == b""


async def test_a_list_of_responses_is_asked_for_in_the_contract_s_words(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    path = "/api/v1/forms/frm_1/responses"
    more = "filter[score][gte]=9&filter[side]=corn&fields=name,score&where=not+exists+email&q=late&status=complete"
    response = await owner.get(f"{path}?sort=submitted_at&limit=1000&include_total=true&cursor=abc&version=2&{more}")
    assert response.json()["meta"] == {"limit": 1000, "next_cursor": None, "total": 0}
    [query] = fakes.responses.queries
    assert query.model_dump() == {
        "form_id": "frm_1",
        "filter": {"score": {"gte": "9"}, "side": "corn"},
        "where": "not exists email",
        "q": "late",
        "status": "complete",
        "version": 2,
        "fields": ["name", "score"],
        "sort": "submitted_at",
        "cursor": "abc",
        "limit": 1000,
        "include_total": True,
    }
    problem(await owner.get(f"{path}?sort=answers&limit=1001"), 422, "invalid")


async def test_a_search_is_a_list_in_other_words(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    """R4: with the mode that there is."""
    path = "/api/v1/forms/frm_1/search"
    response = await owner.post(path, json={"query": "late", "mode": "text", "filter": {"score": {"in": [1, 2]}}})
    assert response.status_code == 200
    [query] = fakes.responses.queries
    assert (query.form_id, query.q, query.filter) == ("frm_1", "late", {"score": {"in": [1, 2]}})
    problem(await owner.post(path, json={"query": "late", "mode": "guess"}), 422, "invalid")
    problem(await owner.post(path, json={"query": ""}), 422, "invalid")


async def test_changes_are_asked_for_by_cursor(owner: httpx.AsyncClient) -> None:
    path = "/api/v1/forms/frm_1/responses/changes"
    assert (await owner.get(path)).json() == {"data": [], "next_cursor": "first", "has_more": False}
    assert (await owner.get(f"{path}?after=abc&limit=1000")).json()["next_cursor"] == "abc"
    problem(await owner.get(f"{path}?limit=1001"), 422, "invalid")


@pytest.mark.parametrize(
    "query", ["filter[a]=1&filter[a][eq]=2", "filter=1", "filter[a]=1&filter[a]=2", "filter[]=1", "sort[a]=1", "a[b]=1"]
)
async def test_brackets_that_mean_nothing_are_refused(owner: httpx.AsyncClient, fakes: Fakes, query: str) -> None:
    """H2."""
    problem(await owner.get(f"/api/v1/forms/frm_1/responses?{query}"), 422, "invalid")
    assert not fakes.responses.queries
