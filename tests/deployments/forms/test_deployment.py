"""Forms through their door, on both dialects."""

import asyncio
import copy
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.forms import Form
from db.session import Database
from deployments.forms.contracts import CreateForm, ListForms, UpdateForm, ValidateDefinition
from deployments.forms.deployment import Forms
from deployments.forms.errors import (
    FormNotFound,
    FormQuotaReached,
    IncompatibleChange,
    InvalidSettings,
    RevisionOutdated,
    SlugTaken,
    VersionNotFound,
)
from deployments.kit.engine import InvalidDefinition
from deployments.kit.errors import Invalid
from tests.factories import PARTY, make_form, make_tenant


class TestCreate:
    async def test_a_form_starts_as_a_draft(self, database: Database) -> None:
        form = await make_form(database, await make_tenant(database), publish=False)
        assert (form.status, form.version, form.revision) == ("draft", None, 1)
        assert form.id.startswith("frm_")

    async def test_every_fault_of_a_definition_is_named(self, database: Database) -> None:
        """F1: unknown types and duplicate ids are refused, all at once."""
        bad = copy.deepcopy(PARTY)
        bad["pages"][0]["elements"][0]["type"] = "telepathy"
        bad["pages"][0]["elements"][2]["id"] = "email"
        with pytest.raises(InvalidDefinition) as caught:
            await make_form(database, await make_tenant(database), definition=bad)
        assert {fault.code for fault in caught.value.faults} >= {
            "definition.unknown_type",
            "definition.duplicate_id",
        }

    async def test_a_slug_is_unique_in_its_tenant_only(self, database: Database) -> None:
        """T4: two tenants may use one slug."""
        acme, other = await make_tenant(database), await make_tenant(database, "other")
        await make_form(database, acme)
        await make_form(database, other)
        with pytest.raises(SlugTaken):
            await make_form(database, acme)

    async def test_the_quota_of_forms_holds_for_parallel_calls(self, database: Database) -> None:
        """T1, T6: max_forms is exact under concurrency."""
        principal = await make_tenant(database, max_forms=3)
        results = await asyncio.gather(
            *(make_form(database, principal, slug=f"f{n}", publish=False) for n in range(8)), return_exceptions=True
        )
        assert sum(isinstance(result, FormQuotaReached) for result in results) == 5

    async def test_unknown_settings_are_refused_with_their_pointer(self, database: Database) -> None:
        with pytest.raises(InvalidSettings) as caught:
            await make_form(database, await make_tenant(database), colour="red", max_responses=-1)
        assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
            ("/settings/colour", "unknown_property"),
            ("/settings/max_responses", "range.min"),
        }

    async def test_a_form_cannot_close_before_it_opens(self, database: Database) -> None:
        now = datetime.now(UTC)
        with pytest.raises(InvalidSettings):
            await make_form(
                database,
                await make_tenant(database),
                opens_at=now.isoformat(),
                closes_at=(now - timedelta(hours=1)).isoformat(),
            )


