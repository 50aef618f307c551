"""What every answer has, and the shape of every failure."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from sanic.router import Router
from structlog.testing import capture_logs

from deployments.forms.contracts import ListForms
from deployments.kit.engine import definition_schema
from deployments.kit.errors import Conflict, Fault, TooManyRequests, Unavailable
from tests.serve_app.edge.fakes import Fakes, running

SUBMIT = "/api/v1/public/acme/party/responses"
FORM = {"slug": "party", "title": "Party", "definition": {}}


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["type"] == f"urn:formstream:problem:{code}"
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == response.request.url.path
    assert document["correlation_id"] == response.headers["x-correlation-id"]
    return document


async def test_every_answer_names_its_request_and_the_version(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/nowhere", "/api/v1/forms"):
        response = await client.get(path)
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-correlation-id"])
        assert response.headers["x-api-version"] == "1"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["X-Correlation-ID", "X-Request-ID"])
async def test_a_well_formed_correlation_id_is_taken_over(client: httpx.AsyncClient, fakes: Fakes, name: str) -> None:
    response = await client.post(SUBMIT, json={}, headers={name: "order-4711"})
    assert response.headers["x-correlation-id"] == "order-4711"
    [(principal, _)] = fakes.responses.submitted
    assert principal.origin.request_id == "order-4711"


@pytest.mark.parametrize("value", ["short", "has space in it", "x" * 129, 'quote"quote"'])
async def test_any_other_is_replaced(client: httpx.AsyncClient, value: str) -> None:
    response = await client.get("/health", headers={"X-Correlation-ID": value})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-correlation-id"])


async def test_the_origin_has_address_agent_and_trace(client: httpx.AsyncClient, fakes: Fakes) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await client.post(SUBMIT, json={}, headers={"user-agent": "test/1", "traceparent": trace})
    strange = [(b"user-agent", b"caf\xe9\x01" * 200), (b"traceparent", b"nonsense")]
    await client.post(SUBMIT, json={}, headers=strange)
    first, second = (principal.origin for principal, _ in fakes.responses.submitted)
    assert (first.address, first.user_agent, first.traceparent) == ("127.0.0.1", "test/1", trace)
    assert len(second.user_agent) <= 256
    assert second.user_agent.isprintable()
    assert second.traceparent == ""


async def test_a_forwarded_address_is_believed_only_behind_a_trusted_proxy(fakes: Fakes) -> None:
    for proxies, expected in ((0, "127.0.0.1"), (1, "203.0.113.9")):
        async with running(fakes, proxies=proxies) as client:
            await client.post(SUBMIT, json={}, headers={"x-forwarded-for": "203.0.113.9"})
        assert fakes.responses.submitted[-1][0].origin.address == expected


async def test_lists_are_not_stored(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    response = await owner.get("/api/v1/forms?limit=7&cursor=abc")
    assert response.json() == {"data": [], "meta": {"limit": 7, "next_cursor": None, "total": None}}
    assert response.headers["cache-control"] == "private, no-store"
    assert fakes.forms.commands[0][1:] == (ListForms(cursor="abc", limit=7),)


async def test_an_unknown_address(client: httpx.AsyncClient) -> None:
    problem(await client.get("/api/v1/nowhere"), 404, "not_found")


async def test_a_method_that_the_address_does_not_take(client: httpx.AsyncClient) -> None:
    response = await client.put("/api/v1/forms")
    problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))


@pytest.mark.parametrize("method", ["PUT", "TRACE", "BREW"])
async def test_the_permitted_methods_are_named_where_the_address_has_parameters(
    client: httpx.AsyncClient, method: str
) -> None:
    response = await client.request(method, "/api/v1/forms/frm_1/versions/1")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_head_that_is_too_large_is_431(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/me", headers={"x-large": "x" * 20_000})
    assert (answer.status_code, answer.json()["code"]) == (431, "head_too_large")


async def test_head_is_get_without_a_body(owner: httpx.AsyncClient) -> None:
    response = await owner.head("/api/v1/forms/frm_1")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["etag"] == '"3"'


async def test_a_failure_of_a_context_keeps_its_words_and_faults(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    async def fail() -> None:
        raise Conflict("The slug is taken.", faults=(Fault("/slug", "taken", "is taken"),))

    fakes.responses.answer = fail
    document = problem(await owner.post("/api/v1/forms/frm_1/responses", json={}), 409, "conflict")
    assert document["detail"] == "The slug is taken."
    assert document["errors"] == [{"pointer": "/slug", "code": "taken", "detail": "is taken"}]


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [(TooManyRequests(retry_after=2.2), 429, "3"), (Unavailable(), 503, "1"), (Unavailable(retry_after=0.1), 503, "1")],
)
async def test_too_much_says_when_to_come_back(
    client: httpx.AsyncClient, fakes: Fakes, error: Exception, status: int, wait: str
) -> None:
    async def fail() -> None:
        raise error

    fakes.responses.answer = fail
    response = await client.post(SUBMIT, json={})
    assert (response.status_code, response.headers["retry-after"]) == (status, wait)


async def test_a_defect_is_logged_and_tells_nothing(client: httpx.AsyncClient, fakes: Fakes) -> None:
    async def fail() -> None:
        raise RuntimeError("the password is hunter2")

    fakes.responses.answer = fail
    with capture_logs() as logs:
        response = await client.post(SUBMIT, json={})
    problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert any(log["event"] == "request failed" and log.get("exc_info") for log in logs)


async def test_a_defect_before_the_handler_tells_nothing_either(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(Router, "get", fail)
    with capture_logs() as logs:
        response = await client.get("/health")
    problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert any(log["event"] == "request failed" and log.get("exc_info") for log in logs)


async def test_failed_and_slow_requests_are_logged_others_only_when_asked(fakes: Fakes) -> None:
    with capture_logs() as logs:
        async with running(fakes) as client:
            await client.get("/health")
            await client.get("/api/v1/forms")
        quiet = [log["operation"] for log in logs if log["event"] == "request"]
        async with running(fakes, access_log=True) as client:
            await client.get("/health")
    assert quiet == ["list_forms"]
    [log] = [log for log in logs if log["event"] == "request" and log["operation"] == "health"]
    assert (log["status"], log["method"], log["path"]) == (200, "GET", "/health")


async def test_a_resume_token_is_in_no_line(fakes: Fakes) -> None:
    """R1: whoever reads the log could go on with the answers of somebody else."""
    token = "a-token-that-opens-a-response-of-somebody"
    with capture_logs() as logs:
        async with running(fakes, access_log=True) as client:
            await client.get(f"/api/v1/public/responses/{token}")
    [line] = [log for log in logs if log["event"] == "request"]
    assert line["path"] == "/api/v1/public/responses/{resume_token}"
    assert token not in str(logs)


async def test_a_client_that_leaves_cancels_the_call(client: httpx.AsyncClient, fakes: Fakes) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    fakes.responses.answer = hang
    request = asyncio.create_task(client.post(SUBMIT, json={}))
    await started.wait()
    request.cancel()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_revision_guards_a_change(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    changed = await owner.patch("/api/v1/forms/frm_1", json={"title": "T"}, headers={"if-match": '"3"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"4"')
    assert fakes.forms.commands[-1][1].if_match == 3
    for stale in ('"2"', '"nonsense"'):
        response = await owner.patch("/api/v1/forms/frm_1", json={"title": "T"}, headers={"if-match": stale})
        problem(response, 412, "precondition_failed")


async def test_a_public_form_that_the_client_has_is_not_sent_again(client: httpx.AsyncClient, fakes: Fakes) -> None:
    first = await client.get("/api/v1/public/acme/party")
    assert (first.status_code, first.json()["title"]) == (200, "acme")
    tag = first.headers["etag"]
    again = await client.get("/api/v1/public/acme/party", headers={"if-none-match": f'"old", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    fakes.forms.open = False
    closed = await client.get("/api/v1/public/acme/party", headers={"if-none-match": tag})
    assert (closed.status_code, closed.json()["open"]) == (200, False)


async def test_the_schema_of_definitions_is_public_and_kept(client: httpx.AsyncClient) -> None:
    """F1: editors get the schema without a credential, and do not get it twice."""
    first = await client.get("/api/v1/forms/definition-schema")
    assert (first.status_code, first.headers["content-type"]) == (200, "application/schema+json")
    assert first.json() == definition_schema()
    again = await client.get("/api/v1/forms/definition-schema", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_created_and_deleted(owner: httpx.AsyncClient) -> None:
    created = await owner.post("/api/v1/forms", json=FORM)
    assert (created.status_code, created.headers["location"]) == (201, "/api/v1/forms/frm_1")
    deleted = await owner.delete("/api/v1/forms/frm_1")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "content-type" not in deleted.headers
