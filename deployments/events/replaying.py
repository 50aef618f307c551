"""Telling events again, to one webhook or one consumer: the rules, and the job that does it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

from db.models.events import Event as EventRow
from db.repositories.bulk_runs import BulkRunRepository, advanced
from db.repositories.event_log import RecordedEvents, Told
from db.repositories.jobs import JobRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.events.dead_letters import WRITE
from deployments.events.errors import InvalidReplay, ReplayKeyReused
from deployments.events.recovery_contracts import StartedJob, StartReplay
from deployments.kit.audit import audit
from deployments.kit.errors import Fault
from deployments.kit.principal import Principal
from eventing.events.catalogue import TYPES
from eventing.events.envelope import Event
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, enqueue
from eventing.subscription import Subscription
from eventing.turns import grant

REPLAY: Final = "events.replay"

_BATCH: Final = 100
_SAMPLE: Final = 10
_LIMIT_S: Final = 24 * 3600.0
_NO_TALLY: Final = {"replayed": 0, "skipped": 0}


class Target(Protocol):
    """Whom events are told again."""

    async def wanted(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """Those that it would be told. Raises GiveUp when it is not there any more."""
        ...

    async def tell(self, unit: UnitOfWork, events: Sequence[Event], replay_id: str) -> int:
        """Tell it those of the events that it wants, once for each replay; how many. Raises GiveUp."""
        ...


WebhookTarget: TypeAlias = Callable[[str], Target]
"""The webhook with an id."""


def check(command: StartReplay, consumers: Mapping[str, bool]) -> None:
    """Raises InvalidReplay with everything that is wrong."""
    faults: list[Fault] = []
    if (command.webhook_id is None) == (command.consumer is None):
        faults.append(Fault("", "target.one", "name either a webhook or a consumer"))
    if command.consumer is not None and not consumers.get(command.consumer, False):
        known = ", ".join(sorted(name for name, replayable in consumers.items() if replayable))
        faults.append(Fault("/consumer", "consumer.not_replayable", f"these can be replayed to: {known}"))
    for index, name in enumerate(command.types or ()):
        if name not in TYPES:
            faults.append(Fault(f"/types/{index}", "event.unknown", f"there is no event {name!r}"))
    if command.since is not None and command.until is not None and command.since >= command.until:
        faults.append(Fault("/until", "time.order", "it must be later than since"))
    if faults:
        raise InvalidReplay(faults[0].detail, faults=tuple(faults))


async def order(unit: UnitOfWork, principal: Principal, command: StartReplay, key: str | None) -> StartedJob:
    """Order the job. Raises Forbidden, ReplayKeyReused."""
    principal.require(WRITE)
    order = command.model_dump(mode="json")
    payload = {"order": order, "ordered_at": utc_now().isoformat()}
    unique_key = None if key is None else f"{REPLAY}:{principal.subject}:{key}"
    job_id = await enqueue(unit, JobSpec(REPLAY, payload, created_by=principal.subject, unique_key=unique_key))
    if unique_key is not None:
        job = await JobRepository(unit.session, unit.tenant).find(job_id)
        if job is None or job.payload.get("order") != order:
            raise ReplayKeyReused
        if job.payload["ordered_at"] != payload["ordered_at"]:
            return StartedJob(job_id=job_id, replayed=True)
    audit(unit, principal, "events.replay", job_id, **command.model_dump(mode="json", exclude_none=True))
    return StartedJob(job_id=job_id)


class ReplayJob:
    """Tells events in the order of their ids. Where it is, is kept in the transaction that tells them, so that after a
    `kill -9` it goes on with the right one."""

    def __init__(self, database: Database, subscriptions: Sequence[Subscription], webhook: WebhookTarget) -> None:
        self._database = database
        self._subscriptions = {each.name: each for each in subscriptions}
        self._webhook = webhook

    async def run(self, job: JobRun) -> Done:
        """Tell them, `per_second` at most. Raises GiveUp when there is nobody to tell, or too much for a day."""
        command = StartReplay.model_validate(job.payload["order"])
        target, types = self._target(command)
        told = _told(command, types, datetime.fromisoformat(job.payload["ordered_at"]))
        if command.dry_run:
            return await self._count(job, target, told)
        total = await self._begin(job, told)
        if total > command.per_second * _LIMIT_S:
            raise GiveUp("that takes more than a day: choose a higher rate or fewer events")
        batch, due = min(_BATCH, command.per_second), time.monotonic()
        more = True
        while more:
            async with self._database.write(job.tenant_id) as unit:
                more, tally = await self._step(unit, job, target, told, batch)
            await job.progress(sum(tally.values()), total)
            due = max(due + batch / command.per_second, time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()) if more else 0.0)

        async def effect(unit: UnitOfWork) -> None:
            await BulkRunRepository(unit.session, unit.tenant).end(job.id)

        return Done({"matched": total, **tally}, effect)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job. A killed worker costs it an attempt, so it has many."""
        limit = _LIMIT_S + 3_600.0
        return (JobKind(REPLAY, "default", self.run, max_attempts=20, soft_limit_s=limit, hard_limit_s=limit + 60.0),)

    def _target(self, command: StartReplay) -> tuple[Target, tuple[str, ...] | None]:
        """Whom to tell, and of what types at most."""
        if command.webhook_id is not None:
            return self._webhook(command.webhook_id), None
        subscription = self._subscriptions.get(command.consumer or "")
        if subscription is None or not subscription.replayable:
            raise GiveUp("the consumer cannot be replayed to")
        return _Consumer(subscription), subscription.types

    async def _begin(self, job: JobRun, told: Told) -> int:
        async with self._database.write(job.tenant_id) as unit:
            runs = BulkRunRepository(unit.session, unit.tenant)
            known = await runs.find(job.id)
            if known is not None:
                return known.total
            total = await RecordedEvents(unit.session, unit.tenant).count(told)
            await runs.begin(job.id, total, _NO_TALLY)
            return total

    async def _step(
        self, unit: UnitOfWork, job: JobRun, target: Target, told: Told, limit: int
    ) -> tuple[bool, dict[str, int]]:
        """Tell the next few; whether there may be more, and how many became what."""
        # The lock keeps a worker that was taken for dead from telling the same.
        run = await BulkRunRepository(unit.session, unit.tenant).find(job.id, for_update=True)
        if run is None:
            return False, dict(_NO_TALLY)
        rows = await RecordedEvents(unit.session, unit.tenant).page(told, run.after_id, limit)
        if rows:
            replayed = await target.tell(unit, _readable(rows), job.id)
            advanced(run, rows[-1].id, {"replayed": replayed, "skipped": len(rows) - replayed}, [])
        return len(rows) == limit, run.tally

    async def _count(self, job: JobRun, target: Target, told: Told) -> Done:
        """What a replay would do, without doing it."""
        matched = replayed = 0
        sample: list[dict[str, Any]] = []
        after_id: str | None = ""
        while after_id is not None:
            async with self._database.read(job.tenant_id) as unit:
                rows = await RecordedEvents(unit.session, unit.tenant).page(told, after_id, _BATCH)
                wanted = await target.wanted(unit, _readable(rows))
            matched, replayed = matched + len(rows), replayed + len(wanted)
            sample += [_shown(event) for event in wanted[: _SAMPLE - len(sample)]]
            after_id = rows[-1].id if len(rows) == _BATCH else None
            await job.progress(matched)
        tally = {"replayed": replayed, "skipped": matched - replayed}
        return Done({"dry_run": True, "matched": matched, **tally, "sample": sample})


class _Consumer:
    """A subscription of this platform as the target of a replay."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def wanted(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        select = self._subscription.select
        return events if select is None or not events else await select(unit, events)

    async def tell(self, unit: UnitOfWork, events: Sequence[Event], replay_id: str) -> int:
        return await grant(unit, self._subscription.name, await self.wanted(unit, events), replay_id)


def _told(command: StartReplay, types: Sequence[str] | None, ordered_at: datetime) -> Told:
    """What was there when the replay was ordered, of the types that are asked for and can be told."""
    asked = command.types
    if asked is not None and types is not None:
        asked = sorted(set(asked) & set(types))
    chosen = asked if asked is not None else types
    return Told(
        types=None if chosen is None else tuple(chosen),
        form_id=command.form_id,
        since=command.since,
        before=ordered_at if command.until is None else min(ordered_at, command.until),
        after_id=command.after_id or "",
    )


def _readable(rows: Sequence[EventRow]) -> list[Event]:
    events: list[Event] = []
    for row in rows:
        try:
            events.append(Event.decode(row.envelope))
        except ValueError:
            continue  # counted as skipped
    return events


def _shown(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "timestamp": event.timestamp.isoformat(),
        "entity_id": event.entity_id,
        "form_id": event.form_id,
    }
