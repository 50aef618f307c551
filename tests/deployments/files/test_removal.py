"""R5: files go with their response, and what was left behind anywhere is found."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from db.models.jobs import Job
from db.repositories.files import FileRepository
from db.session import Database
from db.types import new_id, utc_now
from deployments.files.handlers import FORM_PURGED, RESPONSE_PURGED, on_purged
from deployments.files.removal import RemoveFiles, Remover, Sweep
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import PLATFORM_TENANT
from eventing.events.envelope import Event
from eventing.jobs import JobRun
from tests.deployments.files.conftest import stored
from tests.deployments.files.scene import noise, send
from tests.deployments.files.test_attaching import put_file
from tests.deployments.files.test_sending import used
from tests.deployments.files.test_uploads import append, begin
from tests.eventing.harness import eventually
from tests.serve_app.one_process import OneProcess


def a_run(tenant_id: str = PLATFORM_TENANT, **payload: Any) -> JobRun:
    async def report(_done: int, _total: int | None) -> bool:
        return False

    return JobRun(
        tenant_id=tenant_id,
        id="job_1",
        payload=payload,
        attempt=1,
        created_by="system:files",
        soft_limit_s=60.0,
        report=report,
    )


async def sweep(database: Database, objects: ObjectStore, **options: Any) -> dict[str, Any]:
    done = await Sweep(database, objects, **options).run(a_run())
    assert done.result is not None
    return done.result


async def change(database: Database, statement: str, **values: Any) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(text(statement), values)


async def expire(database: Database) -> None:
    async with database.unscoped_write() as unit:
        from db.models.files import File

        for row in await unit.session.scalars(select(File)):
            if row.expires_at is not None:
                row.expires_at = utc_now() - timedelta(seconds=1)


async def rows(database: Database) -> Sequence[str]:
    async with database.unscoped_read() as unit:
        return (await unit.session.scalars(text("SELECT id FROM file ORDER BY id"))).all()


class TestSweep:
    async def test_what_no_response_has_is_swept_away_when_its_time_is_over(
        self, visitor: httpx.AsyncClient, form_id: str, database: Database, objects: ObjectStore
    ) -> None:
        """R5: rows, bytes and what they count; a file that a response has, and one whose time is not over, stay."""
        old = (await send(visitor, b"old")).json()["id"]
        half = await begin(visitor, 10)
        await append(visitor, half.headers["location"], 0, b"12345")
        await send(visitor, b"MZ" + bytes(99), "a.txt")  # refused: only its row is left
        kept = (await send(visitor, b"kept")).json()["id"]
        await self._give(database, kept, form_id)
        await expire(database)
        fresh = (await send(visitor, b"fresh")).json()["id"]
        assert (await sweep(database, objects))["files"] == 3
        assert sorted(await rows(database)) == sorted([kept, fresh])
        assert await stored(objects) == sorted(f"acme/files/{file_id}" for file_id in (kept, fresh))
        assert await used(database) == len(b"kept") + len(b"fresh")
        assert old not in await rows(database)
        assert (await sweep(database, objects))["files"] == 0

    async def test_files_of_responses_that_are_gone_are_found(
        self, visitor: httpx.AsyncClient, form_id: str, database: Database, objects: ObjectStore
    ) -> None:
        """R5: also when nobody told: one of a response in the trash stays, since that may come back."""
        trashed, gone = [(await send(visitor, content)).json()["id"] for content in (b"a", b"b")]
        for file_id in (trashed, gone):
            await self._give(database, file_id, form_id)
        await change(database, "UPDATE response SET deleted_at = submitted_at WHERE id = :id", id=f"rsp_{trashed}")
        await change(database, "DELETE FROM response WHERE id = :id", id=f"rsp_{gone}")
        assert (await sweep(database, objects))["files"] == 1
        assert await stored(objects) == [f"acme/files/{trashed}"]

    async def test_bytes_without_a_row_go_and_rows_without_bytes_are_told_of(
        self, visitor: httpx.AsyncClient, form_id: str, database: Database, objects: ObjectStore
    ) -> None:
        """R5: both ways in which a dying process or a careless hand could part them."""
        whole, lost = [(await send(visitor, content)).json()["id"] for content in (b"a", b"b")]
        await objects.delete(f"acme/files/{lost}")
        strays = [new_id("fil"), new_id("fil")]
        await objects.put(f"acme/files/{strays[0]}", b"x")
        await objects.put(f"acme/uploads/{strays[1]}/1", b"x")
        await objects.put("acme/imports/1", b"not ours")
        assert (await sweep(database, objects))["objects"] == 0  # they may be under way
        found = await sweep(database, objects, settled=timedelta(seconds=-5))
        assert (found["objects"], found["missing"], found["files"]) == (2, [lost], 0)
        assert await stored(objects) == [f"acme/files/{whole}"]
        assert await objects.exists("acme/imports/1")

    async def test_half_an_upload_leaves_nothing(
        self,
        platform: OneProcess,
        visitor: httpx.AsyncClient,
        form_id: str,
        database: Database,
        objects: ObjectStore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """R5: a connection that breaks in the middle gives its room back at once; when not even that can be said any
        more, the sweep does it."""
        await self._break_off(platform, form_id)

        async def forgotten() -> bool:
            return not await stored(objects) and not await used(database)

        await eventually(forgotten)

        async def die(*_: object) -> None:
            raise RuntimeError("killed")

        monkeypatch.setattr("deployments.files.deployment.Files.cancel_upload", die)
        await self._break_off(platform, form_id)

        async def begun() -> bool:
            return await used(database) > 0

        await eventually(begun)
        await expire(database)
        await sweep(database, objects, settled=timedelta(seconds=-5))
        assert (await stored(objects), await used(database)) == ([], 0)

    @staticmethod
    async def _give(database: Database, file_id: str, form_id: str) -> None:
        from db.models.responses import Response

        async with database.write("acme") as unit:
            unit.session.add(
                Response(
                    tenant_id="acme",
                    id=f"rsp_{file_id}",
                    form_id=form_id,
                    version=1,
                    status="complete",
                    answers={"cv": [file_id]},
                    meta={},
                    submitted_by="anonymous",
                    submitted_at=utc_now(),
                )
            )
            row = await FileRepository(unit.session, "acme").find(file_id)
            assert row is not None
            row.response_id, row.expires_at = f"rsp_{file_id}", None

    @staticmethod
    async def _break_off(platform: OneProcess, form_id: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", platform.settings.port)
        body = (
            b'--x\r\ncontent-disposition: form-data; name="field"\r\n\r\ncv\r\n'
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + noise(300_000)
        )
        writer.write(
            b"POST /api/v1/public/acme/party/files HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n"
            b"content-type: multipart/form-data; boundary=x\r\n\r\n" + body
        )
        await writer.drain()
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await reader.read()
        writer.close()


class TestPurge:
    async def test_files_go_with_their_response_and_with_their_form(
        self, visitor: httpx.AsyncClient, form_id: str, database: Database, objects: ObjectStore
    ) -> None:
        """R5: what is gone for good takes its files along; the events may come twice."""
        sent = [(await send(visitor, content)).json()["id"] for content in (b"a", b"b", b"c")]
        await change(database, "UPDATE file SET response_id = 'rsp_1', expires_at = NULL WHERE id = :id", id=sent[0])
        await self._told(database, RESPONSE_PURGED, "rsp_1")
        await self._told(database, RESPONSE_PURGED, "rsp_unknown")
        await self._do(database, objects)
        assert await stored(objects) == sorted(f"acme/files/{file_id}" for file_id in sent[1:])
        for _ in range(2):
            await self._told(database, FORM_PURGED, form_id)
            await self._do(database, objects)
        assert (await stored(objects), list(await rows(database)), await used(database)) == ([], [], 0)

    async def test_those_of_others_stay(
        self, visitor: httpx.AsyncClient, form_id: str, database: Database, objects: ObjectStore
    ) -> None:
        """T5: a purge in one tenant reaches no file of another."""
        other = await put_file(database, form_id, response_id="rsp_1", expires_at=None)
        await self._told(database, RESPONSE_PURGED, "rsp_1", "other")
        await self._do(database, objects)
        assert other in await rows(database)

    @staticmethod
    async def _told(database: Database, kind: str, entity_id: str, tenant_id: str = "acme") -> None:
        event = Event(
            id=new_id("evt"),
            type=kind,
            version=1,
            timestamp=utc_now(),
            tenant_id=tenant_id,
            entity_id=entity_id,
            form_id=None,
            actor="usr_1",
        )
        async with database.write(tenant_id) as unit:
            await on_purged(unit, [event])

    @staticmethod
    async def _do(database: Database, objects: ObjectStore) -> None:
        async with database.unscoped_read() as unit:
            jobs = (await unit.session.scalars(select(Job).where(Job.kind == "files.remove"))).all()  # type: ignore[arg-type]
        for job in jobs:
            await RemoveFiles(Remover(database, objects)).run(a_run(job.tenant_id, **job.payload))
