"""R5: files are fetched by those who may, in ranges, by links that expire, and are never rendered."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from db.session import Database
from deployments.files.signing import Signatures
from tests.deployments.files.scene import ask_for_files, noise, send
from tests.serve_app.one_process import OneProcess

CONTENT = noise(2_500_000)
Member = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def file(visitor: httpx.AsyncClient, form_id: str) -> str:
    """A file that a visitor sent, under a name of several alphabets."""
    return str((await send(visitor, CONTENT, "Ünï (文).txt")).json()["id"])


@pytest.fixture
def member(platform: OneProcess, owner: httpx.AsyncClient) -> Member:
    """Makes people of `acme`."""

    async def make(role: str, form_id: str | None = None) -> httpx.AsyncClient:
        person = {"email": f"{role}@acme.example", "password": "correct horse battery", "name": role, "role": role}
        made = (await owner.post("/api/v1/users", json=person)).json()
        if form_id is not None:
            given = await owner.put(f"/api/v1/forms/{form_id}/grants/{made['id']}", json={"role": "viewer"})
            assert given.status_code < 300, given.text
        login = {"tenant": "acme", "email": person["email"], "password": person["password"]}
        session = await platform.client().post("/api/v1/auth/login", json=login)
        return platform.client(session.json()["access_token"])

    return make


async def test_a_file_is_sent_to_be_saved(owner: httpx.AsyncClient, file: str) -> None:
    """R5: nothing of it is sniffed, framed or run, and its name is spelled as RFC 6266 says."""
    answer = await owner.get(f"/api/v1/files/{file}/content")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert int(answer.headers["content-length"]) == len(CONTENT)
    headers = answer.headers
    assert headers["content-disposition"] == (
        "attachment; filename=\"_n_ (_).txt\"; filename*=UTF-8''%C3%9Cn%C3%AF%20%28%E6%96%87%29.txt"
    )
    assert headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
    assert (headers["x-content-type-options"], headers["content-type"]) == ("nosniff", "text/plain")
    head = await owner.head(f"/api/v1/files/{file}/content")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", headers["content-length"])


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=1000000-", 1_000_000, len(CONTENT)),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=2499999-9999999999", 2_499_999, len(CONTENT)),
        ("bytes=-999999999", 0, len(CONTENT)),
    ],
)
async def test_a_range_is_a_part(owner: httpx.AsyncClient, file: str, wanted: str, start: int, end: int) -> None:
    """R5, RFC 9110 §14."""
    answer = await owner.get(f"/api/v1/files/{file}/content", headers={"range": wanted})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("wanted", ["bytes=1-2,4-5", "lines=1-2", "bytes=5-2", "bytes=", "bytes=-"])
async def test_a_range_that_is_none_is_ignored(owner: httpx.AsyncClient, file: str, wanted: str) -> None:
    answer = await owner.get(f"/api/v1/files/{file}/content", headers={"range": wanted})
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


async def test_a_range_beyond_the_end_is_416(owner: httpx.AsyncClient, file: str) -> None:
    answer = await owner.get(f"/api/v1/files/{file}/content", headers={"range": "bytes=2500000-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */2500000")


async def test_entity_tags_spare_the_bytes(owner: httpx.AsyncClient, file: str) -> None:
    path = f"/api/v1/files/{file}/content"
    tag = (await owner.head(path)).headers["etag"]
    assert (await owner.get(path, headers={"if-none-match": f'"other", {tag}'})).status_code == 304
    part = {"range": "bytes=0-9"}
    assert (await owner.get(path, headers={**part, "if-range": tag})).status_code == 206
    assert (await owner.get(path, headers={**part, "if-range": '"older"'})).status_code == 200


async def test_who_may_read_the_form_may_read_its_files(
    platform: OneProcess, form_id: str, file: str, member: Member, database: Database
) -> None:
    """R5, U5: a grant for a form opens its files and no others; nobody learns that the others are there."""
    path = f"/api/v1/files/{file}"
    other = await ask_for_files(database, slug="other")
    granted, stranger = await member("guest", form_id), await platform.sign_up("other")
    assert (await granted.get(f"{path}/content")).status_code == 200
    elsewhere = (await send(platform.client(), b"x", path="/api/v1/public/acme/other/files")).json()["id"]
    assert other
    for client, file_id in ((granted, elsewhere), (stranger, file), (stranger, "fil_" + "0" * 32)):
        for answer in (
            await client.get(f"/api/v1/files/{file_id}"),
            await client.get(f"/api/v1/files/{file_id}/content"),
            await client.post(f"/api/v1/files/{file_id}/link", json={}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "file.not_found")


async def test_a_link_opens_the_file_to_anybody_until_it_expires(
    platform: OneProcess, owner: httpx.AsyncClient, file: str, database: Database
) -> None:
    """R5: signed over tenant, file and moment; what is fetched and given out is in the audit trail."""
    made = (await owner.post(f"/api/v1/files/{file}/link", json={"expires_in": 60})).json()
    path = urlsplit(made["url"]).path
    anybody = platform.client()
    answer = await anybody.get(path)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    part = await anybody.get(path, headers={"range": "bytes=0-0"})
    assert (part.status_code, part.content) == (206, CONTENT[:1])
    trail = (await owner.get("/api/v1/audit")).json()["data"]
    assert [entry["action"] for entry in trail if entry["entity_id"] == file] == [
        *["file.fetched"] * 2,
        "file.link_created",
    ]
    await platform.sign_up("other")
    signed = path.rpartition("/")[2]
    tampered = [signed[:-1] + ("0" if signed[-1] != "0" else "1"), signed.replace(".", ".9", 1), "nonsense"]
    for wrong in (*(f"/api/v1/links/acme/{link}" for link in tampered), f"/api/v1/links/other/{signed}"):
        refused = await anybody.get(wrong)
        assert (refused.status_code, refused.json()["code"]) == (404, "file.not_found"), wrong
    async with database.unscoped_write() as unit:
        await unit.session.execute(text("UPDATE file SET response_id = 'rsp_gone', expires_at = NULL"))
    assert (await anybody.get(path)).status_code == 404  # a link is good no longer than the file


def test_a_link_is_over_when_it_says() -> None:
    from datetime import timedelta

    from db.types import utc_now

    signatures = Signatures("k" * 32)
    now, file_id = utc_now().replace(microsecond=0), "fil_" + "0" * 32
    signed = signatures.link("acme", file_id, now + timedelta(seconds=5))
    assert signatures.file_of_link("acme", signed, now + timedelta(seconds=4)) == file_id
    assert signatures.file_of_link("acme", signed, now + timedelta(seconds=5)) is None
    assert Signatures("x" * 32).file_of_link("acme", signed, now) is None


async def test_an_upload_is_not_a_link() -> None:
    """R5: what lets somebody send a file does not let them fetch one."""
    signatures = Signatures("k" * 32)
    file_id = "fil_" + "0" * 32
    assert signatures.file_of_upload("acme", signatures.upload("acme", file_id)) == file_id
    assert signatures.file_of_upload("other", signatures.upload("acme", file_id)) is None
    mac = signatures.upload("acme", file_id).rpartition(".")[2]
    from db.types import utc_now

    assert signatures.file_of_link("acme", f"{file_id}.99999999999.{mac}", utc_now()) is None


async def test_files_of_what_is_in_the_trash_are_gone(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, form_id: str, file: str, database: Database
) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(text("UPDATE form SET deleted_at = created_at"))
    assert (await owner.get(f"/api/v1/files/{file}")).status_code == 404
    async with database.unscoped_write() as unit:
        await unit.session.execute(text("UPDATE form SET deleted_at = NULL"))
    assert (await owner.get(f"/api/v1/files/{file}")).status_code == 200
