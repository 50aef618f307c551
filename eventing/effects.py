"""Turns events into effects, each once: inbox, attempts, and what to do with an event that fails."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from db.errors import DatabaseUnavailable
from db.models.events import DeadLetter, FailedEvent
from db.repositories.inbox import Due, FailedEventsRepository, InboxRepository
from db.repositories.outbox import EventLogRepository
from db.repositories.tenants import beyond_return
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from eventing.caller import acting_for
from eventing.events.envelope import Event, Origin
from eventing.settings import EventingSettings
from eventing.subscription import Poison, Subscription

_MAX_ERROR: Final = 2000
_RETRIES_PER_ROUND: Final = 64

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counters:
    """What became of the events of one consumer since it started."""

    handled: int = 0
    unselected: int = 0
    duplicates: int = 0
    parked: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0


class ForNewerVersion(Exception):
    """This version does not react to events of this type. The newer one that told JetStream so may have the next
    attempt."""


class Effects:
    """The effects of one subscription.

    Order per entity: events of an entity are handled in the order given; while one of them waits for its next
    attempt, later ones of that entity are parked behind it and follow once it succeeded or was given up.
    Replicas of one consumer share its events, so between replicas order is not kept.
    """

    def __init__(self, database: Database, subscription: Subscription, settings: EventingSettings) -> None:
        self._database = database
        self._subscription = subscription
        self._settings = settings
        self.counters = Counters()

    async def apply(self, events: Sequence[Event]) -> None:
        """Every event has had its effect, or waits for its next attempt, or is a dead letter, durably.

        Those of a tenant that is deleted beyond its grace period are dropped.
        Raises only when the database cannot be used; then nothing may be acknowledged.
        """
        groups: list[tuple[str, Sequence[Event]]] = []
        alone: list[Event] = []
        for tenant_id, living in (await self._of_living(_by_tenant(events))).items():
            group = [event for event in living if event.type in self._subscription.types]
            for event in living:
                if event.type not in self._subscription.types:
                    await self._failed(event, ForNewerVersion(event.type))
            try:
                groups.append((tenant_id, await self._selected(tenant_id, group)))
            except Exception as error:  # noqa: BLE001 - the handlers' code may raise anything
                await self._blame(error)
                alone += group
        groups = [(tenant_id, group) for tenant_id, group in groups if group]
        try:
            await self._handle_together(groups)
        except Exception as error:  # noqa: BLE001
            await self._blame(error)
            alone += (event for _, group in groups for event in group)
        for event in alone:
            await self._handle_alone(event)

    async def suspect(self, events: Sequence[Event], reason: str) -> None:
        """Let each of these have its effect alone, as a retry whose attempts count before they begin: one of them may
        end the process. Raises only when the database cannot be used; then nothing may be acknowledged."""
        now = utc_now()
        groups = await self._of_living(_by_tenant(events))
        async with self._database.unscoped_write() as unit:
            for tenant_id, group in groups.items():
                await unit.enter_tenant(tenant_id)
                inbox = InboxRepository(unit.session, tenant_id, self._subscription.name)
                for event in group:
                    await inbox.park(event.id, event.entity_id, attempts=0, error=reason, next_attempt_at=now)
                    self.counters.parked += 1

    async def retry_due(self) -> bool:
        """Try failed events whose time has come; whether more are due. Raises when the database cannot be used."""
        async with self._database.unscoped_read() as unit:
            failed = FailedEventsRepository(unit.session, self._subscription.name)
            due = await failed.due(utc_now(), _RETRIES_PER_ROUND)
        for item in due:
            await self._retry(item)
        return len(due) == _RETRIES_PER_ROUND

    async def bury(self, tenant_id: str, event_id: str, event_type: str, text: str, reason: str) -> None:
        """Keep something that is not an event as a dead letter. Raises when the database cannot be used."""
        async with self._database.write(tenant_id) as unit:
            await self._bury(unit, event_id, event_type, text, reason, attempts=1)
        self.counters.dead += 1

    async def _of_living(self, groups: dict[str, list[Event]]) -> dict[str, list[Event]]:
        """Without the tenants that are being erased: an effect would be a row that stays behind.

        Events of suspended tenants have their effects, since all that leaves the platform is a job, and those are held.
        """
        gone = await self._database.view(partial(beyond_return, tenant_ids=list(groups), now=utc_now()))
        self.counters.dropped += sum(len(groups[tenant_id]) for tenant_id in gone)
        return {tenant_id: group for tenant_id, group in groups.items() if tenant_id not in gone}

    # Together, the fast way.

    async def _selected(self, tenant_id: str, events: Sequence[Event]) -> Sequence[Event]:
        select = self._subscription.select
        if select is None:
            return events
        async with asyncio.timeout(self._settings.ack_wait_s), self._database.read(tenant_id) as unit:
            chosen = await select(unit, events)
        self.counters.unselected += len(events) - len(chosen)
        return chosen

    async def _handle_together(self, groups: Sequence[tuple[str, Sequence[Event]]]) -> None:
        if not groups:
            return
        counts = Counters()
        async with asyncio.timeout(self._settings.ack_wait_s), self._database.unscoped_write() as unit:
            for tenant_id, events in groups:
                await unit.enter_tenant(tenant_id)
                await self._handle(unit, events, counts)
        self._count(counts)

    async def _handle(self, unit: UnitOfWork, events: Sequence[Event], counts: Counters) -> None:
        inbox = InboxRepository(unit.session, unit.tenant, self._subscription.name)
        now = utc_now()
        waiting = await inbox.waiting_entities(event.entity_id for event in events)
        ready = [event for event in events if event.entity_id not in waiting]
        fresh = await inbox.claim(list(dict.fromkeys(event.id for event in ready)), now)
        once = list({event.id: event for event in ready if event.id in fresh}.values())
        counts.handled += len(once)
        counts.duplicates += len(ready) - len(once)
        if once:
            with acting_for(_common(once)):
                await self._subscription.handle(unit, once)
        for event in events:
            if event.entity_id in waiting:
                await inbox.park(
                    event.id,
                    event.entity_id,
                    attempts=0,
                    error=f"waits for an earlier event of {event.entity_id}",
                    next_attempt_at=now,
                )
                counts.parked += 1

    # Alone, the way that finds out which event fails.

    async def _handle_alone(self, event: Event) -> None:
        counts = Counters()
        try:
            if await self._selected(event.tenant_id, [event]):
                async with (
                    asyncio.timeout(self._settings.ack_wait_s),
                    self._database.write(event.tenant_id) as unit,
                ):
                    await self._handle(unit, [event], counts)
        except Exception as error:  # noqa: BLE001
            await self._blame(error)
            await self._failed(event, error)
        else:
            self._count(counts)

    async def _failed(self, event: Event, error: Exception) -> None:
        reason = _reason(error)
        with acting_for(event.origin):
            self._report(event.tenant_id, event.id, 1, reason)
        final = isinstance(error, Poison) or self._settings.max_attempts == 1
        async with self._database.write(event.tenant_id) as unit:
            if final:
                await self._bury(unit, event.id, event.type, event.encode(), reason, attempts=1)
            else:
                inbox = InboxRepository(unit.session, unit.tenant, self._subscription.name)
                await inbox.park(
                    event.id, event.entity_id, attempts=1, error=reason, next_attempt_at=self._next_attempt(1)
                )
        self.counters.dead += final
        self.counters.failed += 1

    # Again.

    async def _retry(self, due: Due) -> None:
        attempt = await self._begin_attempt(due)
        if attempt is None:
            return
        counts = Counters()
        origin: Origin | None = None
        try:
            async with asyncio.timeout(self._settings.ack_wait_s), self._database.write(due.tenant_id) as unit:
                inbox = InboxRepository(unit.session, due.tenant_id, self._subscription.name)
                failed = await inbox.lock_failed(due.event_id)
                if failed is None or failed.attempts != attempt:
                    return
                event = await self._recall(unit, due.event_id)
                origin = event.origin
                if event.type not in self._subscription.types:
                    raise ForNewerVersion(event.type)
                select = self._subscription.select
                chosen = [event] if select is None else await select(unit, [event])
                if chosen and await self._claim_turn(inbox, event.id, failed.generation):
                    with acting_for(origin):
                        await self._subscription.handle(unit, [event])
                    counts.handled += 1
                await inbox.remove_failed(due.event_id)
        except Exception as error:  # noqa: BLE001
            await self._blame(error)
            with acting_for(origin):
                await self._failed_again(due, attempt, error)
        else:
            self._count(counts)

    async def _begin_attempt(self, due: Due) -> int | None:
        """Count the attempt that begins, so that it counts even when it ends this process. Its number, or None when
        another replica has the event, or the last attempt was lost with its process and there is no other."""
        now = utc_now()
        async with self._database.write(due.tenant_id) as unit:
            inbox = InboxRepository(unit.session, due.tenant_id, self._subscription.name)
            failed = await inbox.lock_failed(due.event_id)
            if failed is None or failed.next_attempt_at > now:
                return None
            if failed.attempts >= self._settings.max_attempts:
                await self._give_up(unit, failed, failed.error)
                self.counters.dead += 1
                return None
            attempt = failed.attempts + 1
            # Nobody else may begin while this one can still be at work.
            again_at = max(self._next_attempt(attempt), now + timedelta(seconds=2 * self._settings.ack_wait_s))
            await inbox.fail_again(due.event_id, attempt, f"attempt {attempt} was lost with its process", again_at)
        return attempt

    async def _claim_turn(self, inbox: InboxRepository, event_id: str, generation: str) -> bool:
        """Whether the effect is to happen. The first turn counts for an event that has had none."""
        now = utc_now()
        first = bool(await inbox.claim([event_id], now))
        return bool(await inbox.claim([event_id], now, generation)) if generation else first

    async def _recall(self, unit: UnitOfWork, event_id: str) -> Event:
        envelope = await EventLogRepository(unit.session, unit.tenant).envelope(event_id)
        if envelope is None:
            raise Poison("the event is no longer in the log")
        try:
            return Event.decode(envelope)
        except ValueError as error:
            raise Poison(f"the stored event cannot be read: {error}") from error

    async def _failed_again(self, due: Due, attempt: int, error: Exception) -> None:
        reason = _reason(error)
        async with self._database.write(due.tenant_id) as unit:
            inbox = InboxRepository(unit.session, due.tenant_id, self._subscription.name)
            failed = await inbox.lock_failed(due.event_id)
            if failed is None or failed.attempts != attempt:
                return
            final = isinstance(error, Poison) or attempt >= self._settings.max_attempts
            if final:
                await self._give_up(unit, failed, reason)
            else:
                await inbox.fail_again(due.event_id, attempt, reason, self._next_attempt(attempt))
        self._report(due.tenant_id, due.event_id, attempt, reason)
        self.counters.dead += final
        self.counters.failed += 1

    async def _give_up(self, unit: UnitOfWork, failed: FailedEvent, reason: str) -> None:
        event_id = failed.event_id
        envelope = await EventLogRepository(unit.session, unit.tenant).envelope(event_id) or ""
        await self._bury(unit, event_id, _type_of(envelope), envelope, reason, attempts=failed.attempts)
        await InboxRepository(unit.session, unit.tenant, self._subscription.name).remove_failed(event_id)

    async def _bury(
        self, unit: UnitOfWork, event_id: str, event_type: str, envelope: str, reason: str, *, attempts: int
    ) -> None:
        """A dead letter, with the inbox row that keeps a late redelivery from starting all over."""
        now = utc_now()
        inbox = InboxRepository(unit.session, unit.tenant, self._subscription.name)
        await inbox.claim([event_id], now)
        letter = DeadLetter(
            tenant_id=unit.tenant,
            id=new_id("dlq"),
            consumer=self._subscription.name,
            event_id=event_id,
            event_type=event_type,
            reason=reason,
            attempts=attempts,
            envelope=envelope,
            created_at=now,
        )
        await inbox.bury(letter)

    async def _blame(self, error: Exception) -> None:
        """Return when the failure is the event's own; raise it again when the database is away."""
        if isinstance(error, DatabaseUnavailable):
            # A handler's faulty statement can look like this too, and must not stop everything behind it.
            await self._database.ping()

    def _next_attempt(self, attempts: int) -> datetime:
        delays = self._settings.retry_delays_s
        jitter = self._settings.retry_jitter
        delay = delays[min(attempts, len(delays)) - 1] * random.uniform(1 - jitter, 1 + jitter)
        return utc_now() + timedelta(seconds=delay)

    def _count(self, counts: Counters) -> None:
        self.counters.handled += counts.handled
        self.counters.duplicates += counts.duplicates
        self.counters.parked += counts.parked

    def _report(self, tenant_id: str, event_id: str, attempts: int, reason: str) -> None:
        _log.warning(
            "event failed",
            consumer=self._subscription.name,
            tenant=tenant_id,
            event_id=event_id,
            attempts=attempts,
            reason=reason,
        )


def _by_tenant(events: Sequence[Event]) -> dict[str, list[Event]]:
    groups: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        groups[event.tenant_id].append(event)
    # In one order, or the transactions of two replicas could wait for each other.
    return dict(sorted(groups.items()))


def _common(events: Sequence[Event]) -> Origin | None:
    """The request that all of these come of; None when they come of several."""
    first = events[0].origin
    return first if all(event.origin == first for event in events) else None


def _reason(error: Exception) -> str:
    """The failure in a sentence that both databases store: bounded, no NUL, no lone surrogates."""
    text = str(error) if isinstance(error, Poison) else f"{type(error).__name__}: {error}"
    return text[:_MAX_ERROR].replace("\0", "").encode(errors="replace").decode()


def _type_of(envelope: str) -> str:
    try:
        return Event.decode(envelope).type
    except ValueError:
        return ""
