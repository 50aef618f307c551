"""A consumer's open request: what comes for it, in whose turn, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from nats.aio.msg import Msg

from eventing.errors import PullEnded
from eventing.pull import Pull
from eventing.streams import EVENTS, ConsumerSpec, ensure_consumer
from tests.eventing.harness import Transport, empty_stream, eventually, is_true

NAME = "pulled"
BOUND = 60


@asynccontextmanager
async def opened(url: str, bound: int = BOUND) -> AsyncIterator[tuple[Transport, Pull]]:
    async with empty_stream(url) as transport:
        await ensure_consumer(transport.client.jetstream(), ConsumerSpec(NAME))
        pull = Pull(transport.client, NAME, bound)
        await pull.open()
        yield transport, pull


async def publish(transport: Transport, *tenants: str) -> None:
    for tenant in tenants:
        await transport.client.jetstream().publish(f"events.{tenant}.form.deleted", tenant.encode())


async def held(pull: Pull, number: int) -> None:
    await eventually(lambda: is_true(lambda: len(pull.held) >= number))


async def waits(transport: Transport) -> bool:
    """Whether the server has the request."""
    return (await transport.client.jetstream().consumer_info(EVENTS, NAME)).num_waiting == 1


def tenants(messages: Iterable[Msg]) -> list[str]:
    return [message.data.decode() for message in messages]


async def drain(pull: Pull) -> None:
    while True:
        pull.done(await pull.take(10, 20))


async def acknowledge(messages: Iterable[Msg]) -> None:
    for message in messages:
        await message.ack_sync(timeout=5)


async def test_one_request_brings_what_is_stored_later(nats_server: str) -> None:
    async with opened(nats_server) as (transport, pull):
        assert await pull.take(10, 0.01) == []
        for _ in range(2 * BOUND):
            await publish(transport, "acme")
            taken = await pull.take(10, 20)
            assert tenants(taken) == ["acme"]
            pull.done(taken)


async def test_no_more_are_held_than_the_bound(nats_server: str) -> None:
    async with opened(nats_server, 5) as (transport, pull):
        await publish(transport, *["acme"] * 12)
        await held(pull, 5)
        taken: list[Msg] = []
        while len(taken) < 12:
            assert len(pull.held) <= 5
            some = await pull.take(3, 20)
            pull.done(some)
            taken += some
        numbers = [message.metadata.sequence.stream for message in taken]
        assert numbers == sorted(numbers)


async def test_nothing_is_taken_while_the_tenant_is_at_work_elsewhere(nats_server: str) -> None:
    """Order per entity, with several batches at once."""
    async with opened(nats_server) as (transport, pull):
        await publish(transport, "acme")
        first = await pull.take(10, 20)
        second = asyncio.create_task(pull.take(10, 60))
        await publish(transport, "acme")
        await held(pull, 1)
        assert await pull.take(10, 0.01) == []
        pull.done(first)
        assert tenants(await asyncio.wait_for(second, 20)) == ["acme"]


async def test_who_is_new_does_not_wait_until_another_has_rested(nats_server: str) -> None:
    async with opened(nats_server) as (transport, pull):
        await publish(transport, "noisy")
        pull.done(await pull.take(10, 20), rest_s=60)
        await publish(transport, "noisy")
        await held(pull, 1)
        assert await pull.take(10, 0.01) == []
        await publish(transport, "quiet")
        assert tenants(await pull.take(10, 20)) == ["quiet"]


async def test_at_the_end_nobody_rests_and_nothing_is_waited_for(nats_server: str) -> None:
    async with opened(nats_server) as (transport, pull):
        await publish(transport, "acme")
        pull.done(await pull.take(10, 20), rest_s=60)
        waiting = asyncio.create_task(pull.take(10, 60))
        await publish(transport, "acme")
        await held(pull, 1)
        assert not waiting.done()
        pull.end()
        assert tenants(await asyncio.wait_for(waiting, 20)) == ["acme"]
        assert await pull.take(10, 60) == []


async def test_it_says_when_the_consumer_is_gone_and_begins_anew(nats_server: str) -> None:
    async with opened(nats_server) as (transport, pull):
        await eventually(lambda: waits(transport))
        await transport.client.jetstream().delete_consumer(EVENTS, NAME)
        with pytest.raises(PullEnded, match="Consumer Deleted"):
            await drain(pull)
        await ensure_consumer(transport.client.jetstream(), ConsumerSpec(NAME))
        await pull.open()
        await publish(transport, "acme")
        assert tenants(await pull.take(10, 20)) == ["acme"]


async def test_it_says_when_there_never_was_a_consumer(nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        pull = Pull(transport.client, "nobody", BOUND)
        await pull.open()
        with pytest.raises(PullEnded, match="503"):
            await drain(pull)


async def test_what_nobody_asks_for_any_more_is_anothers(nats_server: str) -> None:
    async with opened(nats_server) as (transport, pull):
        await pull.close()
        other = Pull(transport.client, NAME, BOUND)
        await other.open()
        await publish(transport, "acme")
        (message,) = await other.take(10, 20)
        await acknowledge([message])
        assert pull.held == []