class TestUpdate:
    async def test_only_what_is_given_changes(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal, send_notification=True)
        forms = Forms(database)
        changed = await forms.update(
            principal, form.id, UpdateForm(title="Feast", settings={"notification_recipients": ["a@example.org"]})
        )
        assert (changed.title, changed.slug, changed.definition) == ("Feast", form.slug, form.definition)
        assert changed.settings.send_notification
        assert changed.settings.notification_recipients == ["a@example.org"]
        assert changed.revision == form.revision + 1

    async def test_a_change_based_on_an_old_revision_is_refused(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        forms = Forms(database)
        await forms.update(principal, form.id, UpdateForm(title="A"))
        with pytest.raises(RevisionOutdated):
            await forms.update(principal, form.id, UpdateForm(title="B", if_match=form.revision))

    async def test_a_published_field_keeps_its_type(self, database: Database) -> None:
        """F4: type changes of a published field are refused."""
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        changed = copy.deepcopy(PARTY)
        changed["pages"][0]["elements"][3] = {"id": "score", "type": "date", "title": "When?"}
        with pytest.raises(IncompatibleChange):
            await Forms(database).update(principal, form.id, UpdateForm(definition=changed))

    async def test_a_slug_can_change_to_a_free_one_only(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        await make_form(database, principal, slug="taken")
        forms = Forms(database)
        with pytest.raises(SlugTaken):
            await forms.update(principal, form.id, UpdateForm(slug="taken"))
        assert (await forms.update(principal, form.id, UpdateForm(slug="free"))).slug == "free"


class TestPublish:
    async def test_versions_count_up_and_stay_as_they_were(self, database: Database) -> None:
        """F4: published versions are immutable."""
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        forms = Forms(database)
        longer = copy.deepcopy(PARTY)
        longer["pages"][0]["elements"].append({"id": "more", "type": "long_text", "title": "More?"})
        await forms.update(principal, form.id, UpdateForm(definition=longer))
        assert (await forms.get_published(principal, "party")).version == 1
        assert (await forms.publish(principal, form.id)).version == 2
        first = await forms.get_version(principal, form.id, 1)
        assert len(first.definition["pages"][0]["elements"]) == 4
        assert [version.version for version in (await forms.list_versions(principal, form.id)).data] == [1, 2]

    async def test_a_draft_that_was_saved_under_weaker_rules_is_not_published(self, database: Database) -> None:
        """F4: what a release refuses, it refuses of the drafts of earlier ones as well."""
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        changed = copy.deepcopy(PARTY)
        changed["pages"][0]["elements"][3] = {"id": "score", "type": "date", "title": "When?"}
        async with database.write(principal.tenant_id) as unit:
            await unit.session.execute(update(Form).where(col(Form.id) == form.id).values(definition=changed))
        with pytest.raises(IncompatibleChange):
            await Forms(database).publish(principal, form.id)
        assert (await Forms(database).get(principal, form.id)).version == 1

    async def test_publishing_an_unchanged_draft_makes_no_version(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        before = await Forms(database).get(principal, form.id)
        assert (await Forms(database).publish(principal, form.id)).version == 1
        assert await Forms(database).get(principal, form.id) == before, "its revision too, which others have read"

    async def test_a_version_that_is_not_there(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        with pytest.raises(VersionNotFound):
            await Forms(database).get_version(principal, form.id, 7)


class TestGet:
    async def test_another_tenants_form_is_not_there(self, database: Database) -> None:
        """T5: the same answer as for a form that never was."""
        acme, other = await make_tenant(database), await make_tenant(database, "other")
        form = await make_form(database, acme)
        forms = Forms(database)
        for call in (
            forms.get(other, form.id),
            forms.get_by_slug(other, form.slug),
            forms.update(other, form.id, UpdateForm(title="Mine")),
            forms.publish(other, form.id),
            forms.delete(other, form.id),
            forms.list_versions(other, form.id),
            forms.get_version(other, form.id, 1),
            forms.get_published(other, form.slug),
        ):
            with pytest.raises(FormNotFound):
                await call
        assert (await forms.list_forms(other, ListForms())).data == []

    async def test_a_deleted_form_is_gone_and_its_slug_free(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        forms = Forms(database)
        await forms.delete(principal, form.id)
        with pytest.raises(FormNotFound):
            await forms.get(principal, form.id)
        with pytest.raises(FormNotFound):
            await forms.get_published(principal, form.slug)
        await make_form(database, principal)

    async def test_pages_hold_every_form_once_newest_first(self, database: Database) -> None:
        principal = await make_tenant(database)
        made = [(await make_form(database, principal, slug=f"f{n}", publish=False)).id for n in range(5)]
        forms = Forms(database)
        seen: list[str] = []
        cursor = None
        while True:
            page = await forms.list_forms(principal, ListForms(cursor=cursor, limit=2))
            seen += [form.id for form in page.data]
            cursor = page.meta.next_cursor
            if cursor is None:
                break
        assert seen == made[::-1]

    async def test_a_forged_cursor_is_refused(self, database: Database) -> None:
        with pytest.raises(Invalid):
            await Forms(database).list_forms(await make_tenant(database), ListForms(cursor="bm9uc2Vuc2U"))

    async def test_a_form_outside_its_window_says_that_it_is_closed(self, database: Database) -> None:
        principal = await make_tenant(database)
        await make_form(database, principal, opens_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
        assert not (await Forms(database).get_published(principal, "party")).open


class TestValidate:
    async def test_a_report_and_nothing_stored(self, database: Database) -> None:
        """F9: validate a definition without storing it."""
        principal = await make_tenant(database)
        forms = Forms(database)
        assert (await forms.validate(principal, ValidateDefinition(definition=PARTY))).valid
        report = await forms.validate(principal, ValidateDefinition(definition={"pages": []}))
        assert not report.valid
        assert report.errors
        assert (await forms.list_forms(principal, ListForms())).data == []


def test_a_slug_is_a_plain_name() -> None:
    for slug in ("Party", "-a", "a-", "a b", "", "ä", "a/b"):
        with pytest.raises(ValueError):
            CreateForm(slug=slug, title="T", definition=PARTY)
