"""Declarations against a real server: created, found again, brought back in line, refused with a reason."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats.errors
import pytest
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, DiscardPolicy, RetentionPolicy, StorageType
from nats.js.errors import APIError

from eventing import streams
from eventing.connection import close, connect
from eventing.errors import ConnectFailed, DeclarationRejected
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings
from eventing.streams import (
    EVENTS,
    ConsumerSpec,
    ensure_consumer,
    ensure_stream,
    events_stream,
    forget_events,
    is_consumed,
    last_message,
    make_room,
    purge_tenant,
)
from eventing.subjects import event_filter, event_subject


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own: these tests delete and change EVENTS."""
    with EmbeddedServer(tmp_path_factory.mktemp("streams"), max_store_bytes=1024**3) as server:
        yield server.url


@pytest.fixture
def settings(url: str) -> EventingSettings:
    return EventingSettings(nats_url=url, max_bytes=64 * 1024**2)


@pytest.fixture
async def js(settings: EventingSettings) -> AsyncIterator[JetStreamContext]:
    client = await connect(settings, "test")
    js = client.jetstream()
    yield js
    for stream in await js.streams_info():
        await js.delete_stream(stream.config.name or "")
    await close(client)


class TestStream:
    async def test_it_is_declared_for_durability(self, js: JetStreamContext, settings: EventingSettings) -> None:
        config = (await ensure_stream(js, settings)).config
        assert config.name == EVENTS
        assert config.subjects == ["events.>"]
        assert config.storage == StorageType.FILE
        assert config.retention == RetentionPolicy.LIMITS
        assert config.discard == DiscardPolicy.NEW
        assert config.max_age == 14 * 86_400
        assert config.duplicate_window == 600
        assert config.max_bytes == 64 * 1024**2
        assert config.num_replicas == 1
        assert config.deny_delete
        assert not config.no_ack
        assert config.persist_mode is None

    async def test_a_second_call_changes_nothing(self, js: JetStreamContext, settings: EventingSettings) -> None:
        first = await ensure_stream(js, settings)
        await js.publish(event_subject("acme", "form.published"), b"1")
        second = await ensure_stream(js, settings)
        assert second.config == first.config
        assert second.created == first.created
        assert second.state.messages == 1

    async def test_drift_is_repaired_without_losing_events(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        wanted = (await ensure_stream(js, settings)).config
        await js.publish(event_subject("acme", "form.published"), b"1")
        drifted = events_stream(settings).evolve(
            discard=DiscardPolicy.OLD, max_age=3600, duplicate_window=60, subjects=["events.>", "other"]
        )
        assert (await js.update_stream(drifted)).config != wanted
        repaired = await ensure_stream(js, settings)
        assert repaired.config == wanted
        assert repaired.state.messages == 1

    async def test_new_settings_reach_an_existing_stream(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        await ensure_stream(js, settings)
        larger = settings.model_copy(update={"max_bytes": 128 * 1024**2, "max_age_s": 86_400.0})
        config = (await ensure_stream(js, larger)).config
        assert (config.max_bytes, config.max_age) == (128 * 1024**2, 86_400)

    async def test_replicas_that_race_at_boot_agree(self, url: str, settings: EventingSettings) -> None:
        clients = [await connect(settings, f"replica-{number}") for number in range(4)]
        spec = ConsumerSpec("mail")
        for _ in range(5):
            await asyncio.gather(*(ensure_stream(client.jetstream(), settings) for client in clients))
            await asyncio.gather(*(ensure_consumer(client.jetstream(), spec) for client in clients))
            js = clients[0].jetstream()
            assert [consumer.name for consumer in await js.consumers_info(EVENTS)] == ["mail"]
            await js.delete_stream(EVENTS)
        for client in clients:
            await close(client)

    async def test_a_full_stream_refuses_new_events_and_keeps_the_old(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        await ensure_stream(js, settings.model_copy(update={"max_bytes": 1024**2}))
        subject = event_subject("acme", "form.published")
        for _ in range(10):
            await js.publish(subject, bytes(100_000))
        with pytest.raises(APIError) as refused:
            await js.publish(subject, bytes(100_000))
        assert refused.value.err_code == 10077
        state = (await js.stream_info(EVENTS)).state
        assert (state.first_seq, state.messages) == (1, 10)

    async def test_a_repeated_message_id_is_stored_once(self, js: JetStreamContext, settings: EventingSettings) -> None:
        await ensure_stream(js, settings)
        for _ in range(3):
            await js.publish(event_subject("acme", "form.published"), b"1", headers={"Nats-Msg-Id": "evt_1"})
        assert (await js.stream_info(EVENTS)).state.messages == 1

    async def test_a_server_without_room_for_a_second_one_keeps_the_first(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        """Every process declares it; the server has room for one, and not for two of that size."""
        large = settings.model_copy(update={"max_bytes": 600 * 1024**2})
        await ensure_stream(js, large)
        assert (await ensure_stream(js, large)).config.max_bytes == large.max_bytes

    async def test_a_stored_event_cannot_be_deleted(self, js: JetStreamContext, settings: EventingSettings) -> None:
        await ensure_stream(js, settings)
        ack = await js.publish(event_subject("acme", "form.published"), b"1")
        with pytest.raises(APIError):
            await js.delete_msg(EVENTS, ack.seq)
        assert (await js.get_msg(EVENTS, ack.seq)).data == b"1"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [({"max_bytes": 2 * 1024**3}, "insufficient storage"), ({"replicas": 3}, "replicas > 1 not supported")],
    )
    async def test_what_the_server_cannot_hold_is_refused_with_its_reason(
        self, js: JetStreamContext, settings: EventingSettings, change: dict[str, int], reason: str
    ) -> None:
        with pytest.raises(DeclarationRejected, match=reason):
            await ensure_stream(js, settings.model_copy(update=change))

    async def test_drift_that_cannot_be_repaired_is_refused(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        await js.add_stream(events_stream(settings).evolve(storage=StorageType.MEMORY))
        with pytest.raises(DeclarationRejected, match=r"EVENTS: .*storage"):
            await ensure_stream(js, settings)


class TestConsumer:
    async def test_it_is_created_as_declared(self, js: JetStreamContext, settings: EventingSettings) -> None:
        await ensure_stream(js, settings)
        spec = ConsumerSpec("mail", ("events.*.response.submitted", "events.*.form.published"), max_ack_pending=7)
        config = (await ensure_consumer(js, spec)).config
        assert config.durable_name == "mail"
        assert config.filter_subjects == list(spec.filter_subjects)
        assert config.ack_policy == AckPolicy.EXPLICIT
        assert (config.ack_wait, config.max_ack_pending, config.max_deliver) == (30, 7, -1)

    async def test_drift_is_repaired_and_the_position_kept(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        await ensure_stream(js, settings)
        await ensure_consumer(js, ConsumerSpec("mail", ("events.*.old",), ack_wait_s=5, max_deliver=3))
        await js.publish("events.acme.old", b"1")
        pull = await js.pull_subscribe_bind("mail", EVENTS)
        [message] = await pull.fetch(1, timeout=5)
        await message.ack_sync()
        wanted = ConsumerSpec("mail", ("events.*.old", "events.*.new"), ack_wait_s=20, max_ack_pending=9)
        for _ in range(2):
            info = await ensure_consumer(js, wanted)
            assert info.config.filter_subjects == ["events.*.old", "events.*.new"]
            assert (info.config.ack_wait, info.config.max_ack_pending, info.config.max_deliver) == (20, 9, -1)
            assert info.ack_floor is not None
            assert info.ack_floor.stream_seq == 1

    async def test_what_a_newer_version_declared_is_left_as_it_is(
        self, js: JetStreamContext, settings: EventingSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the older one would leave out would be lost to the newer one, which runs beside it."""
        await ensure_stream(js, settings)
        ours, theirs = ConsumerSpec("mail", ("events.*.old",)), ConsumerSpec("mail", ("events.*.old", "events.*.new"))

        async def declared(spec: ConsumerSpec) -> list[str] | None:
            return (await ensure_consumer(js, spec)).config.filter_subjects

        await ensure_consumer(js, ours)
        with monkeypatch.context() as newer:
            newer.setattr(streams, "GENERATION", streams.GENERATION + 1)
            assert await declared(theirs) == list(theirs.filter_subjects)
        assert await declared(ours) == list(theirs.filter_subjects)
        with monkeypatch.context() as newest:
            newest.setattr(streams, "GENERATION", streams.GENERATION + 2)
            less = ConsumerSpec("mail", ("events.*.new", "events.*.newest"))
            assert await declared(less) == list(less.filter_subjects)

    async def test_a_declaration_that_makes_no_sense_is_refused(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        await ensure_stream(js, settings)
        with pytest.raises(DeclarationRejected, match=r"mail: .*overlap"):
            await ensure_consumer(js, ConsumerSpec("mail", ("events.>", "events.*.old")))

    async def test_without_the_stream_there_is_no_consumer(self, js: JetStreamContext) -> None:
        with pytest.raises(DeclarationRejected, match="stream not found"):
            await ensure_consumer(js, ConsumerSpec("mail"))


async def test_no_answer_is_not_a_refusal(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        settings = EventingSettings(nats_url=server.url)
        client = await connect(settings, "test")
    js = client.jetstream(timeout=0.2)
    with pytest.raises((nats.errors.Error, OSError)):
        await ensure_stream(js, settings)
    with pytest.raises((nats.errors.Error, OSError)):
        await ensure_consumer(js, ConsumerSpec("mail"))
    await close(client)
    assert client.is_closed


def test_the_default_stream_fits_the_default_server(tmp_path: Path) -> None:
    async def declare(url: str) -> None:
        settings = EventingSettings(nats_url=url)
        client = await connect(settings, "test")
        await ensure_stream(client.jetstream(), settings)
        await close(client)

    with EmbeddedServer(tmp_path) as server:
        asyncio.run(declare(server.url))


class TestForgetting:
    async def test_takes_messages_of_some_types_that_everybody_has_read(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        """R8: not those that came later, nor other tenants', and a consumer that leaves some out is no hindrance."""
        client = await connect(settings, "forget")
        try:
            assert await last_message(client, 5.0) == 0
            assert await is_consumed(client, 7, 5.0)
            await ensure_stream(js, settings)
            slow = ConsumerSpec("slow", (event_filter("response.submitted"),))
            await ensure_consumer(js, slow)
            await ensure_consumer(js, ConsumerSpec("other", (event_filter("form.created"),)))
            for tenant_id, name in (("acme", "response.submitted"), ("acme-2", "response.submitted")) * 2:
                await js.publish(event_subject(tenant_id, name), b"{}")
            last = await last_message(client, 5.0)
            assert last == 4
            await js.publish(event_subject("acme", "response.submitted"), b"{}")
            await js.publish(event_subject("acme", "response.deleted"), b"{}")
            assert not await is_consumed(client, last, 5.0)
            subscription = await js.pull_subscribe_bind("slow", EVENTS)
            for message in await subscription.fetch(3, timeout=5):
                await message.ack_sync()
            assert not await is_consumed(client, last, 5.0)
            for message in await subscription.fetch(1, timeout=5):
                await message.ack_sync()
            assert await is_consumed(client, last, 5.0)
            assert await forget_events(client, "acme", ["response.submitted"], last, 5.0) == 2
            assert await forget_events(client, "acme", ["response.submitted"], last, 5.0) == 0
            assert (await js.stream_info(EVENTS)).state.messages == 4
        finally:
            await close(client)
        with pytest.raises(ConnectFailed):
            await forget_events(client, "acme", ["response.submitted"], 1, 1.0)
        for ask in (last_message(client, 1.0), is_consumed(client, 1, 1.0)):
            with pytest.raises(ConnectFailed):
                await ask


class TestPurge:
    async def test_takes_the_messages_of_one_tenant_only(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        """T7: and says how many there were; again there are none."""
        await ensure_stream(js, settings)
        for tenant_id, number in (("acme", 5), ("acme-2", 2), ("acme_2", 1)):
            for _ in range(number):
                await js.publish(event_subject(tenant_id, "form.created"), b"{}")
        client = await connect(settings, "purge")
        try:
            assert await purge_tenant(client, "acme", 5.0) == 5
            assert await purge_tenant(client, "acme", 5.0) == 0
        finally:
            await close(client)
        assert (await js.stream_info(EVENTS)).state.messages == 3

    async def test_without_a_stream_there_is_nothing(self, js: JetStreamContext, settings: EventingSettings) -> None:
        client = await connect(settings, "purge")
        try:
            assert await purge_tenant(client, "acme", 5.0) == 0
        finally:
            await close(client)
        with pytest.raises(ConnectFailed):
            await purge_tenant(client, "acme", 1.0)


class TestRoom:
    async def test_a_stream_that_fills_gives_up_what_everybody_had(
        self, js: JetStreamContext, settings: EventingSettings
    ) -> None:
        """E7: else it would refuse events for as long as it keeps the old ones."""
        small = settings.model_copy(update={"max_bytes": 1024**2})
        await ensure_stream(js, small)
        for name in ("quick", "slow"):
            await ensure_consumer(js, ConsumerSpec(name))
        quick = await js.pull_subscribe_bind("quick", EVENTS)
        slow = await js.pull_subscribe_bind("slow", EVENTS)
        for _ in range(60):
            await js.publish(event_subject("acme", "form.deleted"), b"x" * 10_000)
        assert await make_room(js._nc, small) == 0, "less than three quarters are full"
        for _ in range(25):
            await js.publish(event_subject("acme", "form.deleted"), b"x" * 10_000)
        assert await make_room(js._nc, small) == 0, "nobody has acknowledged anything"
        await acknowledge(quick, 85)
        await acknowledge(slow, 50)
        assert await make_room(js._nc, small) == 49
        assert (await js.stream_info(EVENTS)).state.first_seq == 50
        assert len(await slow.fetch(85, timeout=5)) == 35

    async def test_an_idle_consumer_holds_nothing(self, js: JetStreamContext, settings: EventingSettings) -> None:
        small = settings.model_copy(update={"max_bytes": 1024**2})
        await ensure_stream(js, small)
        await ensure_consumer(js, ConsumerSpec("others", (event_filter("user.updated"),)))
        for _ in range(85):
            await js.publish(event_subject("acme", "form.deleted"), b"x" * 10_000)
        assert await make_room(js._nc, small) == 84


async def acknowledge(subscription: JetStreamContext.PullSubscription, number: int) -> None:
    for message in await subscription.fetch(number, timeout=5):
        await message.ack_sync(timeout=5)
