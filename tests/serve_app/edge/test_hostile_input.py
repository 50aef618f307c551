"""H: whatever comes in, the answer is a problem that says what is wrong, never a 500."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import FORM, SUBMIT, problem

JSON = {"content-type": "application/json"}


def faults(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(fault["pointer"], fault["code"]) for fault in document["errors"]}


async def test_every_fault_is_named_at_once(owner: httpx.AsyncClient) -> None:
    body = {"slug": "Not A Slug", "title": "", "settings": 3, "extra": 1}
    document = problem(await owner.post("/api/v1/forms", json=body), 422, "invalid")
    assert faults(document) == {
        ("/slug", "pattern"),
        ("/title", "length.min"),
        ("/settings", "type"),
        ("/extra", "unknown_property"),
        ("/definition", "required"),
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json.syntax"),
        (b"{", "json.syntax"),
        (b"\xff\xfe{}", "json.syntax"),
        (b'{"slug": "\xc3\x28"}', "json.syntax"),
        (b'{"slug": "a\x00b"}', "json.syntax"),
        (b'{"slug": "\\ud800"}', "json.syntax"),
        (b"{'slug': 1}", "json.syntax"),
        (b'{"slug": NaN}', "json.syntax"),
        (b"[" * 100_000, "json.syntax"),
    ],
)
async def test_what_is_not_json_is_400(owner: httpx.AsyncClient, body: bytes, code: str) -> None:
    problem(await owner.post("/api/v1/forms", content=body, headers=JSON), 400, code)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1e400", b"true"])
async def test_json_of_the_wrong_kind_is_422(owner: httpx.AsyncClient, body: bytes) -> None:
    response = await owner.post("/api/v1/forms", content=body, headers=JSON)
    assert response.status_code in (400, 422)
    assert response.json()["code"] in ("invalid", "json.syntax")


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" + b"[]," * 300_000 + b"[]]",
        b'{"definition":[' + b"1," * 400_000 + b"1]}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(60_000)) + b"}",
    ],
    ids=["lists", "numbers", "keys"],
)
async def test_a_bomb_of_small_values_is_refused(owner: httpx.AsyncClient, bomb: bytes) -> None:
    """H3: by their number, before anything looks at each of them."""
    document = problem(await owner.post("/api/v1/forms", content=bomb, headers=JSON), 422, "invalid")
    assert [fault["code"] for fault in document["errors"]] == ["json.size"]


async def test_an_answer_names_a_thousand_faults_at_most(owner: httpx.AsyncClient) -> None:
    body = {f"k{number}": 1 for number in range(5_000)}
    document = problem(await owner.post("/api/v1/forms", json=body), 422, "invalid")
    assert len(document["errors"]) == 1_000
    assert "first 1000 of 5003" in document["detail"]


@pytest.mark.parametrize("depth", [65, 1000])
async def test_deep_nesting_is_refused(owner: httpx.AsyncClient, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    body = f'{{"slug":"party","title":"T","definition":{nested}}}'
    document = problem(await owner.post("/api/v1/forms", content=body.encode(), headers=JSON), 422, "invalid")
    assert [fault["code"] for fault in document["errors"]] == ["json.depth"]


async def test_many_shallow_objects_are_fine(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    definition = {"pages": [{"id": f"p{n}", "elements": [[], {}]} for n in range(200)]}
    response = await owner.post("/api/v1/forms", json=FORM | {"definition": definition})
    assert response.status_code == 201
    assert fakes.forms.commands[0][1].definition == definition


async def test_the_nul_character_is_refused_where_it_stands(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    body = FORM | {"title": "a\0b", "definition": {"pages": [{"id": "x\0"}], "n\0ame": 1}}
    document = problem(await owner.post("/api/v1/forms", json=body), 422, "invalid")
    assert faults(document) == {
        ("/title", "text.nul"),
        ("/definition/pages/0/id", "text.nul"),
        ("/definition", "text.nul"),
    }
    escaped = await owner.post(
        "/api/v1/forms", content=rb'{"slug":"party","title":"\\u0000","definition":{}}', headers=JSON
    )
    assert (escaped.status_code, fakes.forms.commands[0][1].title) == (201, r"\u0000")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json; charset=latin-1", "multipart/form-data"])
@pytest.mark.parametrize("path", [SUBMIT, "/api/v1/forms"])
async def test_another_media_type_is_415(owner: httpx.AsyncClient, path: str, content_type: str) -> None:
    response = await owner.post(path, content=b"{}", headers={"content-type": content_type})
    problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
async def test_a_charset_of_utf8_is_fine(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post(SUBMIT, content=b"{}", headers={"content-type": content_type})
    assert response.status_code == 201


async def test_a_compressed_body_is_415(client: httpx.AsyncClient) -> None:
    response = await client.post(SUBMIT, content=b"{}", headers=JSON | {"content-encoding": "gzip"})
    problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 10 * 1024 * 1024])
async def test_a_body_that_is_too_large_is_413(client: httpx.AsyncClient, fakes: Fakes, size: int) -> None:
    problem(await client.post(SUBMIT, content=b"x" * size, headers=JSON), 413, "payload_too_large")

    async def pieces() -> Any:
        for _ in range(0, size, 65536):
            yield b"x" * 65536

    problem(await client.post(SUBMIT, content=pieces(), headers=JSON), 413, "payload_too_large")
    assert (await client.post(SUBMIT, content=b"x" * 1024 * 1024, headers=JSON)).status_code == 201
    assert [len(command.body) for _, command in fakes.responses.submitted] == [1024 * 1024]


async def test_a_body_in_pieces_arrives_whole(client: httpx.AsyncClient, fakes: Fakes) -> None:
    async def pieces() -> Any:
        for _ in range(50):
            yield b"0123456789"
            await asyncio.sleep(0)

    await client.post(SUBMIT, content=pieces(), headers=JSON)
    await client.post(SUBMIT, content=b"y" * 500_000, headers=JSON)
    assert [command.body for _, command in fakes.responses.submitted] == [b"0123456789" * 50, b"y" * 500_000]


async def test_a_body_that_never_comes_is_408(fakes: Fakes) -> None:
    async with running(fakes, deadline_s=0.05) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = f"POST {SUBMIT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
        writer.write(head.encode() + b"{")
        assert b"408" in await reader.readline()
        writer.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", {("/limit", "range.min")}),
        ("limit=101&cursor=" + "x" * 2049, {("/limit", "range.max"), ("/cursor", "length.max")}),
        ("limit=many", {("/limit", "type")}),
        ("limit=1&limit=2", {("/limit", "duplicate")}),
        ("surprise=1", {("/surprise", "unknown_property")}),
        ("cursor=a%00b", {("/cursor", "text.nul")}),
        ("cursor=%ff", {("", "query.syntax")}),
        ("&".join(f"a{n}=1" for n in range(200)), {("", "query.syntax")}),
    ],
)
async def test_a_query_is_checked_as_a_body_is(
    owner: httpx.AsyncClient, query: str, expected: set[tuple[str, str]]
) -> None:
    assert faults(problem(await owner.get(f"/api/v1/forms?{query}"), 422, "invalid")) == expected


@pytest.mark.parametrize("segment", ["%00", "%2e%2e", "a%2Fb", "x" * 201, "'", "%F0%9F%98%80", "-"])
async def test_an_id_that_cannot_be_one_is_404(owner: httpx.AsyncClient, fakes: Fakes, segment: str) -> None:
    """Path traversal among others: no context gets to see it."""
    response = await owner.delete(f"/api/v1/forms/{segment}")
    assert response.status_code == 404
    assert not fakes.forms.commands


@pytest.mark.parametrize("tenant", ["_platform", "UPPER", "a", "x" * 64])
async def test_a_tenant_that_cannot_be_one_is_404(client: httpx.AsyncClient, fakes: Fakes, tenant: str) -> None:
    response = await client.post(f"/api/v1/public/{tenant}/party/responses", json={})
    assert response.status_code == 404
    assert not fakes.responses.submitted


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"POST /api/v1/signup HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /api/v1/signup HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /api/v1/signup HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
        b"POST /api/v1/signup HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nbroken header\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_a_broken_request_is_a_problem_and_the_end_of_the_connection(
    client: httpx.AsyncClient, request_bytes: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(request_bytes)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert b"content-type: application/problem+json" in head
    assert b"x-correlation-id" in head
    assert b"bad_request" in body or b"head_too_large" in body
