"""O4: a restored platform goes on with its events, whatever NATS has."""

from pathlib import Path

import pytest

from db.models.events import ProcessedEvent
from db.session import Database
from db.settings import DatabaseSettings
from eventing.consumer import Consumer
from eventing.events.envelope import Event
from eventing.relay import Relay
from eventing.streams import EVENTS, remove_stream
from serve_app.backup.making import back_up
from serve_app.backup.restoring import restore
from tests.eventing.harness import Transport, empty_stream, eventually, is_true, record_facts, running
from tests.eventing.test_consumer import acknowledged, effects, have, subscription
from tests.eventing.test_rebuild import stored_ids
from tests.eventing.test_relay import all_published
from tests.serve_app.one_process import settings_for


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "empty"])
async def test_nothing_is_lost_and_nothing_has_its_effect_twice(
    sqlite_settings: DatabaseSettings, nats_server: str, tmp_path: Path, ahead: bool
) -> None:
    """O4: what was published but not had by its consumer, and what was not published, has its effect after the
    restore, once; what came after the backup has none, although the stream and its consumer know it."""
    settings = settings_for(tmp_path / "data", sqlite_settings)
    database = Database(sqlite_settings)
    async with empty_stream(nats_server) as transport:
        had = await record_facts(database, "acme", "frm_1")
        async with running(_relay(database, transport)), running(_consumer(database, transport)):
            await eventually(lambda: have(database, ProcessedEvent, 1))
            await eventually(lambda: acknowledged(transport))
        published = await record_facts(database, "acme", "frm_1", "frm_2")
        async with running(_relay(database, transport)):
            await eventually(lambda: all_published(database))
        waiting = await record_facts(database, "globex", "frm_3")
        made = await back_up(settings, tmp_path / "backups")
        if ahead:
            await _go_on(database, transport)
        else:
            await remove_stream(transport.client.jetstream())
        there = settings_for(tmp_path / "there", DatabaseSettings(url=f"sqlite:///{tmp_path / 'there' / 'f.db'}"))
        await restore(there, made.folder)
        again = Database(there.database())
        consumer = _consumer(again, transport)
        begun = consumer.last_progress
        async with running(consumer):
            # It was there before the relay, and would have had what it finds.
            await eventually(lambda: is_true(lambda: consumer.last_progress > begun))
            async with running(_relay(again, transport)):
                await eventually(lambda: have(again, ProcessedEvent, 4))
                await eventually(lambda: acknowledged(transport))
        assert sorted(await stored_ids(transport)) == _ids(had, published, waiting)
        assert sorted(await effects(again)) == _ids(had, published, waiting)
        assert made.manifest.streams[EVENTS].last_sequence == 3
        await again.close()
    await database.close()


async def _go_on(database: Database, transport: Transport) -> None:
    """What happened between the backup and the day on which it is needed."""
    await record_facts(database, "acme", "frm_later")
    async with running(_relay(database, transport)), running(_consumer(database, transport)):
        await eventually(lambda: have(database, ProcessedEvent, 5))
        await eventually(lambda: acknowledged(transport))
    await record_facts(database, "acme", "frm_never")
    async with running(_relay(database, transport)):
        await eventually(lambda: all_published(database))


def _relay(database: Database, transport: Transport) -> Relay:
    return Relay(database, transport.client, transport.settings)


def _consumer(database: Database, transport: Transport) -> Consumer:
    return Consumer(database, transport.client, transport.settings, subscription())


def _ids(*facts: list[Event]) -> list[str]:
    return sorted(event.id for some in facts for event in some)
