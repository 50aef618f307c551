"""O6: another backend's documents become accounts, forms, responses and files, on both databases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import Int64
from sqlalchemy import select, update
from sqlmodel import col

from benchmarks.legacy_dump import write_dump
from db.models.events import Event
from db.models.files import File
from db.models.forms import Form, FormVersion
from db.models.identity import User
from db.models.legacy import LegacyDocument, LegacyRun
from db.models.responses import Response
from db.session import Database
from deployments.imports.legacy.errors import RunOpen, RunOver, RunUnlike, TenantMissing, TenantThere
from deployments.imports.legacy.running import Order
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
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant


async def found(database: Database, table: type[Any], tenant: str = "acme") -> list[Any]:
    """The rows of a table of one tenant, in the order of their ids."""
    return [row for row in await rows(database, table) if row.tenant_id == tenant]


def _unnamed(notes: Any) -> Any:
    """Notes without the names of files."""
    return [[pointer.partition("#")[2] or pointer, code] for pointer, code in notes or ()]


async def answered(database: Database, tenant: str = "acme") -> dict[str, Response]:
    """The responses by what they were called in the dump."""
    return {row.meta["legacy"]["id"]: row for row in await found(database, Response, tenant)}


class TestDirt:
    async def test_every_kind_of_dirt_is_told_of_and_nothing_is_lost(self, database: Database, tmp_path: Path) -> None:
        """A dry run says what an import does, and writes nothing; every document is accounted for."""
        await make_tenant(database, "globex")
        sizes = write_dump(tmp_path / "dump", 800)
        before = await counts(database)
        dry = await bring_in(database, tmp_path / "dump", create="Acme", dry=True)
        assert await counts(database) == before
        assert not any((tmp_path / "objects").iterdir())
        imported = await bring_in(database, tmp_path / "dump", create="Acme")
        assert imported.report.outcomes == dry.report.outcomes
        assert imported.report.codes == dry.report.codes
        # The last one is cut off.
        assert imported.report.read["form_responses"] == sizes.responses + 1
        assert codes(imported).keys() >= {
            *("answer.unknown_field", "document.broken", "document.deleted", "form.missing", "format.date"),
            *("length.max", "number.not_finite", "option.unknown", "property.unknown", "reference.missing"),
            *("response.unfinished", "text.encoding", "text.nul", "time.missing", "time.unreadable"),
            "version.missing",
        }
        assert codes(imported, "users").keys() >= {"email.taken", "email.unreadable", "password.not_carried"}
        assert codes(imported, "forms").keys() >= {"slug.made", "type.changed", "setting.unknown"}
        assert codes(imported, "files").keys() >= {"file.missing"}
        assert imported.run_id is not None
        verified = await legacy(database, tmp_path).verify(imported.run_id)
        assert verified.is_right, verified
        assert verified.documents == imported.report.read
        assert verified.checked["form_responses"] == imported.report.outcomes["form_responses"]["made"] > 300
        assert await counts(database, "globex") == {}

    async def test_json_lines_come_to_what_bson_comes_to(self, database: Database, tmp_path: Path) -> None:
        write_dump(tmp_path / "bson" / "dump", 800)
        write_dump(tmp_path / "json" / "dump", 800, form="json.gz")
        await bring_in(database, tmp_path / "bson" / "dump", "acme", create="Acme")
        await bring_in(database, tmp_path / "json" / "dump", "globex", create="Globex")

        async def known(tenant: str) -> dict[tuple[str, str], tuple[Any, ...]]:
            documents = await found(database, LegacyDocument, tenant)
            # Broken UTF-8 has no counterpart in JSON, and only BSON was cut off.
            odd = {"text.encoding", "document.broken"}
            return {
                (row.collection, row.source_id): (row.sha256, row.outcome, _unnamed(row.notes), row.extra)
                for row in documents
                if odd.isdisjoint(code for _, code in row.notes or ())
            }

        ours, theirs = await known("acme"), await known("globex")
        assert len(ours) > 700
        assert ours == {key: theirs[key] for key in ours}
        one, other = await answered(database, "acme"), await answered(database, "globex")
        assert one.keys() == other.keys()
        for name, row in one.items():
            if "broken here" not in row.answers.get("remark", ""):
                # Ids of files are made up.
                same = [{**each.answers, "paper": len(each.answers.get("paper", []))} for each in (row, other[name])]
                assert same[0] == same[1]
                assert (row.meta, row.version, row.submitted_at) == (
                    other[name].meta,
                    other[name].version,
                    other[name].submitted_at,
                )

    async def test_nobody_is_told_and_what_is_recorded_says_so(self, database: Database, tmp_path: Path) -> None:
        settings = {"sendNotification": True, "notifyEmails": ["team@example.org"]}
        documents = {
            "users": [{"_id": oid(5), "email": "ada@example.org"}],
            "forms": [form(1, settings=settings)],
            "form_responses": [response(10, {"name": "Ada"})],
        }
        await bring_in(database, write(tmp_path / "dump", documents), create="Acme")
        events = [orjson.loads(row.envelope) for row in await found(database, Event)]
        submitted = [event for event in events if event["type"] == "response.submitted"]
        assert [event["data"]["imported"] for event in submitted] == [True]
        assert not {"mail", "job", "link_token", "invitation", "webhook_delivery"} & (await counts(database)).keys()


class TestPeople:
    async def test_accounts_come_without_a_password(self, database: Database, tmp_path: Path) -> None:
        born = datetime(2019, 1, 1, tzinfo=UTC)
        people = [
            {
                "_id": 1,
                "email": "Ada@Example.org",
                "firstName": "Ada",
                "last_name": "L",
                "isAdmin": True,
                "created": born,
            },
            {
                "_id": 2,
                "username": "bob@example.org",
                "roles": [{"name": "editor"}],
                "active": False,
                "password": "$2b$x",
            },
            {
                "_id": 3,
                "emails": [{"address": "eve@example.org"}],
                "role": "wizard",
                "apiToken": "s3cret",
                "city": "Rome",
            },
        ]
        for person, more in zip(people, ({"created": born}, {"active": False}, {"city": "Rome"}), strict=True):
            person |= more
        imported = await bring_in(database, write(tmp_path / "dump", {"users": people}), create="Acme")
        ada, bob, eve = sorted(await found(database, User), key=lambda user: user.email)
        assert (ada.email, ada.name, ada.role, ada.status) == ("ada@example.org", "Ada L", "admin", "active")
        assert ada.created_at == born
        assert (bob.role, bob.status, eve.role) == ("editor", "deactivated", "viewer")
        assert {user.password_hash for user in (ada, bob, eve)} == {""}
        assert codes(imported, "users") == {
            "password.not_carried": 1,
            "property.unknown": 1,
            "role.unknown": 1,
            "secret.left_out": 1,
        }
        extras = {row.source_id: row.extra for row in await found(database, LegacyDocument)}
        assert extras == {"1": None, "2": None, "3": {"city": "Rome"}}

    @pytest.mark.parametrize(
        ("policy", "emails", "outcome"),
        [
            ("link", ["ada@example.org", "bob@example.org"], {"made": 1, "linked": 2}),
            ("skip", ["ada@example.org", "bob@example.org"], {"made": 1, "skipped": 2}),
            (
                "rename",
                ["ada+legacy2@example.org", "ada@example.org", "bob+legacy2@example.org", "bob@example.org"],
                {"made": 3},
            ),
        ],
    )
    async def test_a_taken_email(
        self, database: Database, tmp_path: Path, policy: str, emails: list[str], outcome: dict[str, int]
    ) -> None:
        """Whether somebody has it already, or another document does in other letters."""
        await make_tenant(database, "acme")
        first = write(tmp_path / "one", {"users": [{"_id": 9, "email": "ada@example.org"}]})
        await bring_in(database, first)
        people = [
            {"_id": n, "email": e} for n, e in enumerate(("ADA@example.org", "bob@example.org", "Bob@Example.org"))
        ]
        documents = {
            "users": people,
            "forms": [form()],
            "form_responses": [response(10, {"name": "A"}, user_id=0)],
        }
        imported = await bring_in(database, write(tmp_path / "two", documents), on_email_conflict=policy)
        people_now = {user.email: user.id for user in await found(database, User)}
        assert sorted(people_now) == emails
        assert outcomes(imported, "users") == outcome
        (answer,) = await found(database, Response)
        expected = {"link": "ada@example.org", "rename": "ada+legacy2@example.org"}.get(policy)
        assert answer.submitted_by == (people_now[expected] if expected else "anonymous")


class TestForms:
    async def test_versions_keep_their_order_and_times(self, database: Database, tmp_path: Path) -> None:
        made, changed = datetime(2019, 3, 1, tzinfo=UTC), datetime(2019, 4, 1, tzinfo=UTC)
        text, number = [question("name"), question("age")], [question("name"), question("age", "number")]
        documents = {
            "users": [{"_id": oid(5), "email": "ada@example.org"}],
            "forms": [{**form(1, *number, version=3), "createdBy": oid(5), "createdAt": made, "publishedAt": changed}],
            "form_versions": [
                {
                    "_id": 22,
                    "formId": oid(1),
                    "version": "2",
                    "fields": text,
                    "createdAt": changed,
                    "changelog": "As before",
                },
                {"_id": 21, "formId": oid(1), "version": Int64(1), "fields": text, "createdAt": made},
                {"_id": 29, "formId": oid(7), "version": 1, "fields": text},
            ],
            "form_responses": [
                response(10, {"name": "A", "age": "41"}, version=1),
                response(11, {"name": "B", "age": "42"}, version=3),
                response(12, {"name": "C", "age": "43"}, formVersionId=22),
                response(13, {"name": "D", "age": "44"}, version=7),
                response(14, {"name": "E", "age": "old"}, version=3),
            ],
        }
        imported = await bring_in(database, write(tmp_path / "dump", documents), create="Acme")
        (ada,), (made_form,) = await found(database, User), await found(database, Form)
        one, two = await found(database, FormVersion)
        assert (made_form.created_by, made_form.created_at, made_form.published_version) == (ada.id, made, 2)
        assert [(v.version, v.published_at) for v in (one, two)] == [(1, made), (2, changed)]
        assert [(e["id"], e["type"]) for e in two.definition["pages"][0]["elements"]] == [
            ("name", "short_text"),
            ("age_number", "number"),
        ]
        assert outcomes(imported, "form_versions") == {"made": 1, "linked": 1, "refused": 1}
        assert codes(imported, "forms")["type.changed"] == 1
        a, b, c, d, e = (await answered(database)).values()
        assert [(row.version, row.answers) for row in (a, b, c, d)] == [
            (1, {"name": "A", "age": "41"}),
            (2, {"name": "B", "age_number": 42}),
            (1, {"name": "C", "age": "43"}),
            (2, {"name": "D", "age_number": 44}),
        ]
        assert (e.answers, e.meta["set_aside"]) == ({"name": "E"}, {"age_number": "old"})
        assert codes(imported) == {"version.missing": 1, "type": 1}

    async def test_what_becomes_of_slugs_and_of_forms_that_are_over(self, database: Database, tmp_path: Path) -> None:
        acme = await make_tenant(database, "acme")
        await make_form(database, acme, slug="party")
        forms = [
            {**form(1), "slug": "party"},
            {**form(2), "slug": "Größe & Co"},
            {**form(3), "slug": None, "title": "No slug"},
            {**form(4), "status": "closed"},
            {**form(5), "status": "draft"},
            {**form(6), "isPublished": False},
            {**form(7), "deleted": True},
        ]
        answers = [response(10 + n, {"name": "A"}, of=n) for n in (5, 7, 1)]
        documents = write(tmp_path / "one" / "dump", {"forms": forms, "form_responses": answers})
        imported = await bring_in(database, documents)
        made = {row.slug: (row.status, row.published_version) for row in await found(database, Form)}
        assert made == {
            "party": ("published", 1),
            "party-2": ("published", 1),
            "grosse-co": ("published", 1),
            "no-slug": ("published", 1),
            "form-4": ("archived", 1),
            "form-5": ("archived", 1),
            "form-6": ("draft", None),
        }
        assert outcomes(imported, "forms") == {"made": 6, "skipped": 1}
        assert outcomes(imported, "form_responses") == {"made": 2, "refused": 1}
        await make_form(database, await make_tenant(database, "globex"), slug="party")
        second = write(tmp_path / "two" / "dump", {"forms": forms[:1], "form_responses": answers[2:]})
        skipped = await bring_in(database, second, "globex", on_slug_conflict="skip")
        assert outcomes(skipped, "forms") == {"skipped": 1}
        assert codes(skipped) == {"form.not_made": 1}

    async def test_quotas_hold(self, database: Database, tmp_path: Path) -> None:
        await make_tenant(database, "acme", max_forms=1, max_responses_per_form=2, max_users=1)
        documents = {
            "users": [{"_id": n, "email": f"p{n}@example.org"} for n in range(2)],
            "forms": [form(1), form(2)],
            "form_responses": [response(10 + n, {"name": "A"}) for n in range(3)],
        }
        dump = write(tmp_path / "dump", documents)
        door = legacy(database, tmp_path)
        before = await counts(database)
        dry = await door.dry_run(Order(dump, "acme"))
        assert await counts(database) == before
        assert [sentence.split(" is ")[0] for sentence in dry.report.quotas] == ["max_forms", "max_responses_per_form"]
        imported = await door.bring_in(Order(dump, "acme"))
        for collection in ("users", "forms"):
            assert outcomes(imported, collection) == {"made": 1, "refused": 1}
        assert outcomes(imported, "form_responses") == {"made": 2, "refused": 1}
        assert codes(imported) == {"form.full": 1}


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


class TestRuns:
    async def test_what_is_refused_before_anything_is_written(self, database: Database, tmp_path: Path) -> None:
        dump = write(tmp_path / "one", {"forms": [form(1)]})
        other = write(tmp_path / "two", {"forms": [form(2)]})
        for dry in (True, False):
            with pytest.raises(TenantMissing):
                await bring_in(database, dump, dry=dry)
        await make_tenant(database, "acme")
        with pytest.raises(TenantThere):
            await bring_in(database, dump, create="Acme")
        imported = await bring_in(database, dump)
        assert imported.run_id is not None
        async with database.write("acme") as unit:
            await unit.session.execute(update(LegacyRun).values(status="running"))
        with pytest.raises(RunOpen):
            await bring_in(database, other)
        with pytest.raises(RunUnlike):
            await bring_in(database, dump, on_slug_conflict="skip")
        with pytest.raises(RunOver):
            await legacy(database, tmp_path).verify(imported.run_id)
        assert (await bring_in(database, dump)).resumed

    async def test_verify_finds_what_was_changed_removed_or_never_there(
        self, database: Database, tmp_path: Path
    ) -> None:
        documents: dict[str, Any] = {
            "users": [{"_id": 1, "email": "ada@example.org"}],
            "forms": [form(1)],
            "form_responses": [response(10 + n, {"name": f"N{n}"}) for n in range(4)],
        }
        dump = write(tmp_path / "dump", documents)
        imported = await bring_in(database, dump, create="Acme")
        run_id, door = imported.run_id or "", legacy(database, tmp_path)
        assert (await door.verify(run_id)).is_right
        responses = await answered(database)
        one, two = responses[str(oid(10))].id, responses[str(oid(11))].id
        async with database.write("acme") as unit:
            changed = update(Response).where(col(Response.id) == one)
            await unit.session.execute(changed.values(answers={"name": "N0", "age": 1}))
            await unit.session.delete(await unit.session.scalar(select(Response).where(col(Response.id) == two)))
            gone = select(LegacyDocument).where(col(LegacyDocument.source_id) == str(oid(12)))
            await unit.session.delete(await unit.session.scalar(gone))
            await unit.session.execute(update(User).values(role="owner"))
        tampered = [*documents["form_responses"][:3], response(13, {"name": "other"})]
        write(dump, {"form_responses": tampered})
        verified = await door.verify(run_id)
        assert not verified.is_right
        (user,) = await found(database, User)
        assert set(verified.changed) == {f"form_responses {oid(10)}: {one}", f"users 1: {user.id}"}
        assert verified.gone == [f"form_responses {oid(11)}: {two}"]
        assert verified.missing == [f"form_responses {oid(12)} (form_responses.bson#3)"]
        assert verified.differing == [f"form_responses {oid(13)} (form_responses.bson#4)"]
