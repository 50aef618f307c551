"""Dumps for tests: documents as files of any tool, and the import of them with the contexts that take part."""

import gzip
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bson
from bson import ObjectId, json_util
from pydantic import SecretStr
from sqlalchemy import func, select

from db.models import SQLModel
from db.session import Database
from deployments.files.carrying import CarriedFiles
from deployments.files.settings import FilesSettings
from deployments.forms import carrying as forms
from deployments.identity import carrying as identity
from deployments.imports.legacy.archive import END, MAGIC
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.ledger import Options
from deployments.imports.legacy.running import Imported, Legacy, Order
from deployments.kit.objects import ObjectStore
from deployments.responses.carrying import CarriedResponses

Documents = Mapping[str, Sequence[Mapping[str, Any]]]


def oid(number: int) -> ObjectId:
    """An id that stays the same from test to test, of the year 2020."""
    return ObjectId((0x5E5BE100).to_bytes(4, "big") + number.to_bytes(8, "big"))


def question(name: str, kind: str = "text", **more: Any) -> dict[str, Any]:
    return {"id": name, "type": kind, "label": name.title(), **more}


def form(number: int = 1, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = list(fields) or [question("name"), question("age", "number")]
    return {"_id": oid(number), "slug": f"form-{number}", "title": f"Form {number}", "fields": asked, **more}


def response(number: int, answers: Any, of: int = 1, **more: Any) -> dict[str, Any]:
    return {"_id": oid(number), "form_id": oid(of), "data": answers, "submitted_at": "2020-05-01T10:00:00Z", **more}


def write(folder: Path, documents: Documents, kind: str = "bson") -> Path:
    """Write a file for each collection: `bson`, `json` lines, an `array`, each with `.gz`, or `v1` lines."""
    folder.mkdir(parents=True, exist_ok=True)
    name, _, packed = kind.partition(".")
    for collection, found in documents.items():
        ending = ".bson" if name == "bson" else ".json"
        content = b"".join(bson.encode(each) for each in found) if name == "bson" else as_json(found, name)
        path = folder / f"{collection}{ending}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def as_json(documents: Sequence[Mapping[str, Any]], kind: str) -> bytes:
    options = {
        "json": json_util.RELAXED_JSON_OPTIONS,
        "array": json_util.CANONICAL_JSON_OPTIONS,
        "v1": json_util.LEGACY_JSON_OPTIONS,
    }[kind]
    lines = [json_util.dumps(each, json_options=options) for each in documents]
    return f"[{', '.join(lines)}]".encode() if kind == "array" else "\n".join(lines).encode()


def write_archive(path: Path, documents: Documents, *, packed: bool = False) -> Path:
    """As `mongodump --archive` writes it: two collections in turns, each ended by an empty block."""
    content = struct.pack("<I", MAGIC)
    content += bson.encode({"concurrent_collections": 4, "version": "0.1", "server_version": "4.4"})
    content += b"".join(bson.encode({"db": "forms", "collection": name, "metadata": "{}"}) for name in documents) + END
    for turn in (0, 1):
        for name, found in documents.items():
            content += bson.encode({"db": "forms", "collection": name, "EOF": False, "CRC": bson.Int64(0)})
            content += b"".join(bson.encode(each) for each in found[turn::2]) + END
    for name in documents:
        content += bson.encode({"db": "forms", "collection": name, "EOF": True, "CRC": bson.Int64(7)}) + END
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def legacy(database: Database, folder: Path) -> Legacy:
    """Imports whose files go below a folder."""
    objects = ObjectStore((folder / "objects").as_uri())
    files = CarriedFiles(objects, FilesSettings(signing_key=SecretStr("k" * 32), max_file_bytes=10_000))
    return Legacy(database, Intake(identity, forms, CarriedResponses(database), files))


async def bring_in(
    database: Database,
    dump: Path,
    tenant: str = "acme",
    *,
    dry: bool = False,
    create: str | None = None,
    **options: Any,
) -> Imported:
    """Import a dump; its files are beside it."""
    order = Order(dump, tenant, Options(**options), create, raise_quotas=True)
    door = legacy(database, dump.parent)
    return await (door.dry_run(order) if dry else door.bring_in(order))


async def counts(database: Database, tenant: str | None = None) -> dict[str, int]:
    """How many rows each table has, of one tenant or of all; empty ones are left out."""
    found = {}
    async with database.unscoped_read() as unit:
        for table in SQLModel.metadata.sorted_tables:
            statement = select(func.count()).select_from(table)
            if tenant is not None:
                if "tenant_id" not in table.columns:
                    continue
                statement = statement.where(table.c.tenant_id == tenant)
            if number := await unit.session.scalar(statement):
                found[str(table.name)] = number
    return found


def codes(imported: Imported, collection: str = "form_responses") -> dict[str, int]:
    return dict(imported.report.codes.get(collection, {}))


def outcomes(imported: Imported, collection: str) -> dict[str, int]:
    return {name: number for name, number in imported.report.outcomes.get(collection, {}).items() if number}
