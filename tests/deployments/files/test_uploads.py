"""R5: resumable uploads, as tus 1.0 describes them: nothing that arrived is sent twice, and nothing is lost."""

import asyncio
import base64
import hashlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore
from tests.deployments.files.conftest import stored
from tests.deployments.files.scene import ask_for_files, noise, photo
from tests.eventing.harness import eventually
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PUBLIC = "/api/v1/public/acme/party/uploads"
TUS = {"tus-resumable": "1.0.0"}


def metadata(name: str = "notes.txt", field: str = "cv") -> str:
    pairs = {"filename": name, "field": field}
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


async def begin(client: httpx.AsyncClient, size: int, name: str = "notes.txt", path: str = PUBLIC) -> httpx.Response:
    headers = {**TUS, "upload-length": str(size), "upload-metadata": metadata(name)}
    return await client.post(path, headers=headers)


async def append(client: httpx.AsyncClient, url: str, offset: int, content: bytes, **more: str) -> httpx.Response:
    headers = {**TUS, "upload-offset": str(offset), "content-type": "application/offset+octet-stream", **more}
    return await client.patch(url, content=content, headers=headers)


async def offset(client: httpx.AsyncClient, url: str) -> int:
    answer = await client.head(url, headers=TUS)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


@pytest.mark.usefixtures("form_id")
class TestPieces:
    async def test_a_file_comes_in_pieces_of_any_size(
        self, visitor: httpx.AsyncClient, owner: httpx.AsyncClient, objects: ObjectStore
    ) -> None:
        """R5: across the size of a part, too; in the end the file is one object."""
        content = noise(9_000_000)
        made = await begin(visitor, len(content))
        assert made.status_code == 201
        url = made.headers["location"]
        assert (made.json()["upload_url"], made.headers["tus-resumable"]) == (url, "1.0.0")
        assert made.headers["upload-expires"].endswith("GMT")
        at = 0
        for size in (1, 5_000_000, 100, 3_999_899):
            answer = await append(visitor, url, at, content[at : at + size])
            assert answer.status_code == 204, answer.text
            at += size
            assert int(answer.headers["upload-offset"]) == at == await offset(visitor, url)
        status = (await visitor.get(url)).json()
        assert status["file"]["sha256"] == hashlib.sha256(content).hexdigest()
        assert await stored(objects) == [f"acme/files/{made.json()['file_id']}"]
        assert (await owner.get(f"/api/v1/files/{status['file_id']}/content")).content == content

    async def test_people_have_addresses_of_their_own(
        self, owner: httpx.AsyncClient, visitor: httpx.AsyncClient, form_id: str, platform: OneProcess
    ) -> None:
        made = await begin(owner, 5, path=f"/api/v1/forms/{form_id}/uploads")
        url = made.headers["location"]
        assert url.startswith(f"/api/v1/forms/{form_id}/uploads/")
        assert (await append(visitor, url, 0, b"hello")).status_code == 401
        stranger = await platform.sign_up("other")
        assert (await append(stranger, url, 0, b"hello")).status_code == 404
        assert (await append(owner, url, 0, b"hello")).status_code == 204
        assert (await owner.get(url)).json()["file"]["size"] == 5

    async def test_a_piece_that_does_not_fit_is_refused(self, visitor: httpx.AsyncClient, objects: ObjectStore) -> None:
        url = (await begin(visitor, 10)).headers["location"]
        assert (await append(visitor, url, 0, b"12345")).status_code == 204
        for at, content, status in ((0, b"x", 409), (6, b"x", 409), (5, b"123456", 413)):
            answer = await append(visitor, url, at, content)
            assert answer.status_code == status, answer.text
        assert await offset(visitor, url) == 5
        assert (await append(visitor, url, 5, b"67890")).status_code == 204
        assert len(await stored(objects)) == 1

    async def test_of_two_that_send_the_same_piece_one_wins(
        self, platform: OneProcess, visitor: httpx.AsyncClient, owner: httpx.AsyncClient, objects: ObjectStore
    ) -> None:
        """R5: a client that tries again while its first try still runs cannot make the file longer or wrong."""
        content = noise(400_000)
        made = await begin(visitor, len(content))
        url = made.headers["location"]
        half = len(content) // 2
        both = await asyncio.gather(*(append(platform.client(), url, 0, content[:half]) for _ in range(4)))
        assert sorted(answer.status_code for answer in both) == [204, 409, 409, 409]
        last = await asyncio.gather(*(append(platform.client(), url, half, content[half:]) for _ in range(4)))
        assert 204 in {answer.status_code for answer in last} <= {204, 409}
        file_id = made.json()["file_id"]
        assert (await owner.get(f"/api/v1/files/{file_id}/content")).content == content
        assert await stored(objects) == [f"acme/files/{file_id}"]

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
    async def test_a_piece_is_held_against_its_checksum(
        self, visitor: httpx.AsyncClient, objects: ObjectStore, algorithm: str
    ) -> None:
        """tus: 460 for a piece that was damaged on its way; nothing of it stays."""
        url = (await begin(visitor, 5)).headers["location"]
        digest = base64.b64encode(hashlib.new(algorithm, b"hello").digest()).decode()
        damaged = await append(visitor, url, 0, b"hellO", **{"upload-checksum": f"{algorithm} {digest}"})
        assert (damaged.status_code, damaged.json()["code"]) == (460, "upload.checksum")
        assert (await offset(visitor, url), await stored(objects)) == (0, [])
        sound = await append(visitor, url, 0, b"hello", **{"upload-checksum": f"{algorithm} {digest}"})
        assert (sound.status_code, sound.headers["upload-offset"]) == (204, "5")

    async def test_a_broken_connection_keeps_what_came(
        self, platform: OneProcess, visitor: httpx.AsyncClient, owner: httpx.AsyncClient
    ) -> None:
        """R5: the client asks how far it is and goes on from there."""
        content = noise(300_000)
        made = await begin(visitor, len(content))
        url = made.headers["location"]
        reader, writer = await asyncio.open_connection("127.0.0.1", platform.settings.port)
        head = (
            f"PATCH {url} HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n"
            f"content-type: application/offset+octet-stream\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content[:200_000])
        await writer.drain()
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await reader.read()  # the edge has seen the end
        writer.close()

        async def saved() -> bool:
            return await offset(visitor, url) > 0

        await eventually(saved)
        at = await offset(visitor, url)
        assert at <= 200_000
        assert (await append(visitor, url, at, content[at:])).status_code == 204
        assert (await owner.get(f"/api/v1/files/{made.json()['file_id']}/content")).content == content

    async def test_the_file_is_examined_in_the_end(self, visitor: httpx.AsyncClient, objects: ObjectStore) -> None:
        """R5: what is refused as a form is refused in pieces; images lose their metadata."""
        url = (await begin(visitor, 100, "a.pdf")).headers["location"]
        refused = await append(visitor, url, 0, b"MZ" + bytes(98))
        assert (refused.status_code, refused.json()["code"]) == (422, "file.dangerous")
        assert ((await visitor.get(url)).status_code, await stored(objects)) == (404, [])
        picture = photo()
        url = (await begin(visitor, len(picture), "me.jpg")).headers["location"]
        assert (await append(visitor, url, 0, picture)).status_code == 204
        assert (await visitor.get(url)).json()["file"]["type"] == "image/jpeg"

    async def test_an_upload_can_be_taken_back(self, visitor: httpx.AsyncClient, objects: ObjectStore) -> None:
        """tus, termination: before the end and after it."""
        for size in (5, 3):
            url = (await begin(visitor, 5)).headers["location"]
            await append(visitor, url, 0, b"hello"[:size])
            assert (await visitor.delete(url, headers=TUS)).status_code == 204
            assert (await visitor.head(url)).status_code == 404
        assert await stored(objects) == []

    @pytest.mark.parametrize(
        ("headers", "status", "code"),
        [
            ({"upload-length": "5", "upload-metadata": metadata(), "tus-resumable": "2.0.0"}, 412, "upload.version"),
            ({"upload-metadata": metadata()}, 422, "invalid"),
            ({"upload-length": "0", "upload-metadata": metadata()}, 422, "invalid"),
            ({"upload-length": "-1", "upload-metadata": metadata()}, 422, "invalid"),
            ({"upload-length": "5"}, 422, "invalid"),
            ({"upload-length": "5", "upload-metadata": "field !!!"}, 422, "invalid"),
            ({"upload-length": "5", "upload-metadata": metadata(field="nope")}, 422, "invalid"),
            ({"upload-length": "99999999999", "upload-metadata": metadata()}, 413, "file.too_large"),
        ],
    )
    async def test_what_is_no_order_is_refused(
        self, visitor: httpx.AsyncClient, headers: dict[str, str], status: int, code: str
    ) -> None:
        answer = await visitor.post(PUBLIC, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"content-type": "text/plain"}, 415),
            ({"upload-offset": "x"}, 422),
            ({"upload-checksum": "crc32 AAAA"}, 400),
            ({"upload-checksum": "sha1 !"}, 400),
            ({"tus-resumable": "0.2.2"}, 412),
        ],
    )
    async def test_what_is_no_piece_is_refused(
        self, visitor: httpx.AsyncClient, headers: dict[str, str], status: int
    ) -> None:
        url = (await begin(visitor, 5)).headers["location"]
        assert (await append(visitor, url, 0, b"hello", **headers)).status_code == status
        assert await offset(visitor, url) == 0

    async def test_an_address_cannot_be_guessed(self, visitor: httpx.AsyncClient) -> None:
        """R5: a file's id, which answers and events tell, does not let anybody go on with its upload."""
        made = await begin(visitor, 5)
        url, file_id = made.headers["location"], made.json()["file_id"]
        for wrong in (file_id, f"{file_id}.{'0' * 64}", "x"):
            address = f"{url.rpartition('/')[0]}/{wrong}"
            assert (await append(visitor, address, 0, b"hello")).status_code == 404
            assert (await visitor.delete(address)).status_code == 404


async def test_an_upload_survives_the_platform(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R5: a process that ends in the middle, even after the last byte, costs nothing that was acknowledged."""
    content = noise(100_000)
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch, works=False) as first:
        await first.sign_up()
        await ask_for_files(database)
        made = await begin(first.client(), len(content))
        url = urlsplit(made.headers["location"]).path
        assert (await append(first.client(), url, 0, content[:60_000])).status_code == 204
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch, works=False) as second:
        client = second.client()
        assert await offset(client, url) == 60_000

        async def die(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr("deployments.files.examination.Examination.keep", die)
            assert (await append(client, url, 60_000, content[60_000:])).status_code == 500
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch, works=False) as third:
        assert await offset(third.client(), url) == len(content)
        assert (await third.client().get(url)).json()["file"]["size"] == len(content)
