"""ObjectStore on a real folder, on a store that speaks S3, and without a store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.kit.objects import ObjectStore, StoreUnavailable, object_key
from serve_app.settings import Settings
from tests.deployments.local_http import LocalHttp, answer, hang, serving
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
        remote: ObjectStore = request.getfixturevalue("remote")
        return remote
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
    with pytest.raises(ZeroDivisionError):
        await _written(store, size, ZeroDivisionError())
    assert await _keys(store) == []
    assert _files(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        await anext(store.read("acme/a"))


async def test_a_failed_write_leaves_no_unfinished_upload(remote: ObjectStore, bucket: Bucket) -> None:
    """What S3 keeps of one, and asks money for, is in no listing of objects."""

    with pytest.raises(ZeroDivisionError):
        await _written(remote, 12_000_000, ZeroDivisionError())
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


async def test_what_lies_below_is_removed_and_nothing_else(store: ObjectStore) -> None:
    for key in ("acme/forms/1", "acme/forms/2/a", "acme/forms2/1", "acme/others/1"):
        await store.put(key, b"1")
    assert await store.delete_some("acme/forms") == 2
    assert await store.delete_some("acme/forms") == 0
    assert await _keys(store) == ["acme/forms2/1", "acme/others/1"]


async def test_what_somebody_else_removed_does_not_keep_the_rest(store: ObjectStore) -> None:
    there = [f"acme/{n}" for n in range(30)]
    await asyncio.gather(*(store.put(key, b"1") for key in there))
    await store.delete("acme/gone", *there)
    assert await _keys(store) == []


async def test_many_objects_are_removed_with_one_request() -> None:
    """A store takes up to a second for each."""
    found = "".join(
        f"<Contents><Key>acme/{n}</Key><LastModified>2026-11-22T00:00:00Z</LastModified><Size>1</Size></Contents>"
        for n in range(100)
    )
    listed = f"<ListBucketResult><KeyCount>100</KeyCount><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
    removed = "".join(f"<Deleted><Key>acme/{n}</Key></Deleted>" for n in range(100))
    answers = answer("200 OK", listed.encode()), answer("200 OK", f"<DeleteResult>{removed}</DeleteResult>".encode())
    async with serving(*answers) as server:
        assert await _store_at(server.port).delete_some("acme") == 100
    assert [request.line.partition(" ")[0] for request in server.requests] == ["GET", "POST"]


class TestWithoutAStore:
    """The store is down, or answers with a failure of its own."""

    async def test_everything_says_so(self) -> None:
        async with serving(answer("503 Slow Down")) as server:
            store = _store_at(server.port)
            for ask in (
                lambda: store.put("acme/a", b"1"),
                lambda: store.copy("acme/a", "acme/b"),
                lambda: store.delete("acme/a"),
                lambda: store.exists("acme/a"),
                lambda: store.delete_some("acme"),
                lambda: anext(store.read("acme/a")),
                lambda: anext(store.read_range("acme/a", 0, 1)),
                lambda: anext(store.below("acme")),
                lambda: anext(store.aged("acme")),
                lambda: _written(store, 1),
                lambda: _written(store, 12_000_000),
            ):
                with pytest.raises(StoreUnavailable):
                    await ask()

    async def test_a_failed_write_tells_why_it_failed(self) -> None:
        async with serving(answer("503 Slow Down")) as server:
            with pytest.raises(ZeroDivisionError):
                await _written(_store_at(server.port), 1, ZeroDivisionError())

    async def test_a_write_that_takes_too_long_can_be_ended(self) -> None:
        """R5: the deadline of an upload, which else were a failure of the platform's."""

        async def write(server: LocalHttp) -> None:
            async with asyncio.timeout(None) as deadline:
                asked = asyncio.create_task(server.seen.wait())
                asked.add_done_callback(lambda _: deadline.reschedule(0))
                await _written(_store_at(server.port), 1)

        async with serving(hang, answer("503 Slow Down")) as server:
            with pytest.raises(TimeoutError):
                await write(server)


def _store_at(port: int) -> ObjectStore:
    options: dict[str, Any] = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}
    return ObjectStore(
        "s3://bucket",
        endpoint=f"http://127.0.0.1:{port}",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        **options,
    )


async def _written(store: ObjectStore, size: int, failure: Exception | None = None) -> None:
    async with store.writer("acme/a") as writer:
        await writer.write(b"x" * size)
        if failure is not None:
            raise failure


@pytest.mark.parametrize("part", ["", "..", "a/../b", ".hidden", "a b", "/etc"])
def test_a_part_that_is_no_name_is_no_key(part: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        object_key("acme", part)
