"""Submissions and an export in a process whose disk is full, and then has room again.

`python -m tests.faults.full_disk_process <folder>` prints what happened as JSON. With `--own-disk` the folder is a disk
that nothing else uses, and is filled (ENOSPC, SQLITE_FULL); else no file may grow (EFBIG, SQLITE_IOERR): SIGXFSZ is
ignored by Python, so a write past the limit fails.
"""

import asyncio
import os
import resource
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, insert, select, text

from db.errors import DatabaseUnavailable
from db.migrate import upgrade
from db.models.responses import Response
from db.session import Database
from db.settings import DatabaseSettings
from db.types import new_id, utc_now
from deployments.exports.contracts import OrderExport
from deployments.exports.deployment import Exports
from deployments.exports.making import MakeExport
from deployments.exports.settings import ExportsSettings
from deployments.kit.objects import ObjectStore
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from tests.deployments.tenancy.population import attempt
from tests.factories import ANSWERS, make_form, make_tenant, owner

_ROOM = 400_000
_TRIES = 20
_MANY = 4_000
_LIFE = timedelta(days=1)


class Limit:
    """No file may be larger than the largest one and so much more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, *, beyond_database: bool) -> None:
        largest = max(each.stat().st_size for each in self._folder.iterdir()) if beyond_database else 0
        self._set(largest + _ROOM)

    def free(self) -> None:
        self._set(resource.RLIM_INFINITY)

    def _set(self, octets: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))


class OwnDisk:
    """Nothing fits on the disk but so much more."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, *, beyond_database: bool) -> None:
        assert self._ballast.parent.is_mount()
        left = os.statvfs(self._ballast.parent)
        # The write-ahead log begins anew when it can, but grows at first.
        room = 5 * _ROOM if beyond_database else _ROOM
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_bsize - room)

    def free(self) -> None:
        self._ballast.unlink()


class Scene:
    def __init__(self, folder: Path, disk: Limit | OwnDisk) -> None:
        self.folder = folder
        self.disk = disk
        self.database = Database(DatabaseSettings(url=f"sqlite:///{folder}/formstream.db", wait_s=3.0))
        self.responses = Responses(self.database)
        self.form_id = ""
        self.acknowledged: dict[int, str] = {}

    async def submit(self, number: int) -> bool:
        """Whether the submission was acknowledged. Anything but that and DatabaseUnavailable ends the process."""
        body = orjson.dumps({"answers": {**ANSWERS, "name": f"Person {number}"}})
        command = SubmitResponse(body=body, form_id=self.form_id, idempotency_key=f"key-{number}")
        try:
            self.acknowledged[number] = (await self.responses.submit(owner(), command)).id
        except DatabaseUnavailable:
            return False
        return True

    async def fill(self) -> dict[str, Any]:
        """Submit until the disk is full, some more, and all that were refused again when there is room."""
        number = 0
        self.disk.fill(beyond_database=True)
        while await self.submit(number):
            number += 1
        refused = [each for each in range(number, number + _TRIES) if not await self.submit(each)]
        async with self.database.read("acme") as unit:
            readable = await unit.session.scalar(select(func.count()).select_from(Response)) or 0
        self.disk.free()
        again = [await self.submit(each) for each in refused]
        async with self.database.read("acme") as unit:
            stored = set(await unit.session.scalars(select(Response.id)))  # type: ignore[call-overload]
            check = await unit.session.scalar(text("PRAGMA integrity_check"))
        return {
            "before": number,
            "refused": len(refused),
            "readable": readable,
            "again": all(again),
            "lost": len(set(self.acknowledged.values()) - stored),
            "too_many": len(stored - set(self.acknowledged.values())),
            "integrity": check,
        }

    async def export(self) -> dict[str, Any]:
        """Make an export whose file does not fit, and again when there is room."""
        objects = ObjectStore(f"file://{self.folder}/objects")
        settings = ExportsSettings(signing_key="k" * 64)  # type: ignore[arg-type]
        ordered = await Exports(self.database, self.responses, settings).order(
            owner(), self.form_id, OrderExport(format="csv"), None
        )
        job = attempt("acme", {"export_id": ordered.export_id, "form_id": self.form_id})
        make = MakeExport(self.database, objects, self.responses, _LIFE)
        await self._many()
        # Room for what the database writes over again, and none for so large a file.
        self.disk.fill(beyond_database=False)
        try:
            await make.run(job)
            failed = ""
        except Exception as error:  # noqa: BLE001 - the runner takes any for a failure that is tried again
            failed = type(error).__name__
        left = [path.name for path in (self.folder / "objects").rglob("*") if path.is_file()]
        self.disk.free()
        result = (await make.run(job)).result or {}
        sizes = [path.stat().st_size for path in (self.folder / "objects").rglob("*") if path.is_file()]
        return {
            "failed": failed,
            "left": left,
            "rows": result["rows"] - _MANY,
            "whole": sizes == [result["bytes"]] and result["bytes"] > 2 * _ROOM,
        }

    async def _many(self) -> None:
        """Responses that make a file larger than the room that is left."""
        rows = [
            {
                "tenant_id": "acme",
                "id": new_id("rsp"),
                "form_id": self.form_id,
                "version": 1,
                "status": "complete",
                "answers": {**ANSWERS, "name": f"Person {number} {'x' * 200}"},
                "meta": {},
                "submitted_by": "anonymous",
                "submitted_at": utc_now(),
                "change": 1_000_000 + number,
            }
            for number in range(_MANY)
        ]
        async with self.database.write("acme") as unit:
            await (await unit.session.connection()).execute(insert(Response), rows)


async def main(folder: Path, disk: Limit | OwnDisk) -> None:
    await upgrade(DatabaseSettings(url=f"sqlite:///{folder}/formstream.db"))
    scene = Scene(folder, disk)
    scene.form_id = (await make_form(scene.database, await make_tenant(scene.database))).id
    found = await scene.fill()
    found["export"] = await scene.export()
    found["acknowledged"] = len(scene.acknowledged)
    await scene.responses.close()
    await scene.database.close()
    sys.stdout.write(orjson.dumps(found).decode() + "\n")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    asyncio.run(main(place, OwnDisk(place) if "--own-disk" in sys.argv else Limit(place)))
