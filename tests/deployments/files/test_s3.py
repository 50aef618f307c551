"""R5: the same through a store that speaks S3, in the sizes where that is another protocol."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore
from tests.deployments.files.conftest import stored
from tests.deployments.files.scene import ask_for_files, noise, photo, send
from tests.deployments.files.test_uploads import append, begin
from tests.s3 import Bucket, fresh_bucket
from tests.serve_app.one_process import OneProcess, one_process, settings_for

# More than one piece of a multipart upload, each of at least 5 MiB as S3 wants it.
LARGE = 12_000_000


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with fresh_bucket() as bucket:
        yield bucket


@pytest.fixture
async def platform(
    bucket: Bucket, sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    settings = settings_for(tmp_path, sqlite_settings, **bucket.settings(tmp_path.name))
    database = Database(sqlite_settings)
    async with one_process(settings, monkeypatch, works=False) as running:
        await running.sign_up()
        await ask_for_files(database, {"id": "cv", "type": "file", "max_size": 2 * LARGE})
        yield running
    await database.close()


@pytest.fixture
def objects(platform: OneProcess) -> ObjectStore:
    return ObjectStore(platform.settings.object_store(), **platform.settings.object_store_options())


@pytest.fixture
async def owner(platform: OneProcess) -> httpx.AsyncClient:
    login = {"tenant": "acme", "email": "owner@acme.example", "password": "correct horse battery"}
    return platform.client((await platform.client().post("/api/v1/auth/login", json=login)).json()["access_token"])


@pytest.mark.parametrize("size", [1, 1_000_000, LARGE])
async def test_a_file_is_kept_whole(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, objects: ObjectStore, size: int
) -> None:
    content = noise(size)
    file = (await send(visitor, content)).json()
    assert await stored(objects) == [f"acme/files/{file['id']}"]
    path = f"/api/v1/files/{file['id']}/content"
    assert (await owner.get(path)).content == content
    part = await owner.get(path, headers={"range": f"bytes={size // 2}-"})
    assert (part.status_code, part.content) == (206, content[size // 2 :])


async def test_pieces_become_one_object(
    visitor: httpx.AsyncClient, owner: httpx.AsyncClient, objects: ObjectStore
) -> None:
    content = noise(LARGE)
    made = await begin(visitor, len(content))
    url = made.headers["location"]
    assert (await append(visitor, url, 0, content[:7_000_000])).status_code == 204
    assert (await append(visitor, url, 7_000_000, content[7_000_000:])).status_code == 204
    file_id = made.json()["file_id"]
    assert await stored(objects) == [f"acme/files/{file_id}"]
    assert (await owner.get(f"/api/v1/files/{file_id}/content")).content == content


async def test_of_what_is_refused_nothing_stays(visitor: httpx.AsyncClient, objects: ObjectStore) -> None:
    assert (await send(visitor, b"MZ" + noise(LARGE), "a.txt")).status_code == 422
    assert (await send(visitor, noise(2 * LARGE + 1))).status_code == 413
    assert await stored(objects) == []


async def test_images_are_stripped(visitor: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
    file = (await send(visitor, photo(), "me.jpg")).json()
    assert b"SECRET" not in (await owner.get(f"/api/v1/files/{file['id']}/content")).content


async def test_listing_deleting_and_missing_objects(objects: ObjectStore) -> None:
    """What the sweep and the erasure of a tenant rely on."""
    await objects.put("acme/files/a", b"1")
    await objects.copy("acme/files/a", "acme/files/b")
    assert await stored(objects) == ["acme/files/a", "acme/files/b"]
    assert (await objects.exists("acme/files/a"), await objects.exists("acme/files/c")) == (True, False)
    await objects.delete("acme/files/c")
    assert await objects.delete_some("acme/files") == 2
    assert await stored(objects) == []
    with pytest.raises(FileNotFoundError):
        await anext(aiter(objects.read_range("acme/files/a", 0, 1)))
