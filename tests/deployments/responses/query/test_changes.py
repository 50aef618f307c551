"""R4: incremental sync misses nothing, whatever is stored, edited and deleted between and during the pages."""

import asyncio
import random

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from db.models.responses import Response as Row
from db.session import Database
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import Change, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import ResponseNotFound
from tests.deployments.responses.query import survey
from tests.factories import ANSWERS, make_form, make_tenant


class Copy:
    """Somebody's copy of a form's responses, kept by asking for changes."""

    def __init__(self, responses: Responses, principal: Principal, form_id: str) -> None:
        self._responses = responses
        self._principal = principal
        self._form_id = form_id
        self._cursor: str | None = None
        self.answers: dict[str, dict[str, object]] = {}

    async def ask(self, limit: int) -> bool:
        """Take one page; whether there are more at once."""
        page = await self._responses.list_changes(self._principal, self._form_id, self._cursor, limit)
        assert len(page.data) <= limit
        assert [each.change for each in page.data] == sorted({each.change for each in page.data})
        for each in page.data:
            self._take(each)
        self._cursor = page.next_cursor
        return page.has_more

    def _take(self, change: Change) -> None:
        assert (change.response is None) is change.deleted
        if change.response is None:
            self.answers.pop(change.id, None)
        else:
            self.answers[change.id] = change.response.answers


async def stored(database: Database) -> dict[str, dict[str, object]]:
    async with database.unscoped_read() as unit:
        rows = await unit.session.execute(select(col(Row.id), col(Row.answers)).where(col(Row.deleted_at).is_(None)))
        return {row.id: row.answers for row in rows}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 9))
async def test_a_copy_is_complete_while_others_write(database: Database, seed: int, limit: int) -> None:
    acme = await make_tenant(database, f"t{seed}-{limit}-{random.randrange(10**9)}")
    form = await make_form(database, acme)
    responses = Responses(database)
    copy = Copy(responses, acme, form.id)
    dice = random.Random(seed)
    writing = True

    async def write(number: int) -> None:
        mine: list[str] = []
        for turn in range(8):
            if mine and dice.random() < 0.3:
                await responses.delete(acme, mine.pop(dice.randrange(len(mine))))
            else:
                body = orjson.dumps({"answers": {**ANSWERS, "name": f"{number} {turn}"}})
                mine.append((await responses.submit(acme, SubmitResponse(body=body, form_id=form.id))).id)

    async def read() -> None:
        while writing:
            await copy.ask(limit)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(number) for number in range(4)))
    writing = False
    await reader
    while await copy.ask(limit):
        pass
    async with database.read(acme.tenant_id) as unit:
        rows = await unit.session.execute(
            select(col(Row.id), col(Row.answers)).where(
                col(Row.deleted_at).is_(None), col(Row.tenant_id) == acme.tenant_id
            )
        )
        assert copy.answers == {row.id: row.answers for row in rows}


async def test_edits_and_deletions_are_told_to_who_was_up_to_date(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, 20, seed=1)
    copy = Copy(responses, acme, form.id)
    while await copy.ask(6):
        pass
    assert copy.answers == await stored(database)
    await survey.disturb(database, form.id, acme.tenant_id, 1, edits=5, trashed=3)
    assert not await copy.ask(100)
    assert copy.answers == await stored(database)
    assert len(copy.answers) == 17


async def test_a_cursor_is_always_given_and_belongs_to_its_form(database: Database) -> None:
    acme = await make_tenant(database)
    form, other = await make_form(database, acme), await make_form(database, acme, slug="other")
    responses = Responses(database)
    empty = await responses.list_changes(acme, form.id, None, 10)
    assert (empty.data, empty.has_more) == ([], False)
    assert (await responses.list_changes(acme, form.id, empty.next_cursor, 10)).next_cursor == empty.next_cursor
    for cursor in (empty.next_cursor, "x"):
        with pytest.raises(Invalid) as caught:
            await responses.list_changes(acme, other.id, cursor, 10)
        assert [fault.code for fault in caught.value.faults] == ["cursor.invalid"]
    with pytest.raises(ResponseNotFound):
        await responses.get(acme, "rsp_none")
