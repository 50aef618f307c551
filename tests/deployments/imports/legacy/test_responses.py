"""O6: the responses and files of another backend's documents, on both databases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import Int64

from db.models.files import File
from db.models.identity import User
from db.models.responses import Response
from db.session import Database
from tests.deployments.imports.legacy.dumps import (
    bring_in,
    codes,
    counts,
    form,
    legacy,
    oid,
    outcomes,
    question,
    response,
    write,
)
from tests.deployments.imports.legacy.landed import answered, found


class TestResponses:
    async def test_answers_of_every_type(self, database: Database, tmp_path: Path) -> None:
        options = ["red", {"value": "g", "label": "Dark green"}, {"label": "Blue/grey"}]
        fields = [
            question("line", "text"),
            question("prose", "textarea"),
            question("mail", "email"),
            question("count", "integer"),
            question("amount", "number"),
            question("colour", "radio", options=options),
            question("colours", "checkboxes", options=options),
            question("day", "date"),
            question("moment", "datetime"),
            question("sure", "boolean"),
            question("agree", "checkbox"),
            question("stars", "rating", validation={"max": 5}),
            {"_id": oid(77), "name": "named", "type": "text", "label": "By name"},
            question("shown", "text", conditional={"field": "sure", "operator": "equals", "value": True}),
            {"id": "Strange Id!", "type": "hologram", "label": "Strange"},
        ]
        given = {
            "line": 12,
            "prose": "Two\nlines",
            "mail": "ada@example.org",
            "count": "7",
            "amount": "7,5",
            "colour": "Dark green",
            "colours": "red, Blue/grey",
            "day": datetime(2020, 5, 1, tzinfo=UTC),
            "moment": 1_588_327_200_000,
            "sure": "yes",
            "agree": 1,
            "stars": Int64(4),
            "named": "n",
            "shown": "seen",
            "Strange Id!": "s",
        }
        listed = [{"questionId": name, "answer": value} for name, value in given.items()]
        hidden = {"sure": False, "shown": "not asked for", "colours": {"red": True, "g": False}, "day": "01.05.2020"}
        documents = {
            "forms": [form(1, *fields)],
            "form_responses": [
                response(10, given),
                {**response(11, {}), "data": None, "answers": listed},
                response(12, hidden),
                response(13, {"Line": "by its label", "line": "again", "colour": "pink", "gone": 1}, ip="192.0.2.1"),
            ],
        }
        imported = await bring_in(database, write(tmp_path / "dump", documents), create="Acme")
        first, second, third, fourth = (await answered(database)).values()
        assert first.answers == second.answers
        assert first.answers == {
            "line": "12",
            "prose": "Two\nlines",
            "mail": "ada@example.org",
            "count": 7,
            "amount": 7.5,
            "colour": "g",
            "colours": ["red", first.answers["colours"][1]],
            "day": "2020-05-01",
            "moment": "2020-05-01T10:00:00Z",
            "sure": True,
            "agree": True,
            "stars": 4,
            "named": "n",
            "shown": "seen",
            "strange_id": "s",
        }
        assert first.submitted_at == datetime(2020, 5, 1, 10, tzinfo=UTC)
        assert third.answers == {"sure": False, "colours": ["red"], "day": "2020-05-01"}
        assert third.meta["set_aside"] == {"shown": "not asked for"}
        assert fourth.answers == {"line": "by its label"}
        assert fourth.meta["set_aside"] == {"line": "again", "colour": "pink", "gone": 1}
        assert fourth.meta["legacy"] == {"id": str(oid(13)), "ip": "192.0.2.1"}
        assert codes(imported) == {
            "answer.hidden": 1,
            "answer.repeated": 1,
            "answer.unknown_field": 1,
            "option.unknown": 1,
        }

    async def test_what_is_no_response_any_more_is_reported(self, database: Database, tmp_path: Path) -> None:
        documents = {
            "forms": [form(1)],
            "form_responses": [
                response(10, {"name": "A"}, status="spam"),
                response(11, {"name": "A"}, status="in_progress"),
                response(12, {"name": "A"}, deletedAt="2020-01-01"),
                response(13, {"name": "A"}, of=8),
                {"_id": oid(14), "data": {}},
                {**response(15, {"name": "A"}), "submitted_at": "whenever", "resumeToken": "s3cret", "campaign": "x"},
                response(15, {"name": "twice"}),
            ],
        }
        imported = await bring_in(database, write(tmp_path / "dump", documents), create="Acme")
        assert outcomes(imported, "form_responses") == {"skipped": 3, "refused": 3, "made": 1}
        assert codes(imported) == {
            "response.spam": 1,
            "response.unfinished": 1,
            "document.deleted": 1,
            "form.missing": 2,
            "document.repeated": 1,
            "time.unreadable": 1,
            "secret.left_out": 1,
            "property.unknown": 1,
        }
        (made,) = await found(database, Response)
        # The time of its ObjectId is the best there is.
        assert made.submitted_at == oid(15).generation_time
        assert made.meta["legacy"]["extra"] == {"campaign": "x"}
        assert imported.run_id is not None
        assert (await legacy(database, tmp_path).verify(imported.run_id)).is_right

    async def test_the_same_dump_again_adds_nothing_and_a_newer_one_what_is_new(
        self, database: Database, tmp_path: Path
    ) -> None:
        documents: dict[str, Any] = {
            "users": [{"_id": 1, "email": "ada@example.org"}],
            "forms": [form(1)],
            "form_versions": [{"_id": 2, "form_id": oid(1), "version": 1, "fields": form(1)["fields"]}],
            "form_responses": [response(10, {"name": "A"})],
        }
        dump = write(tmp_path / "dump", documents)
        await bring_in(database, dump, create="Acme")
        before = await counts(database)
        again = await bring_in(database, dump)
        assert all(outcomes(again, name) == {"known": 1} for name in documents)
        after = await counts(database)
        ours = ("user_account", "form", "form_version", "response", "legacy_document")
        assert {name: after[name] for name in ours} == {name: before[name] for name in ours}
        changed = [response(10, {"name": "B"}), response(11, {"name": "C"}, user_id=1)]
        newer = await bring_in(database, write(tmp_path / "newer", {**documents, "form_responses": changed}))
        assert outcomes(newer, "form_responses") == {"known": 1, "made": 1}
        assert codes(newer) == {"document.differs": 1}
        (ada,) = await found(database, User)
        assert {row.answers["name"]: row.submitted_by for row in await found(database, Response)} == {
            "A": "anonymous",
            "C": ada.id,
        }


class TestFiles:
    async def test_files_go_to_the_answers_that_named_them(self, database: Database, tmp_path: Path) -> None:
        (tmp_path / "dump" / "up").mkdir(parents=True)
        (tmp_path / "dump" / "up" / "a.txt").write_text("Hello from a folder.\n")
        (tmp_path / "secret.txt").write_text("Not below the folder.\n")
        grid = b"Hello from GridFS.\n" * 20
        fields = [question("name"), question("paper", "file"), question("photo", "file")]
        documents: dict[str, Any] = {
            "forms": [form(1, *fields), form(2, question("name"))],
            "form_responses": [
                response(10, {"name": "A", "paper": {"path": "/up/a.txt"}}),
                response(11, {"name": "B", "photo": [str(oid(31))]}),
                response(12, {"name": "C", "paper": "/up/lost.txt"}),
                response(13, {"name": "D"}, of=2),
            ],
            "files": [
                {"_id": oid(30), "formResponseId": oid(10), "filename": "a.txt", "path": "/up/a.txt", "note": "first"},
                {"_id": oid(31), "filename": "grid.txt", "gridfsId": oid(40), "length": len(grid)},
                {"_id": oid(32), "form_response_id": oid(12), "path": "../secret.txt", "fieldId": "paper"},
                {"_id": oid(33), "form_response_id": oid(13), "filename": "a.txt", "path": "up/a.txt"},
                {"_id": oid(34), "form_response_id": oid(99), "filename": "a.txt"},
            ],
            "fs.chunks": [
                {"_id": oid(51), "files_id": oid(40), "n": 1, "data": grid[100:]},
                {"_id": oid(50), "files_id": oid(40), "n": 0, "data": grid[:100]},
            ],
        }
        dump = write(tmp_path / "dump", documents)
        imported = await bring_in(database, dump, create="Acme")
        kept = {row.id: row for row in await found(database, File)}
        responses = await answered(database)
        (a,), (b,) = responses[str(oid(10))].answers["paper"], responses[str(oid(11))].answers["photo"]
        assert (kept[a].name, kept[a].size, kept[a].response_id) == ("a.txt", 21, responses[str(oid(10))].id)
        assert (kept[b].name, kept[b].size, kept[b].field_id) == ("grid.txt", len(grid), "photo")
        assert responses[str(oid(10))].meta["legacy"]["files"] == [{"id": str(oid(30)), "note": "first"}]
        assert responses[str(oid(12))].meta["set_aside"] == {"paper": "/up/lost.txt"}
        assert len(kept) == 2
        assert codes(imported, "files") == {"file.missing": 1, "file.no_field": 1, "file.response_missing": 1}
        assert (tmp_path / "objects" / "acme" / "files" / a).read_text() == "Hello from a folder.\n"
        assert imported.run_id is not None
        assert (await legacy(database, tmp_path).verify(imported.run_id)).is_right

    async def test_files_that_are_refused_leave_nothing(self, database: Database, tmp_path: Path) -> None:
        (tmp_path / "dump").mkdir()
        (tmp_path / "dump" / "big.txt").write_text("x" * 20_000)
        (tmp_path / "dump" / "run.exe").write_bytes(b"MZ" + b"\0" * 200)
        fields = [question("paper", "file")]
        documents: dict[str, Any] = {
            "forms": [form(1, *fields)],
            "form_responses": [response(10 + n, {"paper": str(oid(30 + n))}) for n in range(3)],
            "files": [
                {"_id": oid(30), "response_id": oid(10), "filename": "big.txt"},
                {"_id": oid(31), "response_id": oid(11), "filename": "run.exe"},
                {"_id": oid(32), "response_id": oid(12), "filename": "grid.txt", "file_id": oid(40), "length": 9},
            ],
            "fs.chunks": [{"_id": oid(50), "files_id": oid(40), "n": 1, "data": b"late"}],
        }
        imported = await bring_in(database, write(tmp_path / "dump", documents), create="Acme")
        refused = codes(imported, "files")
        assert refused.keys() >= {"file.too_large", "file.incomplete"}
        assert sum(refused.values()) == 3
        assert outcomes(imported, "form_responses") == {"made": 3}
        assert not await found(database, File)
        assert not [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]
