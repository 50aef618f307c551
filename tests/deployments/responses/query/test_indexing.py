"""R4: the index is kept in the background, survives what kills it, and forgets what is deleted."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import delete, func, select, text
from sqlmodel import col

from db.models.answers import AnswerEntry, AnswerIndex
from db.models.forms import FormCounter
from db.models.responses import Response as Row
from db.repositories.answer_index import AnswerIndexDirectory, AnswerIndexRepository
from db.session import Database
from db.settings import DatabaseSettings
from deployments.forms.deployment import Forms
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from deployments.responses.query import indexing
from deployments.responses.query.indexing import AT_LEAST, AnswerIndexer
from tests.deployments.responses.query import survey
from tests.eventing.harness import eventually
from tests.factories import make_form, make_tenant


async def entries(database: Database) -> int:
    async with database.unscoped_read() as unit:
        return await unit.session.scalar(select(func.count()).select_from(AnswerEntry)) or 0


async def positions(database: Database) -> dict[str, tuple[int, int]]:
    """How far each index is, and how far it should be."""
    same = col(FormCounter.form_id) == col(AnswerIndex.form_id)
    async with database.unscoped_read() as unit:
        columns = col(AnswerIndex.form_id), col(AnswerIndex.change), col(FormCounter.changes)
        rows = await unit.session.execute(select(*columns).join(FormCounter, same))
        return {form_id: (change, changes) for form_id, change, changes in rows}


async def all_of(indexer: AnswerIndexer) -> None:
    while await indexer.round():
        pass


async def test_forms_are_brought_up_to_date_in_turns(database: Database) -> None:
    """T: a large form of one tenant does not keep the others waiting."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    large = await make_form(database, acme, definition=survey.SURVEY)
    small = await make_form(database, globex, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, large.id, 50, seed=1)
    await survey.fill(responses, globex, small.id, 10, seed=2)
    indexer = AnswerIndexer(database, at_least=5, piece=10, rest=False)
    await indexer.round()
    assert await positions(database) == {large.id: (10, 50), small.id: (10, 10)}
    await all_of(indexer)
    assert await positions(database) == {large.id: (50, 50), small.id: (10, 10)}
    assert not await indexer.round()


async def test_a_piece_with_very_many_words_ends_earlier(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """O: what one transaction holds is bounded."""
    monkeypatch.setattr(indexing, "_ENTRIES", 30)
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 20, seed=1)
    indexer = AnswerIndexer(database, at_least=1, rest=False)
    await indexer.round()
    ((change, _),) = (await positions(database)).values()
    assert 1 <= change < 10
    await all_of(indexer)
    assert await positions(database) == {form.id: (20, 20)}


async def test_small_forms_have_no_index(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 10, seed=1)
    assert not await AnswerIndexer(database).round()
    assert await entries(database) == 0
    assert AT_LEAST > 10


async def test_two_indexers_do_no_harm(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, 40, seed=1)
    once = AnswerIndexer(database, at_least=1, piece=3, rest=False)
    twice = AnswerIndexer(database, at_least=1, piece=5, rest=False)
    twice._leadership = once._leadership  # as after a pause, when both believe to lead
    await asyncio.gather(all_of(once), all_of(twice))
    assert await positions(database) == {form.id: (40, 40)}
    before = await entries(database)
    async with database.write(acme.tenant_id) as unit:
        await unit.session.execute(delete(AnswerIndex))
    await all_of(once)
    assert await entries(database) == before


async def test_a_piece_that_fails_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """O: entries and position are one transaction."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 20, seed=1)
    indexer = AnswerIndexer(database, at_least=1, piece=10, rest=False)
    await indexer.round()
    before = await entries(database)
    add = AnswerIndexRepository._add

    async def die(self: AnswerIndexRepository, rows: list[tuple[int, str, int, str]]) -> None:
        await add(self, rows)
        raise RuntimeError("killed")

    monkeypatch.setattr(AnswerIndexRepository, "_add", die)
    with pytest.raises(RuntimeError):
        await indexer.round()
    assert (await entries(database), await positions(database)) == (before, {form.id: (10, 20)})
    monkeypatch.undo()
    await all_of(indexer)
    assert await positions(database) == {form.id: (20, 20)}


async def test_a_piece_of_before_is_not_written_twice(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 4, seed=1)
    async with database.write(acme.tenant_id) as unit:
        repository = AnswerIndexRepository(unit.session, acme.tenant_id, form.id, "r")
        piece = await repository.read(10, up_to_version=1)
        assert len(piece.responses) == 4
        assert await repository.write(piece, [])
        assert not await repository.write(piece, [])


async def test_what_was_changed_or_deleted_since_it_was_read_is_left_out(database: Database) -> None:
    """R8: nothing of a response that is gone comes to the index, and nothing that it does not say any more."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, 4, seed=1)
    async with database.read(acme.tenant_id) as unit:
        repository = AnswerIndexRepository(unit.session, acme.tenant_id, form.id, "r")
        piece = await repository.read(10, up_to_version=1)
    gone, edited, *rest = [row.id for row in piece.responses]
    await responses.delete(acme, gone)
    await responses.purge(acme, gone)
    await responses.edit(acme, edited, EditResponse(answers={"name": "Other"}), None)
    async with database.write(acme.tenant_id) as unit:
        repository = AnswerIndexRepository(unit.session, acme.tenant_id, form.id, "r")
        assert await repository.write(piece, [(1, "x", 1, row.id) for row in piece.responses])
    async with database.read(acme.tenant_id) as unit:
        assert set(await unit.session.scalars(select(col(AnswerEntry.response_id)))) == set(rest)


