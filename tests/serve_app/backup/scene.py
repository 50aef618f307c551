"""A platform with several tenants, their answers, files and audit trails, and how two platforms are compared."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Table, inspect, select
from sqlmodel import SQLModel

from db.models.files import File
from db.session import Database
from db.types import new_id, utc_now
from deployments.files.places import final_object
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.events.envelope import Origin
from serve_app.settings import Settings
from tests.factories import ANSWERS, make_form, make_tenant

TENANTS = ("acme", "globex")
PASSPHRASE = "correct horse battery staple"
DIFFERENT = {"stream_state", "component_state"}
"""What a restore, or a backup after it was made, changes on purpose."""

Place = Callable[[], Awaitable[Settings]]


async def submit(database: Database, tenant_id: str, number: int = 0) -> str:
    """One response of a tenant."""
    body = orjson.dumps({"answers": {**ANSWERS, "name": f"Ada {number}"}})
    visitor = Principal.anonymous(tenant_id, Origin())
    return (await Responses(database).submit(visitor, SubmitResponse(body=body, slug="party"))).id


async def add_file(database: Database, store: ObjectStore, tenant_id: str, content: bytes, **columns: Any) -> str:
    """A stored file of a tenant; its id."""
    file_id, now = new_id("fil"), utc_now()
    await store.put(final_object(tenant_id, file_id), content)
    row = {
        "form_id": "frm_1",
        "field_id": "cv",
        "state": "stored",
        "name": "cv.txt",
        "type": "text/plain",
        "size": len(content),
        "received": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "uploaded_by": "anonymous",
        "created_at": now,
        **columns,
    }
    async with database.write(tenant_id) as unit:
        unit.session.add(File(tenant_id=tenant_id, id=file_id, **row))
    return file_id


async def fill(database: Database, store: ObjectStore, responses: int = 5) -> None:
    """Two tenants, each with a form, responses and files."""
    for tenant_id in TENANTS:
        form = await make_form(database, await make_tenant(database, tenant_id))
        for number in range(responses):
            response_id = await submit(database, tenant_id, number)
        for number in range(2):
            content = f"{tenant_id} {number}".encode() * 1000
            await add_file(database, store, tenant_id, content, form_id=form.id, response_id=response_id)


async def everything_in(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, by their keys."""
    found = {}
    async with database.unscoped_read() as unit:
        for table in SQLModel.metadata.sorted_tables:
            if table.name not in DIFFERENT:
                found[table.name] = await _rows(unit.connection, table)
    return found


async def _rows(connection: Any, table: Table) -> list[tuple[Any, ...]]:
    statement = select(table).order_by(*inspect(table).primary_key)
    return [tuple(row) for row in await connection.execute(statement)]


async def objects_in(settings: Settings) -> dict[str, bytes]:
    """Every object of a platform."""
    store = ObjectStore(settings.object_store(), **settings.object_store_options())
    keys = [each.key async for each in store.everything()]
    return {key: b"".join([piece async for piece in store.read(key)]) for key in keys}


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    # A file of its own: backups share theirs by links.
    path.unlink()
    path.write_bytes(content)
