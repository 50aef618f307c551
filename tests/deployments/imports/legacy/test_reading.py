"""O6: what is read of a dump, whichever tool wrote it and whatever is broken in it."""

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation

from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy.documents import Document, read_documents
from deployments.imports.legacy.dump import open_dump
from deployments.imports.legacy.ledger import batches
from tests.deployments.imports.legacy.dumps import as_json, oid, write, write_archive

EVERYTHING: dict[str, Any] = {
    "_id": oid(1),
    "text": "Zoë 👩‍🚀",
    "whole": 5,
    "long": Int64(2**40),
    "double": 5.0,
    "fraction": 0.1,
    "not_a_number": float("nan"),
    "endless": float("-inf"),
    "decimal": Decimal128("12.50"),
    "exact": Decimal128("0.1234567890123456789"),
    "moment": datetime(2020, 5, 1, 10, 0, 0, 123000, tzinfo=UTC),
    "early": datetime(1901, 1, 1, tzinfo=UTC),
    "nothing": None,
    "truth": True,
    "list": [1, {"inner": oid(2)}],
    "ref": DBRef("forms", oid(3)),
    "bytes": Binary(b"\x00\x01", 0),
    "uuid": Binary.from_uuid(UUID(int=7), UuidRepresentation.STANDARD),
    "regex": Regex("a+", "i"),
    "stamp": Timestamp(1_588_327_200, 1),
    "min": MinKey(),
    "code": Code("return 1"),
}
PLAIN = {
    "_id": str(oid(1)),
    "text": "Zoë 👩‍🚀",
    "whole": 5,
    "long": 2**40,
    "double": 5,
    "fraction": 0.1,
    "not_a_number": "NaN",
    "endless": "-Infinity",
    "decimal": 12.5,
    "exact": "0.1234567890123456789",
    "moment": datetime(2020, 5, 1, 10, 0, 0, 123000, tzinfo=UTC),
    "early": datetime(1901, 1, 1, tzinfo=UTC),
    "nothing": None,
    "truth": True,
    "list": [1, {"inner": str(oid(2))}],
    "ref": str(oid(3)),
    "bytes": "AAE=",
    "uuid": str(UUID(int=7)),
    "regex": "a+",
    "stamp": datetime(2020, 5, 1, 10, tzinfo=UTC),
    "min": None,
    "code": "return 1",
}


def read(path: Path) -> list[Document]:
    return list(read_documents("users", path))


@pytest.mark.parametrize("kind", ["bson", "bson.gz", "json", "json.gz", "array", "array.gz", "v1"])
def test_every_way_to_write_a_document_says_the_same(tmp_path: Path, kind: str) -> None:
    folder = write(tmp_path / kind, {"users": [EVERYTHING, {"_id": 2}]}, kind)
    first, second = read(next(folder.iterdir()))
    assert first.body == PLAIN
    assert (first.source_id, second.source_id) == (str(oid(1)), "2")
    (reference, _) = read(next(write(tmp_path / "reference", {"users": [EVERYTHING, {}]}).iterdir()))
    assert first.sha256 == reference.sha256


def test_a_document_that_is_spread_over_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text('{\n  "_id": {"$oid": "5e5be1000000000000000001"},\n  "n": 1\n}\n{\n  "_id": 2\n}\n')
    assert [each.source_id for each in read(path)] == [str(oid(1)), "2"]


def problems(documents: Sequence[Document]) -> list[str]:
    return [each.problem.split(":")[0] for each in documents]


def test_a_cut_off_document_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "users.bson"
    content = bson.encode({"_id": 1}) + bson.encode({"_id": 2})
    path.write_bytes(content[:-3])
    assert problems(read(path)) == ["", "The file ends within this document."]
    path.write_bytes(bson.encode({"_id": 1}) + b"\x00\x00")
    assert problems(read(path)) == ["", "The file ends within this document."]
    path.write_bytes(bson.encode({"_id": 1}) + b"\x01\x00\x00\x00" + content)
    assert problems(read(path)) == ["", "No document begins here; the rest of the file is not read."]


def test_a_broken_document_is_left_out_and_broken_text_is_not(tmp_path: Path) -> None:
    path = tmp_path / "users.bson"
    strange = bson.encode({"_id": 2, "name": "ab~~"}).replace(b"~~", b"\xff\xfe")
    broken = bytearray(bson.encode({"_id": 3, "n": 1}))
    broken[4] = 0x7A
    path.write_bytes(bson.encode({"_id": 1, "name": "a\0b"}) + strange + bytes(broken) + bson.encode({"_id": 4}))
    one, two, three, four = read(path)
    assert (one.body["name"], one.notes) == ("a\ufffdb", {"/name": "text.nul"})
    assert (two.body["name"], two.notes) == ("ab\ufffd\ufffd", {"": "text.encoding"})
    assert three.problem.startswith("The document is no BSON")
    assert (three.source_id, four.source_id) == ("#3", "4")


