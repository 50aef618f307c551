"""R5: files are sent as a form; what is taken, what is refused, and that nothing stays of what is refused."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from db.session import Database
from db.settings import DatabaseSettings
from deployments.files.errors import ImageTooLarge
from deployments.files.images import strip
from deployments.kit.objects import ObjectStore
from tests.deployments.files.conftest import stored
from tests.deployments.files.scene import PDF, ask_for_files, noise, photo, send
from tests.serve_app.one_process import OneProcess

pytestmark = pytest.mark.usefixtures("form_id")


def codes(answer: httpx.Response) -> set[tuple[str, str]]:
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


async def events(database: Database, kind: str) -> list[str]:
    async with database.unscoped_read() as unit:
        statement = text("SELECT envelope FROM event WHERE type = :kind ORDER BY id")
        return list(await unit.session.scalars(statement, {"kind": kind}))


async def used(database: Database) -> int:
    async with database.unscoped_read() as unit:
        statement = text("SELECT coalesce(sum(bytes), 0) FROM stored_object WHERE file LIKE 'acme/files/%'")
        return int(await unit.session.scalar(statement) or 0)


class TestTaking:
    @pytest.mark.parametrize("size", [1, 1_000, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3_000_000])
    async def test_a_file_of_any_size_is_kept_whole(
        self, visitor: httpx.AsyncClient, owner: httpx.AsyncClient, database: Database, objects: ObjectStore, size: int
    ) -> None:
        """R5: the bytes stream; what is answered is what is kept, counted and told of."""
        content = noise(size)
        answer = await send(visitor, content)
        assert answer.status_code == 201, answer.text
        file = answer.json()
        digest = hashlib.sha256(content).hexdigest()
        assert file == {"id": file["id"], "name": "notes.txt", "size": size, "type": "text/plain", "sha256": digest}
        assert await stored(objects) == [f"acme/files/{file['id']}"]
        assert await used(database) == size
        fetched = await owner.get(f"/api/v1/files/{file['id']}/content")
        assert (fetched.status_code, fetched.content) == (200, content)
        (told,) = await events(database, "file.uploaded")
        assert file["id"] in told

    async def test_people_send_files_too(self, owner: httpx.AsyncClient, form_id: str) -> None:
        answer = await send(owner, PDF, "cv.pdf", path=f"/api/v1/forms/{form_id}/files")
        assert (answer.status_code, answer.json()["type"]) == (201, "application/pdf")
        info = (await owner.get(f"/api/v1/files/{answer.json()['id']}")).json()
        me = (await owner.get("/api/v1/me")).json()["subject"]
        assert (info["uploaded_by"], info["form_id"], info["field"]) == (me, form_id, "cv")

    async def test_a_body_of_unknown_length_is_taken(self, visitor: httpx.AsyncClient) -> None:
        content = noise(200_000)

        async def pieces() -> AsyncIterator[bytes]:
            yield b'--x\r\ncontent-disposition: form-data; name="field"\r\n\r\ncv\r\n'
            yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
            for start in range(0, len(content), 7_000):
                yield content[start : start + 7_000]
            yield b"\r\n--x--\r\n"

        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer = await visitor.post("/api/v1/public/acme/party/files", content=pieces(), headers=headers)
        assert (answer.status_code, answer.json()["size"]) == (201, len(content))

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    async def test_images_lose_what_they_tell_and_stay_upright(
        self, visitor: httpx.AsyncClient, owner: httpx.AsyncClient, database: Database, kind: str
    ) -> None:
        """R5: EXIF with the place, descriptions and comments are gone; the picture is as it was to be looked at."""
        sent = photo(kind)
        assert b"SECRET" in sent
        file = (await send(visitor, sent, f"me.{kind.lower()}")).json()
        content = (await owner.get(f"/api/v1/files/{file['id']}/content")).content
        assert b"SECRET" not in content
        assert (file["size"], await used(database)) == (len(content), len(content))
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (20, 40)
            assert not image.getexif().get_ifd(0x8825)
            assert 0x0112 not in image.getexif() or image.getexif()[0x0112] == 1
            red, _, blue = image.convert("RGB").getpixel((10, 5))  # type: ignore[misc]
            assert (red > 200, blue < 80) == (True, True)  # what was on the left is on top now

    async def test_what_follows_a_picture_is_gone(self, visitor: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
        """R5: a picture that is a web page or an archive as well is only a picture afterwards."""
        for kind in ("PNG", "GIF", "JPEG"):
            polyglot = photo(kind) + b"<script>alert(1)</script>PK\x03\x04"
            file = (await send(visitor, polyglot, f"x.{kind.lower()}")).json()
            content = (await owner.get(f"/api/v1/files/{file['id']}/content")).content
            assert b"<script>" not in content
            assert b"PK\x03\x04" not in content

    async def test_frames_of_an_animation_stay(self, visitor: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
        file = io.BytesIO()
        frames[0].save(
            file, "GIF", save_all=True, append_images=frames[1:], duration=[100, 200, 300], comment=b"SECRET"
        )
        sent = (await send(visitor, file.getvalue(), "a.gif")).json()
        content = (await owner.get(f"/api/v1/files/{sent['id']}/content")).content
        with Image.open(io.BytesIO(content)) as image:
            assert getattr(image, "n_frames", 1) == 3
        assert b"SECRET" not in content

    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("../../../etc/passwd.txt", "passwd.txt"),
            ("C:\\Windows\\win.txt", "win.txt"),
            ("a\u202etxt.b.txt", "atxt.b.txt"),
            ("photo.php.txt", "photo_php.txt"),
            ("CON.txt", "CON_.txt"),
            ("Übersicht 文.txt", "Übersicht 文.txt"),
            ("x" * 400 + ".txt", "x" * 147 + ".txt"),
            ("..", "file"),
            ("", "file"),
        ],
    )
    async def test_names_are_made_harmless(self, visitor: httpx.AsyncClient, name: str, kept: str) -> None:
        """R5: no folders, no invisible characters, no endings that hide behind others."""
        field = 'content-disposition: form-data; name="field"\r\n\r\ncv'
        body = (
            f"--x\r\n{field}\r\n--x\r\n"
            f'content-disposition: form-data; name="file"; filename="{name}"\r\n\r\nhello\r\n--x--\r\n'
        )
        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer = await visitor.post("/api/v1/public/acme/party/files", content=body.encode(), headers=headers)
        assert (answer.status_code, answer.json().get("name")) == (201, kept)


class TestRefusing:
    @pytest.fixture
    def database_settings(self, sqlite_settings: DatabaseSettings) -> DatabaseSettings:
        """One dialect: what a file is and a field takes is no matter of SQL."""
        return sqlite_settings

    @pytest.mark.parametrize(
        ("name", "content", "code"),
        [
            ("page.html", b"<!doctype html><html></html>", "file.dangerous"),
            ("page.txt", b"<!doctype html><script>alert(1)</script>", "file.dangerous"),
            ("photo.jpg", b"MZ\x90\0" + bytes(200), "file.dangerous"),
            ("photo.jpg.exe", b"MZ\x90\0" + bytes(200), "file.dangerous"),
            ("tool", b"\x7fELF\x02\x01\x01" + bytes(60), "file.dangerous"),
            ("run.txt", b"#!/bin/sh\nrm -rf /\n", "file.dangerous"),
            ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "file.dangerous"),
            ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "file.dangerous"),
            (
                "a.svg",
                b"<!-- --><svg xmlns='http://www.w3.org/2000/svg'><a href='javas&#99;ript:1'/></svg>",
                "file.dangerous",
            ),
            ("a.svg", b"<!DOCTYPE svg [<!ENTITY x 'y'>]><svg xmlns='http://www.w3.org/2000/svg'/>", "file.dangerous"),
            ("photo.jpg", PDF, "file.type_differs"),
            ("cv.pdf", b"just a text", "file.type_differs"),
            ("cv.docx", b"PK\x05\x06"[:2] + b"zzz", "file.type_differs"),
            ("photo.png", photo("PNG")[:60], "file.image_unreadable"),
            ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(20), "file.image_unreadable"),
        ],
    )
    async def test_what_a_file_is_decides_not_what_it_says(
        self, visitor: httpx.AsyncClient, database: Database, objects: ObjectStore, name: str, content: bytes, code: str
    ) -> None:
        """R5: the type is found out from the content; of what is refused nothing stays but an event."""
        answer = await send(visitor, content, name)
        assert answer.status_code == 422, answer.text
        assert (answer.json()["code"], codes(answer)) == (code, {("/file", code)})
        assert (await stored(objects), await used(database)) == ([], 0)
        (told,) = await events(database, "file.rejected")
        assert code in told

    async def test_a_harmless_drawing_is_taken(self, visitor: httpx.AsyncClient) -> None:
        drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="9"><defs><g id="a"/></defs><use href="#a"/></svg>'
        assert (await send(visitor, drawing, "a.svg")).json()["type"] == "image/svg+xml"

    @pytest.mark.parametrize(
        ("element", "name", "content", "code"),
        [
            ({"id": "cv", "type": "image"}, "cv.pdf", PDF, "file.type"),
            ({"id": "cv", "type": "signature"}, "a.gif", photo("GIF"), "file.type"),
            ({"id": "cv", "type": "file", "accept": ["application/pdf"]}, "a.txt", b"a", "file.type"),
            ({"id": "cv", "type": "file", "accept": ["application/pdf"]}, "cv.pdf", PDF, ""),
            ({"id": "cv", "type": "image"}, "a.png", photo("PNG"), ""),
        ],
    )
    async def test_the_field_says_what_it_takes(
        self,
        visitor: httpx.AsyncClient,
        database: Database,
        element: dict[str, Any],
        name: str,
        content: bytes,
        code: str,
    ) -> None:
        await ask_for_files(database, element, slug="strict")
        answer = await send(visitor, content, name, path="/api/v1/public/acme/strict/files")
        assert answer.json().get("code", "") == code

    async def test_the_fields_own_size_holds_while_the_file_streams(
        self, visitor: httpx.AsyncClient, database: Database, objects: ObjectStore
    ) -> None:
        """R5: neither a declared length nor one that nobody declares gets past the limit."""
        await ask_for_files(database, {"id": "cv", "type": "file", "max_size": 100_000}, slug="small")
        path = "/api/v1/public/acme/small/files"
        assert (await send(visitor, noise(100_000), path=path)).status_code == 201
        for size in (100_001, 5_000_000):
            answer = await send(visitor, noise(size), path=path)
            assert (answer.status_code, answer.json()["code"]) == (413, "file.too_large")
        assert len(await stored(objects)) == 1
        assert await used(database) == 100_000

    @pytest.mark.parametrize(
        ("data", "files", "expected"),
        [
            ({}, {"file": ("a.txt", b"a")}, {("/field", "required")}),
            ({"field": "cv"}, {}, {("/file", "required")}),
            ({"field": "cv"}, {"file": ("a.txt", b"")}, {("/file", "length.min")}),
            ({"field": "cv", "more": "1"}, {"file": ("a.txt", b"a")}, {("/more", "unknown_property")}),
            ({"field": "nope"}, {"file": ("a.txt", b"a")}, {("/field", "field.unknown")}),
        ],
    )
    async def test_bad_fields_are_named(
        self, visitor: httpx.AsyncClient, objects: ObjectStore, data: Any, files: Any, expected: set[tuple[str, str]]
    ) -> None:
        parts = [(name, (None, value)) for name, value in data.items()] + list(files.items())
        answer = await visitor.post("/api/v1/public/acme/party/files", files=parts)
        assert answer.status_code == 422, answer.text
        assert codes(answer) == expected
        assert await stored(objects) == []

    async def test_a_form_that_takes_no_answers_takes_no_files(
        self, visitor: httpx.AsyncClient, database: Database
    ) -> None:
        await ask_for_files(database, slug="over", settings={"closes_at": "2020-01-01T00:00:00+00:00"})
        closed = await send(visitor, b"a", path="/api/v1/public/acme/over/files")
        assert (closed.status_code, closed.json()["code"]) == (403, "form.closed")
        unknown = await send(visitor, b"a", path="/api/v1/public/acme/nothing/files")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "form.not_found")

    async def test_a_bomb_is_refused_before_it_is_decoded(self, visitor: httpx.AsyncClient) -> None:
        """R5: a few hundred bytes that would become gigabytes of pixels."""
        file = io.BytesIO()
        Image.new("1", (40_000, 40_000)).save(file, "PNG", optimize=True)
        answer = await send(visitor, file.getvalue(), "bomb.png")
        assert (answer.status_code, answer.json()["code"]) == (422, "file.image_too_large")

    def test_many_frames_are_as_much_as_a_large_picture(self) -> None:
        """R5: an animation is measured with all of its frames."""
        frames = [Image.new("RGB", (40, 40), (shade, 0, 0)) for shade in range(0, 240, 20)]
        file = io.BytesIO()
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        strip(file, "image/gif", io.BytesIO(), 40 * 40 * len(frames))
        with pytest.raises(ImageTooLarge):
            strip(file, "image/gif", io.BytesIO(), 40 * 40 * len(frames) - 1)

    async def test_an_archive_is_never_opened(self, visitor: httpx.AsyncClient) -> None:
        """R5: what a ZIP file would become does not matter, since nobody unpacks it."""
        import zipfile

        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
            bomb.writestr("zeros", bytes(50_000_000))
        answer = await send(visitor, file.getvalue(), "a.zip")
        assert (answer.status_code, answer.json()["size"]) == (201, len(file.getvalue()))


class TestQuota:
    @pytest.fixture
    async def room(self, platform: OneProcess, database: Database, owner: httpx.AsyncClient) -> int:
        async with database.unscoped_write() as unit:
            await unit.session.execute(
                text("UPDATE tenant SET settings = :settings WHERE id = 'acme'"),
                {"settings": '{"max_storage_bytes": 100000}'},
            )
        return 100_000

    async def test_it_holds_exactly_under_parallel_uploads(
        self, platform: OneProcess, database: Database, room: int
    ) -> None:
        """R5, R9: of 20 files that come at once, those are taken that have room, not one more."""
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(send(platform.client(), noise(10_000))) for _ in range(20)]
        answers = [task.result() for task in sent]
        assert sorted({answer.status_code for answer in answers}) == [201, 403]
        assert sum(answer.status_code == 201 for answer in answers) == 10
        assert {a.json()["code"] for a in answers if a.status_code == 403} == {"quota.storage"}
        assert await used(database) == room

    async def test_a_large_file_ends_where_the_room_ends(
        self, visitor: httpx.AsyncClient, database: Database, objects: ObjectStore, room: int
    ) -> None:
        answer = await send(visitor, noise(room + 1))
        assert (answer.status_code, answer.json()["code"]) == (403, "quota.storage")
        assert (await stored(objects), await used(database)) == ([], 0)
        assert (await send(visitor, noise(room))).status_code == 201
        assert len(await events(database, "quota.exceeded")) == 1

    async def test_a_file_of_which_the_size_is_known_is_not_begun(
        self, visitor: httpx.AsyncClient, database: Database, room: int
    ) -> None:
        """R5: told before the first byte, not after the last one that fits."""
        path, field = "/api/v1/public/acme/party/uploads", {"upload-metadata": "filename bm90ZXMudHh0,field Y3Y="}
        for size, status, code in ((room + 1, 403, "quota.storage"), (room, 201, None)):
            assert await used(database) == 0
            headers = {"tus-resumable": "1.0.0", "upload-length": str(size), **field}
            answer = await visitor.post(path, headers=headers)
            assert (answer.status_code, answer.json().get("code")) == (status, code)


class TestRate:
    @pytest.fixture
    def changes(self) -> dict[str, Any]:
        return {"uploads_per_hour": 3}

    async def test_an_address_may_send_so_many_an_hour(
        self, visitor: httpx.AsyncClient, owner: httpx.AsyncClient, form_id: str
    ) -> None:
        """R5: refused ones and those that were taken back count too; people with an account are not counted."""
        assert (await send(visitor, b"MZ" + bytes(99), "a.txt")).status_code == 422
        assert (await send(visitor, b"a")).status_code == 201
        assert (await send(visitor, b"b")).status_code == 201
        answer = await send(visitor, b"c")
        assert (answer.status_code, answer.json()["code"]) == (429, "file.too_many")
        assert int(answer.headers["retry-after"]) > 0
        assert (await send(owner, b"d", path=f"/api/v1/forms/{form_id}/files")).status_code == 201
