"""F5: the forms of a tenant as a collection, on both dialects."""

import asyncio
from typing import Any

import orjson
import pytest

from db.session import Database
from deployments.forms.contracts import (
    CreateForm,
    DuplicateForm,
    Form,
    ListForms,
    PublishForm,
    RestoreForm,
    UpdateForm,
)
from deployments.forms.deployment import Forms
from deployments.forms.errors import FormNotFound, FormQuotaReached, NotInTrash, SlugTaken
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormClosed
from deployments.responses.errors import FormNotFound as NoFormToAnswer
from eventing.events.envelope import Origin
from tests.deployments.forms.facts import types_of
from tests.factories import ANSWERS, PARTY, make_form, make_tenant

VISITOR = Principal.anonymous("acme", Origin())


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


@pytest.fixture
def forms(database: Database) -> Forms:
    return Forms(database)


async def answer(database: Database, slug: str = "party") -> None:
    await Responses(database).submit(VISITOR, SubmitResponse(body=orjson.dumps({"answers": ANSWERS}), slug=slug))


async def slugs(forms: Forms, principal: Principal, **query: Any) -> list[str]:
    return [form.slug for form in (await forms.list_forms(principal, ListForms(**query))).data]


class TestSlugs:
    async def test_links_outlive_a_new_name(self, database: Database, acme: Principal, forms: Forms) -> None:
        """F5: a visitor with the old link sees the form, under its new name, and can answer it."""
        form = await make_form(database, acme)
        await forms.update(acme, form.id, UpdateForm(slug="feast"))
        await forms.update(acme, form.id, UpdateForm(slug="banquet"))
        for slug in ("party", "feast", "banquet"):
            assert (await forms.get_published(VISITOR, slug)).slug == "banquet"
            await answer(database, slug)

    async def test_who_takes_a_former_slug_has_it(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme)
        await forms.update(acme, form.id, UpdateForm(slug="feast"))
        second = await make_form(database, acme)
        assert (await forms.get_published(VISITOR, "party")).id == second.id
        await forms.update(acme, second.id, UpdateForm(slug="other"))
        assert (await forms.get_published(VISITOR, "party")).id == second.id

    async def test_and_back_again(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme)
        for slug in ("feast", "party", "feast"):
            await forms.update(acme, form.id, UpdateForm(slug=slug))
        assert (await forms.get_published(VISITOR, "party")).slug == "feast"

    async def test_the_former_slug_of_a_form_in_the_trash_leads_nowhere(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme)
        await forms.update(acme, form.id, UpdateForm(slug="feast"))
        await forms.delete(acme, form.id)
        with pytest.raises(FormNotFound):
            await forms.get_published(VISITOR, "party")

    async def test_they_are_the_tenants_own(self, database: Database, acme: Principal, forms: Forms) -> None:
        """T4, T5: a former slug of one tenant says nothing about another's."""
        other = await make_tenant(database, "other")
        form = await make_form(database, acme)
        await forms.update(acme, form.id, UpdateForm(slug="feast"))
        with pytest.raises(FormNotFound):
            await forms.get_published(Principal.anonymous("other", Origin()), "party")
        theirs = await make_form(database, other)
        assert (await forms.get_published(VISITOR, "party")).id == form.id != theirs.id

    async def test_a_form_keeps_its_newest_former_slugs_only(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme)
        for number in range(21):
            await forms.update(acme, form.id, UpdateForm(slug=f"s{number}"))
        with pytest.raises(FormNotFound):
            await forms.get_published(VISITOR, "party")
        assert (await forms.get_published(VISITOR, "s0")).id == form.id


class TestDuplicate:
    async def test_has_the_draft_and_the_settings(self, database: Database, acme: Principal, forms: Forms) -> None:
        """F5: the copy starts as a draft; what happens to one does not happen to the other."""
        form = await make_form(database, acme, theme={"primary": "#123456"}, max_responses=5)
        copy = await forms.duplicate(acme, form.id, DuplicateForm(slug="copy"))
        assert (copy.slug, copy.title, copy.status, copy.version) == ("copy", form.title, "draft", None)
        assert (copy.definition, copy.settings) == (form.definition, form.settings)
        await forms.update(acme, copy.id, UpdateForm(title="Second", settings={"max_responses": 1}))
        assert await forms.get(acme, form.id) == form

    async def test_needs_a_free_slug_and_room(self, database: Database, forms: Forms) -> None:
        acme = await make_tenant(database, max_forms=2)
        form = await make_form(database, acme)
        with pytest.raises(SlugTaken):
            await forms.duplicate(acme, form.id, DuplicateForm(slug="party"))
        await forms.duplicate(acme, form.id, DuplicateForm(slug="copy", title="Copy"))
        with pytest.raises(FormQuotaReached):
            await forms.duplicate(acme, form.id, DuplicateForm(slug="third"))

    async def test_a_grant_for_the_form_is_not_enough(self, database: Database, acme: Principal, forms: Forms) -> None:
        """U5: to make forms is a right in the whole tenant."""
        form = await make_form(database, acme)
        guest = Principal("acme", "usr_2", "user", grants={form.id: frozenset({"forms:read", "forms:write"})})
        with pytest.raises(Forbidden):
            await forms.duplicate(guest, form.id, DuplicateForm(slug="copy"))


