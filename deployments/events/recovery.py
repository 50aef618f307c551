"""What operators do with events: opens the unit of work, calls the rules, returns contracts."""

from collections.abc import Mapping

from db.models.events import DeadLetter as DeadLetterRow
from db.repositories.dead_letters import Waiting
from db.session import Database
from deployments.events import dead_letters, replaying
from deployments.events.errors import DeadLetterNotFound
from deployments.events.measuring import measure
from deployments.events.recovery_contracts import (
    ChooseDeadLetters,
    DeadLetter,
    DeadLetterDetails,
    EventMeasures,
    FindDeadLetters,
    FindWaiting,
    StartedJob,
    StartReplay,
    WaitingEvent,
)
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.webhooks.contracts import WebhooksApi
from eventing.events.envelope import Event

_READ = "events:read"
_PERSONAL = "responses:read_personal"
_LETTERS = "dead_letters-id"
_WAITING = "waiting-id"


class EventRecovery:
    """Dead letters, what waits, and replays; satisfies `EventRecoveryApi`."""

    def __init__(
        self, database: Database, consumers: Mapping[str, bool] | None = None, webhooks: WebhooksApi | None = None
    ) -> None:
        """`consumers` are those of the platform by name, and whether they can be replayed to."""
        self._database = database
        self._consumers = consumers or {}
        self._webhooks = webhooks

    async def list_dead_letters(
        self, principal: Principal, query: FindDeadLetters, cursor: str | None, limit: int
    ) -> Page[DeadLetter]:
        principal.require(_READ)
        before_id = decode_cursor(cursor, _LETTERS, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            letters = dead_letters.letters_of(unit)
            rows = await letters.page(dead_letters.chosen(query), before_id, limit + 1)
        more = encode_cursor(_LETTERS, [rows[limit - 1].id]) if len(rows) > limit else None
        data = [_to_letter(row) for row in rows[:limit]]
        return Page[DeadLetter](data=data, meta=PageMeta(limit=limit, next_cursor=more))

    async def get_dead_letter(self, principal: Principal, letter_id: str) -> DeadLetterDetails:
        principal.require(_READ)
        async with self._database.read(principal.tenant_id) as unit:
            row = await dead_letters.letters_of(unit).find(letter_id)
        if row is None:
            raise DeadLetterNotFound
        return _to_details(row, with_payload=principal.may(_PERSONAL))

    async def list_waiting(
        self, principal: Principal, query: FindWaiting, cursor: str | None, limit: int
    ) -> Page[WaitingEvent]:
        principal.require(_READ)
        event_id, consumer = decode_cursor(cursor, _WAITING, 2) if cursor else ("", "")
        async with self._database.read(principal.tenant_id) as unit:
            found = await dead_letters.letters_of(unit).waiting(
                consumer=query.consumer,
                event_type=query.type,
                since=query.since,
                before=(event_id, consumer) if cursor else None,
                limit=limit + 1,
            )
        last = found[limit - 1] if len(found) > limit else None
        more = encode_cursor(_WAITING, [last.event_id, last.consumer]) if last else None
        data = [_to_waiting(each) for each in found[:limit]]
        return Page[WaitingEvent](data=data, meta=PageMeta(limit=limit, next_cursor=more))

    async def redrive(self, principal: Principal, letter_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await dead_letters.act(unit, principal, self._consumers, letter_id, "redrive")

    async def discard(self, principal: Principal, letter_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await dead_letters.act(unit, principal, self._consumers, letter_id, "discard")

    async def redrive_many(self, principal: Principal, command: ChooseDeadLetters) -> StartedJob:
        async with self._database.write(principal.tenant_id) as unit:
            return StartedJob(job_id=await dead_letters.order(unit, principal, command, "redrive"))

    async def discard_many(self, principal: Principal, command: ChooseDeadLetters) -> StartedJob:
        async with self._database.write(principal.tenant_id) as unit:
            return StartedJob(job_id=await dead_letters.order(unit, principal, command, "discard"))

    async def replay(self, principal: Principal, command: StartReplay, idempotency_key: str | None) -> StartedJob:
        principal.require(dead_letters.WRITE)
        replaying.check(command, self._consumers)
        if command.webhook_id is not None and self._webhooks is not None:
            await self._webhooks.get(principal, command.webhook_id)
        async with self._database.write(principal.tenant_id) as unit:
            return await replaying.order(unit, principal, command, idempotency_key)

    async def measure(self) -> EventMeasures:
        return await measure(self._database)


def _to_letter(row: DeadLetterRow) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        consumer=row.consumer,
        event_id=row.event_id,
        type=row.event_type,
        reason=row.reason,
        attempts=row.attempts,
        failed_at=row.created_at,
    )


def _to_details(row: DeadLetterRow, *, with_payload: bool) -> DeadLetterDetails:
    event, raw = None, None
    if with_payload:
        try:
            event = Event.decode(row.envelope).public()
        except ValueError:
            raw = row.envelope
    return DeadLetterDetails(**_to_letter(row).model_dump(), event=event, raw=raw)


def _to_waiting(found: Waiting) -> WaitingEvent:
    return WaitingEvent(
        consumer=found.consumer,
        event_id=found.event_id,
        type=found.event_type,
        entity_id=found.entity_id,
        attempts=found.attempts,
        reason=found.error,
        next_attempt_at=found.next_attempt_at,
        happened_at=found.occurred_at,
    )