async def _waits(database: Database) -> bool:
    async with database.unscoped_read() as unit:
        return bool(await unit.session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


async def test_who_deletes_waits_for_who_indexes(postgres_settings: DatabaseSettings) -> None:
    """R8: a purge that begins while a piece is being written takes its entries along."""
    database = Database(postgres_settings)
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, 2, seed=1)
    page = await responses.list_responses(acme, ListResponses(form_id=form.id))
    gone = page.data[0].id
    async with database.write(acme.tenant_id) as unit:
        repository = AnswerIndexRepository(unit.session, acme.tenant_id, form.id, "r")
        piece = await repository.read(10, up_to_version=1)
        assert await repository.write(piece, [(1, "x", 1, row.id) for row in piece.responses])

        async def deleting() -> None:
            async with database.write(acme.tenant_id) as other:
                await other.session.execute(delete(Row).where(col(Row.id) == gone))

        purge = asyncio.create_task(deleting())
        await eventually(partial(_waits, database))
        assert not purge.done()
    await purge
    async with database.read(acme.tenant_id) as unit:
        assert set(await unit.session.scalars(select(col(AnswerEntry.response_id)))) == {page.data[1].id}
    await database.close()


async def test_any_text_comes_to_the_index_as_it_is(database: Database) -> None:
    """R4: whatever separates what is sent to the database."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 1, seed=1)
    values = ["", "\x01", "a\x02b", ",", "'", "\\", "NULL", "{}", "\U0001f600", "\ud7ff"]
    async with database.write(acme.tenant_id) as unit:
        repository = AnswerIndexRepository(unit.session, acme.tenant_id, form.id, "r")
        piece = await repository.read(10, up_to_version=1)
        response_id = piece.responses[0].id
        assert await repository.write(piece, [(1, value, 1, response_id) for value in values])
        assert set(await unit.session.scalars(select(col(AnswerEntry.value)))) == set(values)


async def test_responses_to_an_unknown_version_wait(database: Database) -> None:
    """F4: what a later version asks is indexed by what that version says."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 4, seed=1)
    async with database.write(acme.tenant_id) as unit:
        await unit.session.execute(Row.__table__.update().where(col(Row.change) >= 3).values(version=2))  # type: ignore[attr-defined]
    async with database.read(acme.tenant_id) as unit:
        repository = AnswerIndexRepository(unit.session, acme.tenant_id, form.id, "r")
        piece = await repository.read(10, up_to_version=1)
    assert ([row.change for row in piece.responses], piece.ends) == ([1, 2], 2)


async def test_what_is_deleted_leaves_the_index(database: Database) -> None:
    """R8: from the trash in the background, for good in the same transaction."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, 10, seed=1)
    indexer = AnswerIndexer(database, at_least=1, rest=False)
    await all_of(indexer)
    page = await responses.list_responses(acme, ListResponses(form_id=form.id))
    await responses.delete(acme, page.data[0].id)
    await all_of(indexer)
    async with database.write(acme.tenant_id) as unit:
        left = await unit.session.scalars(select(col(AnswerEntry.response_id)).distinct())
        assert set(left) == {each.id for each in page.data[1:]}
        await unit.session.execute(delete(Row))
    assert await entries(database) == 0


async def test_forms_in_the_trash_wait(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 4, seed=1)
    async with database.unscoped_read() as unit:
        assert await AnswerIndexDirectory(unit.session).behind(1, 10) == [("acme", form.id)]
        assert await AnswerIndexDirectory(unit.session).behind(1, 10, after=("acme", form.id)) == []
        assert await AnswerIndexDirectory(unit.session).behind(5, 10) == []
    await Forms(database).delete(acme, form.id)
    async with database.unscoped_read() as unit:
        assert await AnswerIndexDirectory(unit.session).behind(1, 10) == []


async def test_it_runs_until_it_is_stopped(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """O: whatever the database says meanwhile."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 4, seed=1)
    behind = AnswerIndexDirectory.behind
    done = asyncio.Event()
    calls = 0

    async def fail_first(self: AnswerIndexDirectory, *args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("away")
        found = await behind(self, *args)  # type: ignore[arg-type]
        if not found:
            done.set()
        return found

    monkeypatch.setattr(AnswerIndexDirectory, "behind", fail_first)
    indexer = AnswerIndexer(database, at_least=1)
    running = asyncio.create_task(indexer.run())
    async with asyncio.timeout(20):
        await done.wait()
    await indexer.stop()
    await running
    assert await positions(database) == {form.id: (4, 4)}
