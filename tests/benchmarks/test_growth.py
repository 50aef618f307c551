"""What benchmarks of large forms stand on: a form that is filled in bulk is like one that was submitted to, and the
books show what is missing."""

from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks import books
from benchmarks.books import balance
from benchmarks.form import Form
from benchmarks.growth import grow
from db.session import Database
from db.settings import DatabaseSettings
from eventing.server import EmbeddedServer
from serve_app.settings import Settings
from tests.serve_app.one_process import OneProcess, one_process, settings_for

_ROWS = 2_500  # beyond what is searched without an index


class _Platform(OneProcess):
    """As benchmarks know one."""

    database: DatabaseSettings
    nats_url: str


async def test_a_form_filled_in_bulk_goes_on_like_any_other(
    database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(tmp_path / "nats") as nats:  # its own, whose consumers are all of this platform
        await _grown(settings_for(tmp_path, database_settings, nats.url), database_settings, nats.url, monkeypatch)


async def _grown(
    settings: Settings, database: DatabaseSettings, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_process(settings, monkeypatch) as running:
        running.database, running.nats_url = database, nats_url
        form = await Form.of(running, "acme")
        await balance(form)
    await grow(form, _ROWS)
    async with one_process(settings, monkeypatch) as running:
        form.client = running.client(form.client.headers["authorization"].removeprefix("Bearer "))
        await form.submit()
        await balance(form)
        assert form.answered == _ROWS + 1
        listed = (await form.client.get(form.path, params={"include_total": "true", "limit": 1})).json()
        assert listed["meta"]["total"] == _ROWS + 1
        found = await form.client.get(form.path, params={"filter[age][gte]": 18, "include_total": "true"})
        assert found.json()["meta"]["total"] == _ROWS + 1
    await _unbalance(form, database, monkeypatch)


async def _unbalance(form: Form, settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of loss is seen."""
    monkeypatch.setattr(books, "_HEARD_S", 0.0)
    database = Database(settings)
    for change, complaint in (
        (
            "UPDATE event SET published_at = NULL WHERE form_id IS NOT NULL",
            "not every event is in the stream",
        ),
        ("DELETE FROM event WHERE id = (SELECT max(id) FROM event)", f"{_ROWS + 1} responses have {_ROWS} events"),
        ("DELETE FROM response WHERE id = (SELECT max(id) FROM response)", f"{_ROWS} are stored"),
    ):
        async with database.write(form.tenant) as unit:
            await unit.session.execute(text(change))
        with pytest.raises(AssertionError, match=complaint):
            await balance(form)
    await database.close()
