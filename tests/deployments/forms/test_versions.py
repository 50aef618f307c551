"""F4: drafts and published versions, on both dialects."""

import copy
from typing import Any

import pytest

from db.session import Database
from deployments.forms.contracts import PublishForm, UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.errors import FormNotFound, NeverPublished, RevisionOutdated, VersionNotFound
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from tests.deployments.forms.facts import types_of
from tests.factories import PARTY, make_form, make_tenant


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


@pytest.fixture
def forms(database: Database) -> Forms:
    return Forms(database)


def longer(name: str = "more") -> dict[str, Any]:
    definition = copy.deepcopy(PARTY)
    definition["pages"][0]["elements"].append({"id": name, "type": "long_text", "title": "More?"})
    return definition


class TestDraft:
    async def test_tells_whether_it_differs(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme, publish=False)
        assert (await forms.get_draft(acme, form.id)).changed
        await forms.publish(acme, form.id)
        draft = await forms.get_draft(acme, form.id)
        assert (draft.changed, draft.published_version, draft.definition) == (False, 1, form.definition)
        await forms.update(acme, form.id, UpdateForm(title="Feast"))
        assert (await forms.get_draft(acme, form.id)).changed

    async def test_given_up_it_is_the_published_version_again(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """F4: title and definition go back, settings and slug stay."""
        form = await make_form(database, acme)
        await forms.update(
            acme,
            form.id,
            UpdateForm(title="Feast", definition=longer(), slug="feast", settings={"max_responses": 3}),
        )
        back = await forms.discard_draft(acme, form.id)
        assert (back.title, back.definition) == (form.title, form.definition)
        assert (back.slug, back.settings.max_responses) == ("feast", 3)
        assert not (await forms.get_draft(acme, form.id)).changed
        again = await forms.discard_draft(acme, form.id)
        assert again.revision == back.revision
        assert (await types_of(database, "form.")).count("form.updated") == 2

    async def test_of_what_was_never_published_cannot_be_given_up(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme, publish=False)
        with pytest.raises(NeverPublished):
            await forms.discard_draft(acme, form.id)

    async def test_changes_of_others_are_not_given_up_unseen(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme)
        await forms.update(acme, form.id, UpdateForm(title="Feast"))
        with pytest.raises(RevisionOutdated):
            await forms.discard_draft(acme, form.id, form.revision)
        with pytest.raises(RevisionOutdated):
            await forms.publish(acme, form.id, PublishForm(if_match=form.revision))


class TestVersions:
    async def test_say_who_published_them_and_why(self, database: Database, acme: Principal, forms: Forms) -> None:
        """F4: notes belong to the version and stay."""
        form = await make_form(database, acme, publish=False)
        await forms.publish(acme, form.id, PublishForm(notes="The first one"))
        await forms.update(acme, form.id, UpdateForm(definition=longer()))
        await forms.publish(acme, form.id)
        first, second = (await forms.list_versions(acme, form.id)).data
        assert (first.notes, first.published_by, second.notes) == ("The first one", acme.subject, None)

    async def test_pages_hold_each_once_oldest_first(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme)
        for number in range(4):
            await forms.update(acme, form.id, UpdateForm(title=f"T{number}"))
            await forms.publish(acme, form.id)
        seen: list[int] = []
        cursor = None
        while cursor or not seen:
            page = await forms.list_versions(acme, form.id, cursor, 2)
            seen += [version.version for version in page.data]
            cursor = page.meta.next_cursor
        assert seen == [1, 2, 3, 4, 5]
        with pytest.raises(Invalid):
            await forms.list_versions(acme, form.id, "bm9uc2Vuc2U", 2)


class TestDiff:
    async def test_between_versions_and_against_the_draft(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme)
        await forms.update(acme, form.id, UpdateForm(definition=longer(), title="Feast"))
        draft = await forms.diff_draft(acme, form.id)
        assert (draft.from_version, draft.to_version) == (1, None)
        assert (draft.from_title, draft.to_title) == ("Party", "Feast")
        assert [(change.change, change.id) for change in draft.changes] == [("added", "more")]
        await forms.publish(acme, form.id)
        second = await forms.diff_version(acme, form.id, 2)
        assert (second.changes, second.from_version, second.to_version) == (draft.changes, 1, 2)
        assert (await forms.diff_draft(acme, form.id)).changes == []
        back = await forms.diff_version(acme, form.id, 1, 2)
        assert [(change.change, change.id) for change in back.changes] == [("removed", "more")]
        first = await forms.diff_version(acme, form.id, 1)
        assert (first.from_version, first.from_title) == (None, None)
        assert {change.change for change in first.changes} == {"added", "changed"}

    async def test_what_is_not_there_cannot_be_compared(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """T5: another tenant's form is not there."""
        other = await make_tenant(database, "other")
        form = await make_form(database, acme)
        with pytest.raises(VersionNotFound):
            await forms.diff_version(acme, form.id, 1, 7)
        with pytest.raises(VersionNotFound):
            await forms.diff_draft(acme, form.id, 7)
        for call in (
            forms.diff_draft(other, form.id),
            forms.diff_version(other, form.id, 1),
            forms.get_draft(other, form.id),
            forms.discard_draft(other, form.id),
        ):
            with pytest.raises(FormNotFound):
                await call
