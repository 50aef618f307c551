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
from tests.deployments.imports.legacy.landed import answered, found
from tests.factories import make_form, make_tenant


def _unnamed(notes: Any) -> Any:
    """Notes without the names of files."""
    return [[pointer.partition("#")[2] or pointer, code] for pointer, code in notes or ()]


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
