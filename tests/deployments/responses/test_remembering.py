"""C2, C3: what responses remember of forms and counts: never too old, and ready before it is asked for."""

from collections.abc import Callable
from typing import Any

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.cache import Caches
from deployments.kit.engine import CompiledForm, Definition, compile_form
from deployments.responses import published
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from tests.deployments.responses.test_submit import command, visitor
from tests.factories import PARTY, make_form, make_tenant


@pytest.fixture
async def opened(sqlite_settings: DatabaseSettings) -> Any:
    database = Database(sqlite_settings)
    yield database
    await database.close()


def numbers(caches: Caches) -> Callable[[str], Any]:
    return lambda name: next(each for each in caches.numbers() if each.name == name)


async def test_the_forms_that_are_answered_most_are_compiled_before_the_first_answer(opened: Database) -> None:
    """C3: a process that has just started compiles nothing for the first submission to a busy form."""
    owner = await make_tenant(opened)
    await make_form(opened, owner)
    await make_form(opened, owner, slug="quiet")
    await Responses(opened).submit(visitor(), command())

    caches = Caches()
    replica = Responses(opened, caches=caches)
    await caches.warm()
    assert numbers(caches)("rules").entries == 1
    await replica.submit(visitor(), command())
    assert numbers(caches)("rules").entries == 1


async def test_a_published_version_is_compiled_once(opened: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """F1: whatever changes beside it, and however often it is asked for; a new version once more."""
    owner = await make_tenant(opened)
    form = await make_form(opened, owner)
    compiled: list[str] = []

    def counting(definition: Definition) -> CompiledForm:
        compiled.append(definition.fields[0].title)
        return compile_form(definition)

    monkeypatch.setattr(published, "compile_form", counting)
    forms = published.PublishedForms(opened)
    for limit in (5, 6, 7):
        await Forms(opened).update(owner, form.id, UpdateForm(settings={"max_responses": limit}))
        assert (await forms.renewed(owner.tenant_id, form.id)).limit == limit
    async with opened.read(owner.tenant_id) as unit:
        assert await forms.rules(unit, form.id, 1) is not None
    assert len(compiled) == 1

    page = PARTY["pages"][0]
    first, *others = page["elements"]
    changed = {**PARTY, "pages": [{**page, "elements": [{**first, "title": "Anew"}, *others]}]}
    await Forms(opened).update(owner, form.id, UpdateForm(definition=changed))
    await Forms(opened).publish(owner, form.id)
    for _ in range(2):
        assert (await forms.renewed(owner.tenant_id, form.id)).version == 2
    assert compiled[1:] == ["Anew"]


async def test_a_cache_that_cannot_be_warmed_stays_cold(opened: Database) -> None:
    """C3: warming never fails a process, nor what else is to be made ready."""
    caches, warmed = Caches(), []

    async def fails() -> None:
        raise OSError

    async def works() -> None:
        warmed.append(True)

    caches.warmers += [fails, works]
    await caches.warm()
    assert warmed == [True]


async def test_a_count_is_that_of_the_responses_there_are(opened: Database) -> None:
    """C2: the total of a list is made once for what has not changed, for each filter, and anew after each change."""
    owner = await make_tenant(opened)
    form = await make_form(opened, owner)
    caches = Caches()
    responses = Responses(opened, caches=caches)

    async def total(**query: Any) -> int | None:
        page = await responses.list_responses(owner, ListResponses(form_id=form.id, include_total=True, **query))
        return page.meta.total

    first = await responses.submit(visitor(), command())
    for _ in range(3):
        assert (await total(), await total(status="quarantined")) == (1, 0)
    assert numbers(caches)("response_counts").misses == 2
    await responses.submit(visitor(), command())
    assert await total() == 2
    await responses.delete(owner, first.id)
    assert await total() == 1
    assert numbers(caches)("response_counts").misses == 4


async def test_a_change_that_is_heard_of_counts_at_once(opened: Database) -> None:
    """C2: a form that this process archives takes no answer a moment later, though it was remembered as open."""
    caches = Caches()
    opened.listen(caches.changes.heard)
    owner = await make_tenant(opened)
    form = await make_form(opened, owner)
    responses = Responses(opened, caches=caches)
    published = responses._forms
    assert (await published.get(owner.tenant_id, form_id=form.id)).limit is None
    await Forms(opened).update(owner, form.id, UpdateForm(settings={"max_responses": 3}))
    assert (await published.get(owner.tenant_id, form_id=form.id)).limit == 3