def test_broken_lines_cost_no_other(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    lines = [b'{"_id": 1}', b'{"_id": 2', b'{"_id": 3, "n": NaN}']
    lines += [b'{"_id": 4, "t": "\xff"}', b'{"_id": 5, "t": "\\ud83d"}']
    path.write_bytes(b"\n".join([*lines, b"[1]", b"", b'{"_id": 6}']))
    found = read(path)
    assert problems(found) == ["", "The line is no JSON", "", "", "", "This is no document.", ""]
    assert found[2].body["n"] == "NaN"
    assert found[3].body["t"] == "\ufffd"
    assert found[4].notes == {"/t": "text.encoding"}
    assert found[-1].source_id == "6"


@pytest.mark.parametrize("kind", ["bson.gz", "json.gz", "array.gz"])
def test_a_compressed_file_that_is_cut_off_is_read_up_to_there(tmp_path: Path, kind: str) -> None:
    many = [{"_id": oid(number), "text": f"{number} " * 40} for number in range(2_000)]
    path = next(write(tmp_path, {"users": many}, kind).iterdir())
    path.write_bytes(path.read_bytes()[:-2_000])
    *sound, last = read(path)
    assert 100 < len(sound) < len(many)
    assert last.problem
    assert not any(problems(sound))


def test_an_array_that_ends_too_early_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_bytes(as_json([{"_id": 1}, {"_id": 2}], "array")[:-3])
    assert "The rest of the file is not read." in read(path)[-1].problem
    assert read(path)[0].source_id == "1"


def test_an_id_that_is_an_address_or_long_is_known_by_its_digest(tmp_path: Path) -> None:
    path = next(write(tmp_path, {"users": [{"_id": "ada@example.org"}, {"_id": "x" * 100}, {"n": 1}]}).iterdir())
    assert all(each.source_id.startswith("sha256:") for each in read(path))
    assert len({each.source_id for each in read(path)}) == 3


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_is_a_dump_too(tmp_path: Path, packed: bool) -> None:
    documents = {"users": [{"_id": 1}, {"_id": 2}, {"_id": 3}], "forms": [{"_id": oid(9), "title": "One"}]}
    path = write_archive(tmp_path / "all.archive", documents, packed=packed)
    with open_dump(path) as dump:
        assert sorted(each.source_id for each in dump.documents("users")) == ["1", "2", "3"]
        assert [each.body["title"] for each in dump.documents("forms")] == ["One"]
    content = path.read_bytes() if not packed else gzip.decompress(path.read_bytes())
    path.write_bytes(content[:-30])
    with open_dump(path) as dump:
        assert sum(1 for _ in dump.documents("users")) == 3


def test_what_is_no_dump_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.archive").write_text("hello")
    broken = write_archive(tmp_path / "broken.archive", {"users": [{"_id": 1}]})
    broken.write_bytes(broken.read_bytes()[:4] + b"\x01\x00\x00\x00" + broken.read_bytes()[4:])
    both = write(tmp_path / "both", {"users": [{"_id": 1}]})
    write(both, {"user": [{"_id": 1}]}, "json")
    for name in ("one", "two"):
        write(tmp_path / "server" / name, {"users": [{"_id": 1}]})
    for path, said in (
        (tmp_path / "missing", "There is no"),
        (tmp_path / "empty", "has none of the collections"),
        (tmp_path / "text.archive", "no archive of mongodump"),
        (broken, "archive is broken"),
        (both, "are the same collection"),
        (tmp_path / "server", "several databases: one, two"),
    ):
        with pytest.raises(FileUnreadable, match=said), open_dump(path):
            pass


def test_large_documents_are_brought_in_few_at_a_time() -> None:
    """Memory stays bounded: a transaction has at most so many documents, and so many bytes."""
    large = [Document("users", f"users.bson#{n}", str(n), "", {}, size=3 << 20) for n in range(5)]
    small = [Document("users", f"users.bson#{n}", str(n), "", {}, size=300) for n in range(5)]
    assert [len(batch) for batch in batches(large, 500)] == [2, 2, 1]
    assert [len(batch) for batch in batches(small, 3)] == [3, 2]


def test_collections_are_known_by_any_of_their_names(tmp_path: Path) -> None:
    names = {"Users": "users", "formVersions": "form_versions", "submissions": "form_responses", "fs.files": "files"}
    folder = write(tmp_path / "dump" / "old", {name: [{"_id": ObjectId()}] for name in (*names, "sessions")})
    write(tmp_path / "dump" / "admin", {"users": [{"_id": 1}]})
    (folder / "users.metadata.json").write_text("{}")
    with open_dump(tmp_path / "dump") as dump:
        for name in names.values():
            assert sum(1 for _ in dump.documents(name)) == 1, name
        assert list(dump.unread) == ["sessions"]
