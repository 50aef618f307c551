"""The JetStream declarations as values, and the two functions that bring a server in line with them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from eventing.errors import ConnectFailed, DeclarationRejected
from eventing.settings import EventingSettings
from eventing.subjects import EVENTS_FILTER, event_subject, tenant_filter

EVENTS: Final = "EVENTS"

# Raised when a subscription gets or loses types. While two versions run, the newer one says what a consumer gets: what
# the older one would leave out would never reach the newer one.
GENERATION: Final = 1

_GENERATION: Final = "formstream.generation"
_DECLARED: Final = ("filter_subjects", "ack_wait", "max_ack_pending", "max_deliver")
_PURGE: Final = f"$JS.API.STREAM.PURGE.{EVENTS}"
_NO_STREAM = 10059  # JSStreamNotFoundErr
_NAME_IN_USE = 10058  # JSStreamNameExistErr: the stream exists with another configuration
# JSStorageResourcesExceededErr, also of a stream that exists: the server looks for room for another one first.
_NO_ROOM = 10047
_FULL: Final = 0.75


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable pull consumer of EVENTS. `name` has no dots; times in seconds; `max_deliver` -1 is without end.

    Attempts are counted in the database: a message past `max_deliver` would stay in the stream unseen.
    """

    name: str
    filter_subjects: tuple[str, ...] = (EVENTS_FILTER,)
    ack_wait_s: float = 30.0
    max_ack_pending: int = 1024
    max_deliver: int = -1

    def config(self) -> ConsumerConfig:
        """The declaration in JetStream's terms."""
        return ConsumerConfig(
            name=self.name,
            durable_name=self.name,
            filter_subjects=list(self.filter_subjects),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait_s,
            max_ack_pending=self.max_ack_pending,
            max_deliver=self.max_deliver,
            metadata={_GENERATION: str(GENERATION)},
        )


def events_stream(settings: EventingSettings) -> StreamConfig:
    """EVENTS: every event of every tenant, on disk, refusing new events rather than losing unread ones."""
    return StreamConfig(
        name=EVENTS,
        subjects=[EVENTS_FILTER],
        storage=StorageType.FILE,
        # INTEREST would acknowledge and drop an event that nobody has declared a consumer for yet.
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_age=settings.max_age_s,
        max_bytes=settings.max_bytes,
        duplicate_window=settings.duplicate_window_s,
        deny_delete=True,
        allow_atomic=True,
        num_replicas=settings.replicas,
    )


async def ensure_stream(js: JetStreamContext, settings: EventingSettings) -> StreamInfo:
    """Create EVENTS, or update it to match; several callers at once are harmless. Returns its state.

    Raises DeclarationRejected when the server cannot hold it (no room, too few servers, a property that may not
    change), nats.errors.Error when JetStream does not answer.
    """
    declared = events_stream(settings)
    try:
        try:
            return await js.add_stream(declared)
        except APIError as error:
            if error.err_code not in (_NAME_IN_USE, _NO_ROOM):
                raise
            try:
                return await js.update_stream(declared)
            except NotFoundError:
                raise error from None
    except ServiceUnavailableError:
        raise
    except APIError as error:
        raise DeclarationRejected(f"JetStream refuses the stream {EVENTS}: {error.description}") from error


async def remove_stream(js: JetStreamContext) -> None:
    """Remove EVENTS with its consumers; that there is none is no error. Raises nats.errors.Error."""
    with suppress(NotFoundError):
        await js.delete_stream(EVENTS)


async def purge_tenant(client: NatsClient, tenant_id: str, timeout_s: float) -> int:
    """Remove every message of a tenant from EVENTS; how many there were, 0 when there is no stream.

    Raises InvalidSubject, DeclarationRejected when JetStream refuses, ConnectFailed when it does not answer.
    """
    return await _purge(client, {"filter": tenant_filter(tenant_id)}, timeout_s)


async def _purge(client: NatsClient, wanted: Mapping[str, object], timeout_s: float) -> int:
    try:
        # The client's own method does not tell how many there were.
        answer = await client.request(_PURGE, orjson.dumps(wanted), timeout=timeout_s)
    except (NatsError, OSError) as error:
        raise ConnectFailed(f"JetStream does not answer: {error}") from error
    outcome = orjson.loads(answer.data)
    if failure := outcome.get("error"):
        if failure.get("err_code") == _NO_STREAM:
            return 0
        raise DeclarationRejected(f"JetStream does not purge {EVENTS}: {failure.get('description')}")
    return int(outcome.get("purged", 0))


