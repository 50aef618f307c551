"""Sending files: a slow or broken sender leaves nothing, and what is refused is refused before it has all come."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.types import utc_now
from deployments.files.contracts import AppendPart, BeginUpload, StoredFile, Upload
from deployments.files.errors import DangerousFile
from deployments.kit.principal import Principal
from serve_app.edge.downloads import attachment
from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import problem

PATH = "/api/v1/public/acme/party/files"
HEAD = b'--x\r\ncontent-disposition: form-data; name="field"\r\n\r\ncv\r\n'
FILE = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
HEADERS = {"content-type": "multipart/form-data; boundary=x"}


class FakeFiles:
    """Lets everything in, up to `room` bytes."""

    def __init__(self) -> None:
        self.room = 1_000_000
        self.begun: list[BeginUpload] = []
        self.cancelled = asyncio.Event()
        self.failure: Exception | None = None

    def upload(self) -> Upload:
        folder = "acme/uploads/fil_1"
        return Upload(
            id="fil_1",
            form_id="frm_1",
            upload_id="up_1",
            offset=0,
            size=self.room,
            expires_at=utc_now(),
            folder=folder,
        )

    async def begin_upload(self, principal: Principal, command: BeginUpload) -> Upload:
        self.begun.append(command)
        return self.upload()

    async def append_part(self, principal: Principal, upload_id: str, part: AppendPart) -> Upload:
        if self.failure is not None:
            raise self.failure
        stored = StoredFile(id="fil_1", name="a.txt", size=part.size, type="text/plain", sha256="0")
        return self.upload().model_copy(update={"file": stored})

    async def cancel_upload(self, principal: Principal, upload_id: str, short_of_quota: bool) -> None:
        self.cancelled.set()


@pytest.fixture
def files(fakes: Fakes) -> FakeFiles:
    fakes.files = FakeFiles()
    return fakes.files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def client(fakes: Fakes, files: FakeFiles, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings: dict[str, Any] = {"object_store_url": folder.as_uri(), "upload_deadline_s": 0.5}
    async with running(fakes, **settings) as client:
        yield client


def objects(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_slow_sender_is_cut_off(client: httpx.AsyncClient, files: FakeFiles, folder: Path) -> None:
    """R5: it has so long and no longer; its room is given back and its bytes are gone."""

    async def drops() -> AsyncIterator[bytes]:
        yield HEAD + FILE + b"y" * 100_000
        while not files.cancelled.is_set():
            yield b"y"
            await asyncio.sleep(0.05)

    problem(await client.post(PATH, content=drops(), headers=HEADERS), 408, "request_timeout")
    assert len(files.begun) == 1
    assert files.cancelled.is_set()
    assert objects(folder) == []


async def test_what_does_not_fit_is_refused(client: httpx.AsyncClient, files: FakeFiles, folder: Path) -> None:
    """R5: the limit holds while the file streams, whatever length was announced."""
    files.room = 200_000

    async def flood() -> AsyncIterator[bytes]:
        yield HEAD + FILE
        for _ in range(100):
            yield b"y" * 65_536

    answer = await client.post(PATH, content=flood(), headers=HEADERS)
    problem(answer, 413, "file.too_large")
    assert files.cancelled.is_set()
    assert objects(folder) == []


@pytest.mark.parametrize(
    "rest",
    [
        b"",  # it ends in the middle
        b"\r\n--x\r\ncontent-disposition: broken\r\n\r\n--x--\r\n",
        b"\r\n" + FILE + b"two\r\n--x--\r\n",
        b"\r\n" + HEAD + b"--x--\r\n",
    ],
)
async def test_a_broken_form_leaves_nothing(
    client: httpx.AsyncClient, files: FakeFiles, folder: Path, rest: bytes
) -> None:
    answer = await client.post(PATH, content=HEAD + FILE + b"y" * 900_000 + rest, headers=HEADERS)
    assert answer.status_code in (400, 422)
    assert files.cancelled.is_set()
    assert objects(folder) == []


async def test_the_field_comes_before_the_file(client: httpx.AsyncClient, files: FakeFiles) -> None:
    """R5: its rules hold from the first byte."""
    body = FILE + b"y" * 900_000 + b"\r\n" + HEAD + b"--x--\r\n"
    problem(await client.post(PATH, content=body, headers=HEADERS), 422, "invalid")
    assert files.begun == []


async def test_a_refused_file_is_taken_back(client: httpx.AsyncClient, files: FakeFiles) -> None:
    files.failure = DangerousFile.because("No.")
    answer = await client.post(PATH, data={"field": "cv"}, files={"file": b"x"})
    problem(answer, 422, "file.dangerous")
    assert files.cancelled.is_set()


@pytest.mark.parametrize("size", [100, 100_000])
async def test_what_is_known_of_the_size_is_said(client: httpx.AsyncClient, files: FakeFiles, size: int) -> None:
    """R5: a small file is let in by its exact size, a large one by what its request cannot exceed."""
    await client.post(PATH, data={"field": "cv"}, files={"file": b"y" * size})
    [command] = files.begun
    assert (command.at_most, size <= command.size < size + 100) == (size > 65_536, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ('a"; x="b.txt', "attachment; filename=\"a__ x__b.txt\"; filename*=UTF-8''a%22%3B%20x%3D%22b.txt"),
        ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ("ü%41", "attachment; filename=\"__41\"; filename*=UTF-8''%C3%BC%2541"),
    ],
)
def test_names_are_spelled_for_the_header(name: str, expected: str) -> None:
    """RFC 6266: nothing in a name can begin another parameter or header."""
    assert attachment(name) == expected
