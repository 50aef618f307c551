"""L4: tables of forms are what the list of responses is, whatever happened since the lake was written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from db.models.exports import LakeTable
from db.repositories.lake import LakeRepository
from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.warehouse.errors import StatementRefused, StatementTooLong, TableNotFound, TableTooLarge
from deployments.analytics.warehouse.settings import WarehouseSettings
from deployments.analytics.warehouse.warehouse import Limits, Warehouse
from deployments.exports.lake import Lake
from deployments.exports.lake_jobs import RenewDue, RenewTable
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Forbidden
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow, ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import ChangeTags, EditResponse, PutComment
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant

ELEMENTS: list[dict[str, Any]] = [
    {"id": "name", "type": "short_text", "title": "Name", "personal": True},
    {"id": "count", "type": "integer", "title": "Count"},
    {"id": "day", "type": "date", "title": "Day"},
    {
        "id": "many",
        "type": "multi_choice",
        "title": "Many",
        "options": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}],
    },
]
START = datetime(2025, 1, 30, tzinfo=UTC)


def form_of(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"pages": [{"id": "p1", "elements": list(elements)}], "languages": ["en"]}


class Scene:
    """A form, its lake and its warehouse."""

    def __init__(self, database: Database, folder: Path, acme: Principal, form_id: str) -> None:
        self.database = database
        self.folder = folder / "objects"
        self.objects = ObjectStore(self.folder.as_uri())
        self.acme = acme
        self.form_id = form_id
        self.responses = Responses(database)
        self.settings = WarehouseSettings(folder=folder / "warehouse", processes=2, threads=1)
        self.warehouse = Warehouse(database, self.objects, self.responses, self.settings)

    async def add(self, first: int, last: int) -> None:
        """Responses of one day each."""
        given = [
            ImportRow(
                key=str(n),
                line=n,
                answers={"name": f"person {n}", "count": n, "day": "2025-02-28", "many": ["a", "b"][: n % 3]},
                meta={"language": "de"} if n % 4 == 0 else {},
                submitted_at=START + timedelta(days=n),
            )
            for n in range(first, last)
        ]
        assert (await self.responses.import_rows(self.acme, self.form_id, given)).imported == last - first

    async def renew(self) -> None:
        """Write the lake."""
        run = RenewTable(Lake(self.database, self.objects, self.responses)).run
        await run(attempt(self.acme.tenant_id, {"form_id": self.form_id}))

    async def listed(self) -> list[Any]:
        """The complete responses as the API lists them."""
        query = ListResponses(form_id=self.form_id, status="complete", limit=1000)
        return (await self.responses.list_responses(self.acme, query)).data

    async def files(self) -> list[Path]:
        """The files that count in the lake."""
        (row,) = await rows(self.database, LakeTable)
        folder = self.folder / self.acme.tenant_id / "lake" / self.form_id
        return [folder / file["path"] for file in row.files]

    async def forget_columns(self, *names: str) -> None:
        """Make the lake one that was written before these columns were known."""
        for path in await self.files():
            await asyncio.to_thread(lambda at: pq.write_table(pq.read_table(at).drop_columns(list(names)), at), path)
        async with self.database.write(self.acme.tenant_id) as unit:
            row = await LakeRepository(unit.session, self.acme.tenant_id).find(self.form_id, for_update=True)
            assert row is not None
            row.columns = [column for column in row.columns if column["name"] not in names]

    async def select(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        found = await self.warehouse.run(self.acme, [self.form_id], sql.format(t=self.form_id), parameters)
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows

    async def agrees(self) -> None:
        """The table has every row and every value of the list, and nothing else."""
        table = {row["_id"]: row for row in await self.select("SELECT * FROM {t}")}
        listed = await self.listed()
        assert table.keys() == {response.id for response in listed}
        for response in listed:
            row = table[response.id]
            assert (row["name"], row["count"]) == (response.answers.get("name"), response.answers.get("count"))
            assert row["many"] == response.answers.get("many")
            assert (row["_revision"], row["_submitted_at"]) == (response.revision, response.submitted_at)
            assert (row["_language"], row["_tags"] or []) == (response.meta.get("language"), response.tags)


@asynccontextmanager
async def staged(database: Database, folder: Path) -> AsyncIterator[Scene]:
    """Forty responses to a form."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=form_of(*ELEMENTS))
    made = Scene(database, folder, acme, form.id)
    await made.add(0, 40)
    yield made
    await made.warehouse.close()


