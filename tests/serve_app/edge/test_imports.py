"""Uploads: the file reaches the store in full, or nothing of it stays."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.kit.errors import Conflict
from deployments.kit.objects import ObjectStore
from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import problem
from tests.serve_app.edge.test_hostile_input import faults

PATH = "/api/v1/imports"
FIELDS = {"format": "surveymonkey_csv", "slug": "party", "title": "Party"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def client(fakes: Fakes, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = {"object_store_url": folder.as_uri(), "max_upload": 4_000_000, "upload_deadline_s": 0.5}
    async with running(fakes, **settings) as client:
        client.headers["authorization"] = "Bearer owner"
        yield client


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_file_is_stored_and_its_reference_travels(
    client: httpx.AsyncClient, fakes: Fakes, folder: Path
) -> None:
    content = bytes(range(256)) * 10_000 + b"\r\n--tricky\r\n--\r\n"
    response = await client.post(
        PATH,
        data=FIELDS | {"dry_run": "true"},
        files={"file": ("Ümfrage, 1.csv", content, "text/csv")},
        headers={"idempotency-key": "once"},
    )
    assert response.status_code == 202
    assert response.json() == {"job_id": "job_1"}
    assert response.headers["location"] == "/api/v1/jobs/job_1"
    [command] = fakes.imports.commands
    assert command.file.startswith("acme/imports/")
    assert (command.size, command.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (command.file_name, command.dry_run, command.idempotency_key) == ("Ümfrage, 1.csv", True, "once")
    store = ObjectStore(folder.as_uri())
    assert b"".join([piece async for piece in store.read(command.file)]) == content


@pytest.mark.parametrize("step", [1, 7, 64, 4096])
@pytest.mark.parametrize("boundary", ["x", "--", "a" * 70, "'()+_,-./:=?"])
async def test_boundaries_may_fall_anywhere(
    client: httpx.AsyncClient, fakes: Fakes, folder: Path, boundary: str, step: int
) -> None:
    content = f"--{boundary[:-1]}\r\n--\r\n\r\n--\n{boundary}\r".encode() * 3
    head = f"--{boundary}\r\ncontent-disposition: form-data; name=".encode()
    body = b"".join(head + f'"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in FIELDS.items())
    body += head + b'"file"; filename="a.csv"\r\n\r\n' + content + f"\r\n--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    response = await client.post(
        PATH, content=pieces(), headers={"content-type": f'multipart/form-data; boundary="{boundary}"'}
    )
    assert response.status_code == 202, response.text
    assert [path.read_bytes() for path in stored(folder)] == [content]
    assert fakes.imports.commands[0].size == len(content)


@pytest.mark.parametrize(
    ("data", "files", "expected"),
    [
        ({}, {"file": ("a", b"x")}, {("/format", "required"), ("/slug", "required"), ("/title", "required")}),
        (FIELDS, {}, {("/file", "required")}),
        (FIELDS, {"file": ("a", b"")}, {("/file", "length.min")}),
        (FIELDS | {"format": "pdf"}, {"file": ("a", b"x")}, {("/format", "option.unknown")}),
        (
            FIELDS | {"size": "3", "sha256": "0"},
            {"file": ("a", b"x")},
            {("/size", "unknown_property"), ("/sha256", "unknown_property")},
        ),
        (FIELDS | {"surprise": "3"}, {"file": ("a", b"x")}, {("/surprise", "unknown_property")}),
        (FIELDS | {"title": "x" * 5000}, {"file": ("a", b"x")}, {("/title", "length.max")}),
        (FIELDS | {"title": b"\xff"}, {"file": ("a", b"x")}, {("/title", "text.encoding"), ("/title", "length.min")}),
        (FIELDS | {"title": "a\0b"}, {"file": ("a", b"x")}, {("/title", "text.nul")}),
    ],
)
async def test_bad_fields_leave_no_file(
    client: httpx.AsyncClient, fakes: Fakes, folder: Path, data: Any, files: Any, expected: set[tuple[str, str]]
) -> None:
    parts = [(name, (None, value)) for name, value in data.items()] + list(files.items())
    response = await client.post(PATH, files=parts)
    assert faults(problem(response, 422, "invalid")) == expected
    assert not stored(folder)
    assert not fakes.imports.commands


async def test_a_refused_import_leaves_no_file(client: httpx.AsyncClient, fakes: Fakes, folder: Path) -> None:
    fakes.imports.failure = Conflict("The slug is taken.")
    problem(await client.post(PATH, data=FIELDS, files={"file": b"x"}), 409, "conflict")
    assert not stored(folder)


async def test_a_replayed_import_keeps_the_first_file_only(
    client: httpx.AsyncClient, fakes: Fakes, folder: Path
) -> None:
    await client.post(PATH, data=FIELDS, files={"file": b"x"}, headers={"idempotency-key": "k"})
    first = stored(folder)
    fakes.imports.replayed = True
    again = await client.post(PATH, data=FIELDS, files={"file": b"x"}, headers={"idempotency-key": "k"})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert stored(folder) == first


async def test_a_file_that_is_too_large_is_413(client: httpx.AsyncClient, folder: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield b"y" * 65536

    headers = {"content-type": "multipart/form-data; boundary=x"}
    problem(await client.post(PATH, content=pieces(), headers=headers), 413, "payload_too_large")
    problem(await client.post(PATH, files={"file": b"y" * 5_000_000}), 413, "payload_too_large")
    assert not stored(folder)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
        b"--x\r\ncontent-disposition: form-data\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\nbroken header\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n" + b"a: b\r\n" * 50 + b"\r\nabc\r\n--x--\r\n",
        b"--x\r\na: " + b"b" * 10_000 + b"\r\n\r\nabc\r\n--x--\r\n",
    ],
)
async def test_a_broken_body_is_400(client: httpx.AsyncClient, folder: Path, body: bytes) -> None:
    response = await client.post(PATH, content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    problem(response, 400, "multipart.syntax")
    assert not stored(folder)


@pytest.mark.parametrize("content_type", ["", "multipart/form-data", "application/json", "multipart/mixed; boundary=x"])
async def test_another_media_type_is_415(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post(PATH, content=b"{}", headers={"content-type": content_type})
    problem(response, 415, "unsupported_media_type")


async def test_too_many_parts_are_refused(client: httpx.AsyncClient, folder: Path) -> None:
    parts: Any = [(f"f{n}", (None, "x")) for n in range(30)]
    problem(await client.post(PATH, files=parts), 422, "invalid")
    assert not stored(folder)


async def test_a_client_that_leaves_leaves_no_file(client: httpx.AsyncClient, folder: Path) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 2_000_000
        begun.set()
        await never.wait()

    headers = {"content-type": "multipart/form-data; boundary=x"}
    upload = asyncio.create_task(client.post(PATH, content=pieces(), headers=headers))
    await begun.wait()
    upload.cancel()
    async with asyncio.timeout(5):
        while stored(folder):
            await asyncio.sleep(0.01)


async def test_an_upload_that_stalls_is_408(client: httpx.AsyncClient, folder: Path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer owner\r\ncontent-length: 999\r\n"
        "content-type: multipart/form-data; boundary=x\r\n\r\n--x".encode()
    )
    assert b"408" in await reader.readline()
    writer.close()
    assert not stored(folder)
