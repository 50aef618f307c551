"""R5: a file becomes part of the response that names it, in the transaction of the response, and of no other."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from db.models.files import File
from db.session import Database
from db.types import new_id, utc_now
from tests.deployments.files.scene import ask_for_files, send
from tests.serve_app.one_process import OneProcess

PATH = "/api/v1/public/acme/party/responses"


async def put_file(database: Database, form_id: str, tenant_id: str = "acme", **columns: Any) -> str:
    """The row of a file that was sent; its id."""
    now = utc_now()
    row: Mapping[str, Any] = {
        "id": new_id("fil"),
        "form_id": form_id,
        "field_id": "cv",
        "state": "stored",
        "name": "cv.pdf",
        "size": 1,
        "uploaded_by": "anonymous",
        "created_at": now,
        "expires_at": now + timedelta(hours=1),
        **columns,
    }
    async with database.write(tenant_id) as unit:
        unit.session.add(File(tenant_id=tenant_id, **row))
    return str(row["id"])


async def submit(client: httpx.AsyncClient, answers: Any, **headers: str) -> httpx.Response:
    return await client.post(PATH, json={"answers": answers}, headers=headers)


def faults(answer: httpx.Response) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


async def owner_of(database: Database, file_id: str) -> str | None:
    async with database.unscoped_read() as unit:
        return await unit.session.scalar(text("SELECT response_id FROM file WHERE id = :id"), {"id": file_id})  # type: ignore[no-any-return]


async def responses(database: Database) -> int:
    async with database.unscoped_read() as unit:
        return int(await unit.session.scalar(text("SELECT count(*) FROM response")) or 0)


async def test_a_sent_file_is_part_of_the_response(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, form_id: str, database: Database
) -> None:
    """R5: from the upload to the list of the response's files."""
    file = (await send(visitor, b"hello")).json()
    response = (await submit(visitor, {"cv": [file["id"]]})).json()
    listed = (await owner.get(f"/api/v1/responses/{response['id']}/files")).json()
    assert [(found["id"], found["response_id"]) for found in listed["data"]] == [(file["id"], response["id"])]
    async with database.unscoped_read() as unit:
        expires = await unit.session.scalar(text("SELECT expires_at FROM file"))
    assert expires is None


async def test_what_is_in_the_trash_shows_no_files_until_it_comes_back(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, form_id: str
) -> None:
    """R5: neither to those who may read the form nor to whoever has a link."""
    file_id = (await send(visitor, b"hello")).json()["id"]
    response = f"/api/v1/responses/{(await submit(visitor, {'cv': [file_id]})).json()['id']}"
    file = f"/api/v1/files/{file_id}"
    link = urlsplit((await owner.post(f"{file}/link", json={})).json()["url"]).path

    async def statuses() -> set[int]:
        return {(await owner.get(path)).status_code for path in (file, f"{file}/content", link, f"{response}/files")}

    assert await statuses() == {200}
    assert (await owner.delete(response)).status_code == 204
    assert await statuses() == {404}
    assert (await owner.post(f"{response}/restore")).status_code == 200
    assert await statuses() == {200}


async def test_what_a_response_may_not_have_is_named_where_it_stands(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, platform: OneProcess, form_id: str, database: Database
) -> None:
    """R5, T5: another tenant's file is like one that never was; nothing is stored and nothing is taken."""
    await platform.sign_up("other")
    elsewhere = await ask_for_files(database, slug="elsewhere")
    good = await put_file(database, form_id)
    taken = await put_file(database, form_id, response_id="rsp_other", expires_at=None)
    wrong = [
        await put_file(database, await ask_for_files(database, tenant_id="other"), "other"),
        await put_file(database, elsewhere),
        await put_file(database, form_id, field_id="photo"),
        await put_file(database, form_id, state="receiving"),
        await put_file(database, form_id, expires_at=utc_now() - timedelta(seconds=1)),
        new_id("fil"),
    ]
    answer = await submit(visitor, {"cv": [good, taken, *wrong]})
    assert faults(answer) == {
        ("/answers/cv/1", "file.attached"),
        *((f"/answers/cv/{index}", "file.unknown") for index in range(2, 8)),
    }
    assert (await owner_of(database, good), await responses(database)) == (None, 0)
    assert (await submit(visitor, {"cv": [good]})).status_code == 201


async def test_of_many_that_want_a_file_one_gets_it(
    platform: OneProcess, owner: httpx.AsyncClient, form_id: str, database: Database
) -> None:
    """R5: also when all arrive at the same moment, and share a transaction."""
    first, second = [await put_file(database, form_id) for _ in range(2)]
    wishes = [[first, second], [second, first]] * 10
    answers = await asyncio.gather(*(submit(platform.client(), {"cv": wish}) for wish in wishes))
    (winner,) = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert await owner_of(database, first) == await owner_of(database, second) == winner
    assert await responses(database) == 1


async def test_a_response_that_finds_no_room_leaves_its_files(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, database: Database
) -> None:
    """R9: what the form's limit refuses may be sent again, with the same files."""
    form_id = await ask_for_files(database, settings={"max_responses": 1})
    files = [await put_file(database, form_id) for _ in range(4)]
    answers = await asyncio.gather(*(submit(visitor, {"cv": [file]}) for file in files))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert sorted([await owner_of(database, file) is None for file in files]) == [False, True, True, True]


async def test_a_repeated_call_keeps_its_file(visitor: httpx.AsyncClient, form_id: str, database: Database) -> None:
    """R1: the second call with the key is answered like the first, though the file is taken now."""
    file = await put_file(database, form_id)
    first = await submit(visitor, {"cv": [file]}, **{"idempotency-key": "k"})
    again = await submit(visitor, {"cv": [file]}, **{"idempotency-key": "k"})
    assert (again.status_code, again.json()) == (201, first.json())


async def test_files_in_repeating_groups_are_found(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, database: Database
) -> None:
    photo = {"id": "cv", "type": "image", "title": "?", "max_files": 2}
    group = {"id": "trips", "type": "group", "title": "?", "elements": [photo]}
    form_id = await ask_for_files(database, {"id": "s1", "type": "section", "elements": [group]})
    one, two = [await put_file(database, form_id) for _ in range(2)]
    answer = await submit(visitor, {"trips": [{"cv": [one]}, {"cv": [two, new_id("fil")]}]})
    assert faults(answer) == {("/answers/trips/1/cv/1", "file.unknown")}
    response = (await submit(visitor, {"trips": [{"cv": [one]}, {"cv": [two]}]})).json()
    assert await owner_of(database, one) == await owner_of(database, two) == response["id"]


async def test_forms_without_file_fields_ask_nothing(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R5: their submissions cost what they did before."""
    from db.repositories import submissions

    def never(*_: Any) -> Any:
        raise AssertionError("the table of files was asked")

    monkeypatch.setattr(submissions, "attach_files", never)
    await ask_for_files(database, {"id": "cv", "type": "short_text"})
    assert (await submit(visitor, {"cv": "text"})).status_code == 201
