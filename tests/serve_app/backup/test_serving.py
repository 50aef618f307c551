"""O4: a backup is of one moment, whatever is written and removed while it is made."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from db.models.audit import AuditEntry
from db.models.events import Event
from db.models.responses import Response
from db.session import Database
from deployments.files.places import final_object
from deployments.files.removal import Remover
from deployments.kit.objects import Listed, ObjectStore
from serve_app.backup.drilling import Drill, drill_backup
from serve_app.backup.making import back_up
from serve_app.backup.restoring import restore
from serve_app.settings import Settings
from tests.eventing.harness import eventually
from tests.factories import make_form, owner
from tests.serve_app.backup.scene import Place, add_file, submit

_SUBMITTED = select(func.count()).select_from(Event).where(Event.type == "response.submitted")  # type: ignore[arg-type]


async def test_what_is_written_meanwhile_is_there_whole_or_not_at_all(
    filled: Settings, database: Database, shelf: Path, place: Place
) -> None:
    """O4: every response has its event, the audit chains verify, and the drill finds nothing; writers never waited."""
    written: list[str] = []
    stop = asyncio.Event()

    async def write(tenant_id: str) -> None:
        while not stop.is_set():
            written.append(await submit(database, tenant_id, len(written)))
            await make_form(database, owner(tenant_id), slug=f"form-{len(written)}")

    writers = [asyncio.create_task(write(tenant)) for tenant in ("acme", "globex")]
    try:
        await eventually(lambda: _more_than(written, 3))
        made = await back_up(filled, shelf)
        before = len(written)
        await eventually(lambda: _more_than(written, before))
    finally:
        stop.set()
        await asyncio.gather(*writers)
    there = await place()
    await restore(there, made.folder)
    again = Database(there.database())
    async with again.unscoped_read() as unit:
        responses = await unit.session.scalar(select(func.count()).select_from(Response)) or 0
        assert responses == await unit.session.scalar(_SUBMITTED)
        assert await unit.session.scalar(select(func.count()).select_from(AuditEntry)) == sum(
            each.sequence for each in made.manifest.audit.values()
        )
    await again.close()
    assert 10 < responses < 10 + len(written)


async def _more_than(items: list[str], number: int) -> bool:
    return len(items) > number


async def test_a_file_that_comes_and_goes_meanwhile_leaves_no_hole(
    sqlite_filled: Settings, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: one that came after the files were copied is there; where one was removed after the moment, a later moment
    is taken, that does not name it."""
    database, store = Database(sqlite_filled.database()), ObjectStore(sqlite_filled.object_store())
    came: list[str] = []
    listed, everything = ObjectStore.listed, ObjectStore.everything

    async def then_one_comes(self: ObjectStore) -> AsyncIterator[Listed]:
        async for each in everything(self):
            yield each
        came.append(await add_file(database, store, "acme", b"goes"))

    async def then_it_goes(self: ObjectStore, key: str) -> Listed | None:
        if len(came) == 1:
            came.append(await add_file(database, store, "acme", b"stays"))
            await Remover(database, store).remove("acme", came[0], wanted=True)
        return await listed(self, key)

    monkeypatch.setattr(ObjectStore, "everything", then_one_comes)
    monkeypatch.setattr(ObjectStore, "listed", then_it_goes)
    made = await back_up(sqlite_filled, shelf)
    monkeypatch.undo()
    await database.close()
    assert made.manifest.objects.lost == ()
    assert (made.folder / "objects" / final_object("acme", came[1])).read_bytes() == b"stays"
    report = await drill_backup(sqlite_filled, made.folder, Drill(scratch=shelf.parent / "scratch"))
    assert report.wrong == ()


async def test_a_file_that_was_lost_before_is_told_by_name(sqlite_filled: Settings, shelf: Path) -> None:
    """O4: it is no reason for having no backup."""
    lost = next(path for path in sorted((sqlite_filled.data_dir / "objects").rglob("*")) if path.is_file())
    lost.unlink()
    made = await back_up(sqlite_filled, shelf)
    assert made.manifest.objects.lost == (str(lost.relative_to(sqlite_filled.data_dir / "objects")),)


async def test_a_drill_finds_what_was_tampered_with(sqlite_filled: Settings, shelf: Path, tmp_path: Path) -> None:
    """O4: an entry of the audit trail, an answer and a file, although the backup itself is sound."""
    database = Database(sqlite_filled.database())
    changes = (
        "DROP TRIGGER audit_entry_is_not_updated",
        "UPDATE audit_entry SET actor = 'nobody' WHERE tenant_id = 'acme' AND sequence = 1",
        "UPDATE response SET answers = json_set(answers, '$.email', '?') WHERE id = (SELECT max(id) FROM response)",
        "UPDATE response SET answers = '{half' WHERE id = (SELECT min(id) FROM response)",
        "UPDATE file SET sha256 = 'other' WHERE id = (SELECT min(id) FROM file)",
    )
    async with database.unscoped_write() as unit:
        for change in changes:
            await unit.session.execute(text(change))
    await database.close()
    report = await drill_backup(
        sqlite_filled, (await back_up(sqlite_filled, shelf)).folder, Drill(scratch=tmp_path / "scratch")
    )
    found = "\n".join(report.wrong)
    assert len(report.wrong) == 4, found
    for sentence in (
        "The audit trail of acme is broken at entry 1.",
        "of globex does not fit its form: /answers/email",
        "of acme cannot be read:",
        "of acme is not the one that was sent.",
    ):
        assert sentence in found
    assert [check.ok for check in report.checks] == [True, False, False, False]
