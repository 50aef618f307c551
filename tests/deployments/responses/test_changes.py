"""R4: the changes of a form's responses are numbered in the order in which they can be seen."""

import asyncio

from sqlalchemy import select
from sqlmodel import col

from db.models.forms import FormCounter
from db.models.responses import Response
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormFull
from tests.deployments.responses.test_submit import command, visitor
from tests.factories import make_form, make_tenant

TOGETHER = 60


async def numbers(database: Database) -> dict[str, int]:
    async with database.unscoped_read() as unit:
        rows = await unit.session.execute(select(col(Response.id), col(Response.change)))
        return {row.id: row.change for row in rows}


async def changes(database: Database) -> int:
    async with database.unscoped_read() as unit:
        return int(await unit.session.scalar(select(col(FormCounter.changes))) or 0)


async def test_each_change_has_a_number_of_its_own(database: Database) -> None:
    owner = await make_tenant(database)
    await make_form(database, owner)
    replicas = Responses(database), Responses(database)
    calls = [replicas[i % 2].submit(visitor(), command()) for i in range(TOGETHER)]
    first, *_ = await asyncio.gather(*calls)
    assert sorted((await numbers(database)).values()) == list(range(1, TOGETHER + 1))

    await replicas[0].delete(owner, first.id)

    assert (await numbers(database))[first.id] == await changes(database) == TOGETHER + 1


async def test_what_is_refused_takes_no_number(database: Database) -> None:
    owner = await make_tenant(database)
    form = await make_form(database, owner)
    await Forms(database).update(owner, form.id, UpdateForm(settings={"max_responses": 3}))
    outcomes = await asyncio.gather(
        *(Responses(database).submit(visitor(), command()) for _ in range(TOGETHER)), return_exceptions=True
    )
    assert sum(isinstance(outcome, FormFull) for outcome in outcomes) == TOGETHER - 3
    assert sorted((await numbers(database)).values()) == [1, 2, 3]
    assert await changes(database) == 3


async def test_a_number_is_seen_only_after_all_before_it(database: Database) -> None:
    """A reader who has come to a number never misses one below it that is committed later."""
    owner = await make_tenant(database)
    await make_form(database, owner)
    writing = True
    seen: list[int] = []

    async def read() -> None:
        while writing:
            now = sorted((await numbers(database)).values())
            assert now == list(range(1, len(now) + 1))
            seen.append(len(now))

    reader = asyncio.create_task(read())
    writers = [Responses(database) for _ in range(6)]
    await asyncio.gather(*(each.submit(visitor(), command()) for each in writers for _ in range(TOGETHER // 6)))
    writing = False
    await reader
    assert seen[-1] <= TOGETHER == len(await numbers(database))