@pytest.fixture
async def scene(database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(database, tmp_path) as made:
        yield made


@pytest.fixture
async def lone(sqlite_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Scene]:
    """The same on one dialect, where the SQL of the database is not what is tested."""
    database = Database(sqlite_settings)
    async with staged(database, tmp_path) as made:
        yield made
    await database.close()


async def test_a_table_is_what_the_list_is(scene: Scene) -> None:
    """L4: without a lake, with one, and after submissions, edits, trash, restoring and purging since it was written."""
    await scene.agrees()
    await scene.renew()
    await scene.agrees()
    await scene.add(40, 50)
    await scene.agrees()
    early, trashed, back, purged, *_, late = [response.id for response in reversed(await scene.listed())]
    for response_id in (early, late):
        await scene.responses.edit(scene.acme, response_id, EditResponse(answers={"count": 700, "many": ["b"]}), None)
    for response_id in (trashed, back, purged):
        await scene.responses.delete(scene.acme, response_id)
    await scene.responses.restore(scene.acme, back)
    await scene.responses.purge(scene.acme, purged)
    for response_id in (early, back):
        await scene.responses.change_tags(scene.acme, response_id, ChangeTags(add=["vip", "new"]))
    await scene.responses.add_comment(scene.acme, late, PutComment(text="Called back."))
    await scene.agrees()
    assert await scene.select("SELECT _id FROM {t} WHERE _commented") == [{"_id": late}]
    (counted,) = await scene.select("SELECT count(*) AS n, count(*) FILTER (count = $1) AS edited FROM {t}", 700)
    assert counted == {"n": 48, "edited": 2}
    await scene.renew()
    await scene.agrees()


async def test_a_lake_of_an_earlier_release_is_not_taken_for_whole(scene: Scene) -> None:
    """L4: files that were written before a column was known do not say that nobody has it, and are written anew."""
    first, *_ = [response.id for response in reversed(await scene.listed())]
    await scene.responses.change_tags(scene.acme, first, ChangeTags(add=["vip"]))
    await scene.renew()
    await scene.forget_columns("_language", "_tags", "_commented", "_has_files")
    await scene.agrees()
    await scene.responses.change_tags(scene.acme, first, ChangeTags(add=["new"], remove=["vip"]))
    await scene.agrees()
    await scene.renew()
    await scene.agrees()
    assert all("_tags" in pq.read_schema(path).names for path in await scene.files())


async def test_a_lake_of_an_earlier_release_is_written_anew_though_nothing_changed(scene: Scene) -> None:
    search = RenewDue(scene.database, is_on=True)
    await scene.renew()
    assert (await search.run(attempt("_platform", {}))).result == {"ordered": 0}
    await scene.forget_columns("_tags")
    assert (await search.run(attempt("_platform", {}))).result == {"ordered": 1}
    await scene.renew()
    assert all("_tags" in pq.read_schema(path).names for path in await scene.files())
    assert (await search.run(attempt("_platform", {}))).result == {"ordered": 0}


async def test_columns_follow_the_versions(lone: Scene) -> None:
    """L4: a field that is new, one that is gone, one that became another type: in the lake's files and after them."""
    await lone.renew()
    day = {"id": "day", "type": "short_text", "title": "Which day"}
    rating = {"id": "rating", "type": "rating", "title": "Rating"}
    await _publish(lone, ELEMENTS[0], day, ELEMENTS[3], rating)
    given = ImportRow(key="new", line=1, answers={"day": "some day", "rating": 4, "many": ["b"]})
    # One that has not read the form before: what is kept of it is as old as an event takes.
    assert (await Responses(lone.database).import_rows(lone.acme, lone.form_id, [given])).imported == 1
    rows = await lone.select("SELECT day, rating, count, many FROM {t} WHERE rating = 4 OR count = 39 ORDER BY count")
    assert rows == [
        {"day": "2025-02-28", "rating": None, "count": 39, "many": None},
        {"day": "some day", "rating": 4, "count": None, "many": ["b"]},
    ]
    table = await lone.warehouse.table(lone.acme, lone.form_id)
    kinds = {column.name: (column.type, column.title, column.field) for column in table.columns}
    assert kinds["day"] == ("VARCHAR", "Which day", "day")
    assert kinds["many"] == ("VARCHAR[]", "Many", "many")
    assert kinds["_submitted_at"] == ("TIMESTAMP WITH TIME ZONE", "Submitted at", None)
    assert (table.slug, table.view) == ("party", lone.form_id)


async def _publish(scene: Scene, *elements: dict[str, Any]) -> None:
    forms = Forms(scene.database)
    await forms.update(scene.acme, scene.form_id, UpdateForm(definition=form_of(*elements)))
    await forms.publish(scene.acme, scene.form_id)


async def test_personal_columns_are_for_those_who_may_see_them(lone: Scene) -> None:
    """L4: absent for everybody else, whatever the statement calls them; also when they became personal after the lake
    was written."""
    await lone.renew()
    await _publish(lone, *ELEMENTS[:2], ELEMENTS[2] | {"personal": True}, ELEMENTS[3])
    analyst = Principal("acme", "usr_2", "user", "analyst", frozenset({"analytics:read", "responses:read"}))
    table = await lone.warehouse.table(analyst, lone.form_id)
    assert {"name", "day"}.isdisjoint(column.name for column in table.columns)
    found = await lone.warehouse.run(analyst, [lone.form_id], f"FROM {lone.form_id} LIMIT 1")
    assert found.schema.names == [column.name for column in table.columns]
    for sql in ("SELECT name FROM party", "SELECT p.day FROM party p", "SELECT COLUMNS('na.*') FROM party"):
        with pytest.raises(StatementRefused) as refused:
            await lone.warehouse.ask(analyst, sql, [], Limits(), "json")
        assert refused.value.faults[0].code == "sql.invalid"
    seen = await lone.warehouse.ask(lone.acme, "SELECT min(name), min(day) FROM party", [], Limits(), "json")
    assert seen.content == b'[["person 0","2025-02-28"]]'


async def test_a_table_is_for_its_tenant_and_its_readers(lone: Scene) -> None:
    """L4: by name and by id, alone and beside one's own; and it looks the same as none."""
    globex = await make_tenant(lone.database, "globex")
    theirs = await make_form(lone.database, globex, slug="secret", definition=form_of(*ELEMENTS))
    private = await make_form(lone.database, lone.acme, slug="private", definition=form_of(*ELEMENTS))
    guest_of = {private.id: frozenset({"analytics:read", "responses:read"})}
    guest = Principal("acme", "usr_3", "user", "guest", frozenset(), grants=guest_of)

    async def refused(principal: Principal, sql: str) -> list[str]:
        with pytest.raises(StatementRefused) as error:
            await lone.warehouse.ask(principal, sql, [], Limits(), "json")
        assert {fault.code for fault in error.value.faults} == {"sql.unknown_table"}
        return [fault.detail for fault in error.value.faults]

    assert await refused(lone.acme, f"FROM {theirs.id}, party") == [
        f"There is no table '{theirs.id}'. (line 1, column 6)"
    ]
    assert await refused(lone.acme, "FROM secret, nowhere") == [
        "There is no table 'nowhere'. (line 1, column 14)",
        "There is no table 'secret'. (line 1, column 6)",
    ]
    assert await refused(guest, "FROM private, party") == ["There is no table 'party'. (line 1, column 15)"]
    await lone.warehouse.ask(guest, "FROM private", [], Limits(), "json")
    for form_id in (theirs.id, "frm_nothing"):
        with pytest.raises(TableNotFound):
            await lone.warehouse.table(lone.acme, form_id)
    with pytest.raises(TableNotFound):
        await lone.warehouse.run(lone.acme, [theirs.id], f"FROM {theirs.id}")
    with pytest.raises(Forbidden):
        await lone.warehouse.run(guest, [lone.form_id], f"FROM {lone.form_id}")
    seen = [[table.slug for table in await lone.warehouse.tables(who, "", 10)] for who in (lone.acme, guest, globex)]
    assert seen == [["party", "private"], ["private"], ["secret"]]
    await Forms(lone.database).delete(lone.acme, lone.form_id)
    assert await refused(lone.acme, "FROM party") == ["There is no table 'party'. (line 1, column 6)"]
    with pytest.raises(TableNotFound):
        await lone.warehouse.run(lone.acme, [lone.form_id], f"FROM {lone.form_id}")


async def test_many_small_changes_become_few_files(lone: Scene) -> None:
    """L4: staleness 0 after each of them; copies that nobody uses go, and what is asked next is right again."""
    await lone.renew()
    ids = [response.id for response in await lone.listed()]
    for number, response_id in enumerate(ids[:12]):
        await lone.responses.edit(lone.acme, response_id, EditResponse(answers={"count": 1_000 + number}), None)
        if number % 3 == 0:
            await lone.responses.edit(lone.acme, ids[0], EditResponse(answers={"count": 5_000 + number}), None)
        (found,) = await lone.select("SELECT count(*) AS n, max(count) AS most FROM {t}")
        assert found == {"n": 40, "most": 5_000 + number - number % 3}
    folder = lone.settings.folder
    assert folder is not None
    names = [path.name.partition("-")[0] for path in folder.rglob("*.parquet")]
    assert names.count("tail") < 8
    assert names.count("gone") == 1
    await lone.warehouse.sweep(float("inf"))
    assert not list(folder.rglob("*.parquet"))
    await lone.agrees()


async def test_copies_that_do_not_fit_make_room(lone: Scene) -> None:
    """Least recent use first; one that is too large by itself is told so."""
    other = await make_form(lone.database, lone.acme, slug="other", definition=form_of(*ELEMENTS))
    await lone.responses.import_rows(
        lone.acme, other.id, [ImportRow(key=str(n), line=n, answers={"count": n}) for n in range(3)]
    )
    for room, fits in ((12_000, True), (10, False)):
        small = lone.settings.model_copy(update={"cache_bytes": room, "folder": lone.settings.folder})
        warehouse = Warehouse(lone.database, lone.objects, lone.responses, small)
        try:
            if not fits:
                with pytest.raises(TableTooLarge):
                    await warehouse.run(lone.acme, [lone.form_id], f"FROM {lone.form_id}")
                continue
            for form_id, rows in ((lone.form_id, 40), (other.id, 3), (lone.form_id, 40)):
                assert (await warehouse.run(lone.acme, [form_id], f"FROM {form_id}")).num_rows == rows
                assert len({copy.form_id for copy in warehouse.copies}) == 1
        finally:
            await warehouse.close()


async def test_statements_at_once_see_what_is_there_when_they_are_asked(lone: Scene) -> None:
    """L4: while the lake is written anew and responses come in, none fails and none sees less than was committed."""

    async def ask(least: int) -> int:
        (found,) = await lone.select("SELECT count(*) AS n FROM {t}")
        assert found["n"] >= least
        return int(found["n"])

    for first in range(40, 60, 5):
        await lone.add(first, first + 5)
        counts = await asyncio.gather(ask(first + 5), lone.renew(), ask(first + 5))
        assert counts[0] == counts[2] == first + 5
    await lone.agrees()


async def test_a_statement_has_its_time_and_no_more(lone: Scene) -> None:
    """L3: and the next one works."""
    endless = lone.warehouse.run(lone.acme, [], "SELECT count(*) FROM range(1000000000000)", limits=Limits(seconds=0.5))
    with pytest.raises(StatementTooLong):
        await asyncio.wait_for(endless, 10)
    assert await lone.select("SELECT 1 AS one") == [{"one": 1}]


async def test_fields_are_called_what_they_like(lone: Scene) -> None:
    """A column is told from the engine's own, wherever its rows are; two names are the engine's."""
    names = ("position", "place", "file", "kept", "gone", "file_index", "file_row_number", "select")
    await _publish(lone, *({"id": name, "type": "integer", "title": name} for name in names))
    given = [ImportRow(key=str(n), line=n, answers=dict.fromkeys(names, n)) for n in range(100, 105)]
    assert (await Responses(lone.database).import_rows(lone.acme, lone.form_id, given)).imported == 5
    await lone.renew()
    last = (await lone.listed())[0].id
    await Responses(lone.database).edit(lone.acme, last, EditResponse(answers={"place": 7}), None)
    rows = await lone.select('SELECT sum(place + position - file) AS n, max("select") AS m FROM {t} WHERE kept = gone')
    assert rows == [{"n": 100 + 101 + 102 + 103 + 7, "m": 104}]
    columns = (await lone.warehouse.table(lone.acme, lone.form_id)).columns
    assert {column.name for column in columns}.isdisjoint({"file_index", "file_row_number"})