async def last_message(client: NatsClient, timeout_s: float) -> int:
    """The number of the last message of EVENTS, 0 when there is no stream. Raises ConnectFailed."""
    try:
        info = await client.jetstream(timeout=timeout_s).stream_info(EVENTS)
    except NotFoundError:
        return 0
    except (NatsError, OSError) as error:
        raise ConnectFailed(f"JetStream does not answer: {error}") from error
    return int(info.state.last_seq)


async def is_consumed(client: NatsClient, number: int, timeout_s: float) -> bool:
    """Whether every consumer of EVENTS has acknowledged what it gets of the messages up to this one.

    Raises ConnectFailed.
    """
    try:
        consumers = await client.jetstream(timeout=timeout_s).consumers_info(EVENTS)
    except NotFoundError:
        return True
    except (NatsError, OSError) as error:
        raise ConnectFailed(f"JetStream does not answer: {error}") from error
    # A consumer's floor stays below messages that its filter leaves out.
    return all(
        not (each.num_pending or each.num_ack_pending)
        or (each.ack_floor is not None and each.ack_floor.stream_seq >= number)
        for each in consumers
    )


async def make_room(client: NatsClient, settings: EventingSettings) -> int:
    """Remove what every consumer has acknowledged once three quarters of EVENTS are full; how many messages. Nothing is
    lost: the database has them, and a replay reads them there. A stream that is full takes no event any more.

    Raises as `purge_tenant` does, and nats.errors.Error.
    """
    stream = client.jetstream(timeout=settings.publish_timeout_s)
    state = (await stream.stream_info(EVENTS)).state
    if state.bytes < _FULL * settings.max_bytes:
        return 0
    floors = [_floor(each, state.last_seq) for each in await stream.consumers_info(EVENTS)]
    # The one that a consumer acknowledged last stays: it tells until when that one has had everything.
    return await _purge(client, {"seq": min(floors)}, settings.publish_timeout_s) if floors and min(floors) > 1 else 0


def _floor(consumer: ConsumerInfo, last_seq: int) -> int:
    """The message up to which a consumer has acknowledged everything that it gets."""
    if not consumer.num_pending and not consumer.num_ack_pending:
        return last_seq
    return 0 if consumer.ack_floor is None else consumer.ack_floor.stream_seq or 0


async def forget_events(client: NatsClient, tenant_id: str, types: Sequence[str], number: int, timeout_s: float) -> int:
    """Remove a tenant's messages of these types from EVENTS, up to the one with this number; how many there were.

    Raises as `purge_tenant` does.
    """
    subjects = (event_subject(tenant_id, name) for name in types)
    return sum([await _purge(client, {"filter": each, "seq": number + 1}, timeout_s) for each in subjects])


async def ensure_consumer(js: JetStreamContext, spec: ConsumerSpec) -> ConsumerInfo:
    """Create the consumer on EVENTS, or update it to match, unless a newer version declared it; several callers at once
    are harmless.

    Explicit, because subscribing to an existing durable keeps its old configuration. Raises as ensure_stream.
    """
    declared = spec.config()
    try:
        with suppress(NotFoundError):
            info: ConsumerInfo = await js.consumer_info(EVENTS, spec.name)
            if _generation(info.config) > GENERATION or _agree(info.config, declared):
                return info
        return await js.add_consumer(EVENTS, declared)
    except ServiceUnavailableError:
        raise
    except APIError as error:
        raise DeclarationRejected(f"JetStream refuses the consumer {spec.name}: {error.description}") from error


def _generation(config: ConsumerConfig) -> int:
    return int((config.metadata or {}).get(_GENERATION, "0"))


def _agree(found: ConsumerConfig, declared: ConsumerConfig) -> bool:
    """Whether nothing is to be written, which might come after what a newer version wrote meanwhile."""
    return _generation(found) == GENERATION and all(
        getattr(found, name) == getattr(declared, name) for name in _DECLARED
    )