class TestArchive:
    async def test_takes_no_answers_and_keeps_those_it_has(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """F5: archived, then restored."""
        form = await make_form(database, acme)
        await answer(database)
        assert (await forms.archive(acme, form.id)).status == "archived"
        shown = await forms.get_published(VISITOR, "party")
        assert (shown.open, shown.closed_reason) == (False, "archived")
        with pytest.raises(FormClosed):
            await answer(database)
        responses = await Responses(database).list_responses(acme, ListResponses(form_id=form.id))
        assert len(responses.data) == 1

        assert (await forms.restore(acme, form.id, RestoreForm())).status == "published"
        await Responses(database).close()
        await answer(database)
        assert await types_of(database, "form.") == [
            "form.created",
            "form.published",
            "form.archived",
            "form.restored",
        ]

    async def test_twice_is_once(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme)
        assert await forms.archive(acme, form.id) == await forms.archive(acme, form.id)
        assert await forms.restore(acme, form.id, RestoreForm()) == await forms.restore(acme, form.id, RestoreForm())
        assert (await types_of(database, "form.")).count("form.archived") == 1

    async def test_a_draft_comes_back_as_a_draft(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme, publish=False)
        await forms.archive(acme, form.id)
        assert (await forms.restore(acme, form.id, RestoreForm(slug="new"))).status == "draft"
        assert (await forms.get(acme, form.id)).slug == "new"

    async def test_publishing_brings_it_back_without_a_new_version(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """F4: versions count changes, not how often somebody changed their mind."""
        form = await make_form(database, acme)
        await forms.archive(acme, form.id)
        assert (await forms.publish(acme, form.id, PublishForm())).version == 1
        assert (await forms.get(acme, form.id)).status == "published"
        await forms.archive(acme, form.id)
        await forms.update(acme, form.id, UpdateForm(title="Feast"))
        assert (await forms.publish(acme, form.id)).version == 2
        assert (await types_of(database, "form."))[-2:] == ["form.restored", "form.published"]

    async def test_it_counts_against_the_quota(self, database: Database, forms: Forms) -> None:
        acme = await make_tenant(database, max_forms=1)
        await forms.archive(acme, (await make_form(database, acme)).id)
        with pytest.raises(FormQuotaReached):
            await make_form(database, acme, slug="second")


class TestTrash:
    async def test_a_form_comes_back_as_it_was(self, database: Database, acme: Principal, forms: Forms) -> None:
        """F5: with its versions, settings and responses."""
        form = await make_form(database, acme, max_responses=7)
        await answer(database)
        await forms.delete(acme, form.id)
        with pytest.raises(NoFormToAnswer):
            await Responses(database).submit(VISITOR, SubmitResponse(body=b"{}", slug="party"))
        page = await forms.list_forms(acme, ListForms(status="trashed"))
        (shown,) = page.data
        assert (shown.status, shown.responses) == ("trashed", 1)
        assert shown.deleted_at is not None
        assert shown.purge_at is not None
        assert (shown.purge_at - shown.deleted_at).days == 30
        assert await slugs(forms, acme) == []

        back = await forms.restore(acme, form.id, RestoreForm())

        assert (back.status, back.slug, back.settings, back.version) == ("published", "party", form.settings, 1)
        assert await slugs(forms, acme) == ["party"]
        assert await slugs(forms, acme, status="trashed") == []
        await answer(database)
        assert (await forms.list_forms(acme, ListForms())).data[0].responses == 2
        assert (await types_of(database, "form."))[-2:] == ["form.deleted", "form.restored"]

    async def test_an_archived_form_is_archived_when_it_comes_back(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme)
        await forms.archive(acme, form.id)
        await forms.delete(acme, form.id)
        assert (await forms.restore(acme, form.id, RestoreForm())).status == "archived"
        assert (await forms.restore(acme, form.id, RestoreForm())).status == "published"

    async def test_with_another_slug_when_its_own_is_taken(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """F5: 409 first; nothing is lost by it."""
        form = await make_form(database, acme)
        await forms.delete(acme, form.id)
        second = await make_form(database, acme)
        for command in (RestoreForm(), RestoreForm(slug="party")):
            with pytest.raises(SlugTaken):
                await forms.restore(acme, form.id, command)
        assert (await forms.restore(acme, form.id, RestoreForm(slug="first"))).slug == "first"
        assert (await forms.get_published(VISITOR, "party")).id == second.id

    async def test_room_is_needed_to_come_back(self, database: Database, forms: Forms) -> None:
        """T6: what is in the trash does not count, so it has to be counted when it leaves it."""
        acme = await make_tenant(database, max_forms=1)
        form = await make_form(database, acme)
        await forms.delete(acme, form.id)
        await make_form(database, acme, slug="second")
        with pytest.raises(FormQuotaReached):
            await forms.restore(acme, form.id, RestoreForm())
        assert await slugs(forms, acme, status="trashed") == ["party"]

    async def test_the_quota_holds_for_many_that_come_back_at_once(self, database: Database, forms: Forms) -> None:
        """T6: exact under concurrency."""
        acme = await make_tenant(database, max_forms=3)
        gone: list[Form] = []
        for number in range(6):
            gone.append(await make_form(database, acme, slug=f"f{number}", publish=False))
            await forms.delete(acme, gone[-1].id)
        calls = (forms.restore(acme, form.id, RestoreForm()) for form in gone)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, FormQuotaReached) for result in results) == 3
        assert len(await slugs(forms, acme)) == 3

    async def test_a_form_that_is_there_is_not_restored_or_purged(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        form = await make_form(database, acme)
        assert await forms.restore(acme, form.id, RestoreForm()) == form
        with pytest.raises(NotInTrash):
            await forms.purge(acme, form.id)

    async def test_another_tenants_trash_is_not_there(self, database: Database, acme: Principal, forms: Forms) -> None:
        """T5."""
        other = await make_tenant(database, "other")
        form = await make_form(database, acme)
        await forms.delete(acme, form.id)
        for call in (forms.restore(other, form.id, RestoreForm()), forms.purge(other, form.id)):
            with pytest.raises(FormNotFound):
                await call
        assert await slugs(forms, other, status="trashed") == []

    async def test_only_owners_end_a_form_at_once(self, database: Database, acme: Principal, forms: Forms) -> None:
        form = await make_form(database, acme)
        await forms.delete(acme, form.id)
        editor = Principal("acme", "usr_2", "user", scopes=frozenset({"forms:write", "forms:read"}))
        with pytest.raises(Forbidden):
            await forms.purge(editor, form.id)


class TestList:
    async def test_each_sort_pages_through_every_form_once(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """H: keyset cursors on any sort, with titles that are equal but for their case."""
        titles = ["Beta", "alpha", "beta", "Älpler", "alpha", "gamma"]
        made = [
            await forms.create(acme, CreateForm(slug=f"f{n}", title=title, definition=PARTY))
            for n, title in enumerate(titles)
        ]
        await forms.update(acme, made[2].id, UpdateForm(title="beta"))
        for sort in ("created_at", "updated_at", "title"):
            orders = []
            for direction in ("", "-"):
                seen: list[str] = []
                query = ListForms(sort=direction + sort, limit=2, include_total=True)  # type: ignore[arg-type]
                while True:
                    page = await forms.list_forms(acme, query)
                    assert page.meta.total == len(made)
                    seen += [form.slug for form in page.data]
                    if page.meta.next_cursor is None:
                        break
                    query = query.model_copy(update={"cursor": page.meta.next_cursor})
                orders.append(seen)
            assert sorted(orders[0]) == [f"f{n}" for n in range(6)], sort
            assert orders[1] == orders[0][::-1], sort
            if sort == "updated_at":
                assert orders[0][-1] == "f2"
            if sort == "title":
                assert set(orders[0][:2]) == {"f1", "f4"} or "f3" in orders[0][:3]

    async def test_by_status_and_words(self, database: Database, acme: Principal, forms: Forms) -> None:
        """F5: a part of the title or the slug, whatever its case; a wildcard is a character like any other."""
        for slug, title in (("party", "Summer Party"), ("poll", "100% Poll"), ("quiz", "Quiz")):
            await forms.create(acme, CreateForm(slug=slug, title=title, definition=PARTY))
        quiz = await forms.get_by_slug(acme, "quiz")
        await forms.publish(acme, quiz.id)
        assert await slugs(forms, acme, q="summer") == ["party"]
        assert await slugs(forms, acme, q="OLL") == ["poll"]
        assert await slugs(forms, acme, q="%") == ["poll"]
        assert await slugs(forms, acme, q="_") == []
        assert await slugs(forms, acme, status="published") == ["quiz"]
        assert await slugs(forms, acme, status="draft", q="p", sort="title") == ["poll", "party"]
        assert await slugs(forms, acme, status="archived") == []

    async def test_a_cursor_belongs_to_its_list(self, database: Database, acme: Principal, forms: Forms) -> None:
        for number in range(3):
            await make_form(database, acme, slug=f"f{number}", publish=False)
        cursor = (await forms.list_forms(acme, ListForms(limit=1))).meta.next_cursor
        for other in (
            {"sort": "created_at"},
            {"status": "draft"},
            {"q": "f"},
        ):
            with pytest.raises(Invalid):
                await forms.list_forms(acme, ListForms(cursor=cursor, **other))  # type: ignore[arg-type]

    async def test_a_guest_sees_what_was_shared_with_them(
        self, database: Database, acme: Principal, forms: Forms
    ) -> None:
        """U5: counted as listed."""
        form = await make_form(database, acme)
        await make_form(database, acme, slug="secret")
        guest = Principal("acme", "usr_2", "user", grants={form.id: frozenset({"forms:read"})})
        page = await forms.list_forms(guest, ListForms(include_total=True))
        assert ([each.slug for each in page.data], page.meta.total) == (["party"], 1)
