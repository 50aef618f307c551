"""ObjectStore on a real folder, and on a store that speaks S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.kit.objects import ObjectStore, object_key
from serve_app.settings import Settings
from tests.s3 import Bucket, client, fresh_bucket


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with fresh_bucket() as bucket:
        yield bucket


@pytest.fixture
def remote(bucket: Bucket, tmp_path: Path) -> ObjectStore:
    settings = Settings(data_dir=tmp_path, **bucket.settings(tmp_path.name))
    return ObjectStore(settings.object_store(), **settings.object_store_options())


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        return request.getfixturevalue("remote")
    return ObjectStore((tmp_path / "objects").as_uri())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def _keys(store: ObjectStore) -> list[str]:
    return sorted([key async for key, _ in store.below("acme")])


async def test_what_is_written_is_read(store: ObjectStore) -> None:
    key = object_key("acme", "imports", "1")
    pieces = [bytes([n]) * 700_000 for n in range(4)]
    async with store.writer(key) as writer:
        for piece in pieces:
            await writer.write(piece)
    assert b"".join([piece async for piece in store.read(key)]) == b"".join(pieces)
    async with store.local_copy(key) as file:
        assert file.read() == b"".join(pieces)


@pytest.mark.parametrize("size", [3_000_000, 12_000_000])
async def test_a_failed_write_leaves_nothing(store: ObjectStore, tmp_path: Path, size: int) -> None:
    key = object_key("acme", "imports", "1")

    async def fail_midway() -> None:
        async with store.writer(key) as writer:
            await writer.write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_midway()
    assert await _keys(store) == []
    assert _files(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        await anext(aiter(store.read(key)))


async def test_a_failed_write_leaves_no_unfinished_upload(remote: ObjectStore, bucket: Bucket) -> None:
    """What S3 keeps of one, and asks money for, is in no listing of objects."""

    async def fail_midway() -> None:
        async with remote.writer("acme/a") as writer:
            await writer.write(b"x" * 12_000_000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_midway()
    s3 = client(bucket)
    assert s3.list_multipart_uploads(Bucket=bucket.name).get("Uploads", []) == []
    s3.close()


async def test_deleting_twice_is_no_error(store: ObjectStore) -> None:
    async with store.writer("acme/a") as writer:
        await writer.write(b"a")
    await store.delete("acme/a")
    await store.delete("acme/a")
    with pytest.raises(FileNotFoundError):
        await anext(aiter(store.read("acme/a")))


@pytest.mark.parametrize("part", ["", "..", "a/../b", ".hidden", "a b", "/etc"])
def test_a_part_that_is_no_name_is_no_key(part: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        object_key("acme", part)
