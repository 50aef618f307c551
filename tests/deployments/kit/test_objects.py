"""ObjectStore on a real folder."""

from pathlib import Path

import pytest

from deployments.kit.objects import ObjectStore, object_key


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore((tmp_path / "objects").as_uri())


async def test_what_is_written_is_read(store: ObjectStore) -> None:
    key = object_key("acme", "imports", "1")
    pieces = [bytes([n]) * 700_000 for n in range(4)]
    async with store.writer(key) as writer:
        for piece in pieces:
            await writer.write(piece)
    assert b"".join([piece async for piece in store.read(key)]) == b"".join(pieces)
    async with store.local_copy(key) as file:
        assert file.read() == b"".join(pieces)


async def test_a_failed_write_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    key = object_key("acme", "imports", "1")

    async def fail_midway() -> None:
        async with store.writer(key) as writer:
            await writer.write(b"x" * 3_000_000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_midway()
    assert _files(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        await anext(aiter(store.read(key)))


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
