"""Lanes: one job at a time sends to an endpoint, and what it found out is written for many deliveries at once.

A lane's job belongs to a turn. Whoever brings work looks at the lane under its lock and begins a new turn, with a job,
unless one is due soon enough; the job that finds nothing more to do ends its turn under the same lock. So nothing
waits without a job, and a job whose turn is over does nothing.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from db.models.webhooks import WebhookEndpoint, WebhookLane
from db.repositories.outbox import EventLogRepository
from db.repositories.webhook_lanes import DueDelivery, WebhookLaneRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.webhooks import health
from deployments.webhooks.policy import Policy
from deployments.webhooks.sender import Attempt, Outcome
from eventing.events.envelope import EventData, Origin
from eventing.events.webhooks import WebhookDelivered, WebhookDisabled, WebhookFailed, WebhookFailing
from eventing.jobs import JobSpec, enqueue_all
from eventing.outbox import EVENTS_TOPIC, make_event, record, row_of

SEND: Final = "webhook.send"
STRANDED: Final = timedelta(minutes=3)
"""A lane whose job gave no sign of life for so long has none: it lives a minute, and a lost one is soon taken back."""

_SOON: Final = timedelta(seconds=1)
_ACTOR: Final = "system:webhooks"


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt at a delivery; `again_s` is when to try once more, None when it was the last."""

    delivery: DueDelivery
    attempt: Attempt
    started_at: datetime
    again_s: float | None


def lanes_of(unit: UnitOfWork) -> WebhookLaneRepository:
    return WebhookLaneRepository(unit.session, unit.tenant)


async def wake(unit: UnitOfWork, endpoint_ids: Collection[str], actor: str, *, at_once: bool = False) -> None:
    """See to it that what waits for these endpoints is sent when it is due and they may be called; `at_once` also
    where an endpoint rests after failures."""
    now = utc_now()
    specs = []
    await lanes_of(unit).ensure(endpoint_ids)
    for lane in await lanes_of(unit).lock(endpoint_ids):
        if at_once:
            lane.quiet_until = None
        at = max(now, lane.quiet_until or now)
        if lane.run_at is None or at + _SOON < lane.run_at or lane.run_at < now - STRANDED:
            specs.append(_begin_turn(lane, at, now, actor))
    if specs:
        await enqueue_all(unit, specs)


@dataclass(frozen=True, slots=True)
class Report:
    """What a lane's job found out. With `is_last` nothing more is to be sent now, or not before `rest_s` seconds: what
    is left waits for its time with a new job, but a job that can `stay` goes on itself with what is due already."""

    tenant_id: str
    endpoint_id: str
    turn: int
    tried: Sequence[Tried] = ()
    is_last: bool = False
    rest_s: float = 0.0
    stay: bool = False


async def write_reports(
    unit: UnitOfWork, reports: Sequence[Report], policy: Policy, rng: random.Random
) -> list[WebhookLane | None]:
    """Note attempts of one tenant and what they mean; what another worker ended meanwhile stays as it is.

    Returns the lane of each report as it is now, None when its endpoint is gone. There is one report for a lane.
    """
    lanes, now = lanes_of(unit), utc_now()
    found = {lane.endpoint_id: lane for lane in await lanes.lock([report.endpoint_id for report in reports])}
    known = [(report, found[report.endpoint_id]) for report in reports if report.endpoint_id in found]
    seen = await lanes.attempts_made([each.delivery.id for report, _ in known for each in report.tried])
    facts: list[EventData] = []
    ended: list[Tried] = []
    for report, lane in known:
        mine = [each for each in report.tried if seen.get(each.delivery.id) == each.delivery.attempts]
        ended += mine
        facts += (fact for each in mine if (fact := _fact_of(each, report.endpoint_id)) is not None)
        if mine:
            await _judge(unit, lane, [each.attempt for each in mine], now, policy, rng)
        if lane.turn == report.turn:
            lane.run_at = now
    await lanes.end_attempts(
        [_end_of(each, now) for each in ended], [_attempt_row(unit.tenant, each) for each in ended]
    )
    await _record_all(unit, facts)
    await _hand_over(unit, [(report, lane) for report, lane in known if report.is_last and lane.turn == report.turn])
    return [found.get(report.endpoint_id) for report in reports]


async def _hand_over(unit: UnitOfWork, leaving: Sequence[tuple[Report, WebhookLane]]) -> None:
    if not leaving:
        return
    now, specs = utc_now(), []
    next_due = await lanes_of(unit).next_due([lane.endpoint_id for _, lane in leaving])
    for report, lane in leaving:
        if report.rest_s > 0:
            until = now + timedelta(seconds=report.rest_s)
            lane.quiet_until = max(until, lane.quiet_until or until)
        next_at = next_due.get(lane.endpoint_id)
        if next_at is None:
            lane.run_at = None
            continue
        at = max(now, next_at, lane.quiet_until or now)
        if at > now or not report.stay:
            specs.append(_begin_turn(lane, at, now, _ACTOR))
    if specs:
        await enqueue_all(unit, specs)


async def _judge(
    unit: UnitOfWork, lane: WebhookLane, attempts: Sequence[Attempt], now: datetime, policy: Policy, rng: random.Random
) -> None:
    verdict = health.note(lane, attempts, now, policy, rng)
    if verdict.disable is None and verdict.warn_percent is None:
        return
    endpoint = await unit.session.get(WebhookEndpoint, (unit.tenant, lane.endpoint_id))
    if endpoint is None or endpoint.status != "enabled":
        return
    if verdict.disable is not None:
        endpoint.status, endpoint.disabled_reason, endpoint.updated_at = "disabled", verdict.disable, now
        fact = WebhookDisabled(webhook_id=lane.endpoint_id, reason=verdict.disable)
        record(unit, fact, actor=_ACTOR, origin=Origin())
    elif verdict.warn_percent is not None and lane.failing_since is not None:
        warning = WebhookFailing(
            webhook_id=lane.endpoint_id,
            percent=verdict.warn_percent,
            failing_since=lane.failing_since.isoformat(),
            disabled_at=(lane.failing_since + policy.disable_after).isoformat(),
            reason=attempts[-1].reason,
        )
        record(unit, warning, actor=_ACTOR, origin=Origin())


async def _record_all(unit: UnitOfWork, facts: Sequence[EventData]) -> None:
    """As `record` does for facts that are not audited, in one statement: there are as many as deliveries."""
    if facts:
        events = [make_event(fact, tenant_id=unit.tenant, actor=_ACTOR, origin=Origin()) for fact in facts]
        await EventLogRepository(unit.session, unit.tenant).add_all([row_of(event) for event in events])
        unit.announce(EVENTS_TOPIC)


def _begin_turn(lane: WebhookLane, at: datetime, now: datetime, actor: str) -> JobSpec:
    lane.turn += 1
    lane.run_at = at
    payload = {"webhook_id": lane.endpoint_id, "turn": lane.turn}
    return JobSpec(SEND, payload, created_by=actor, run_after_s=max(0.0, (at - now).total_seconds()))


def _end_of(tried: Tried, now: datetime) -> dict[str, object]:
    is_delivered = tried.attempt.outcome is Outcome.DELIVERED
    waits = not is_delivered and tried.again_s is not None
    return {
        "id": tried.delivery.id,
        "state": "delivered" if is_delivered else "pending" if waits else "failed",
        "attempts": tried.delivery.attempts + 1,
        "tries": tried.delivery.tries + 1,
        "next_at": now + timedelta(seconds=tried.again_s or 0.0) if waits else None,
        "last_status": tried.attempt.status,
        "finished_at": None if waits else now,
    }


def _attempt_row(tenant_id: str, tried: Tried) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "delivery_id": tried.delivery.id,
        "number": tried.delivery.attempts + 1,
        "started_at": tried.started_at,
        "duration_ms": tried.attempt.duration_ms,
        "request_headers": dict(tried.attempt.request_headers),
        "status": tried.attempt.status,
        "error": tried.attempt.error,
        "response_excerpt": tried.attempt.response_excerpt,
    }


def _fact_of(tried: Tried, endpoint_id: str) -> EventData | None:
    delivery = tried.delivery
    ids = {"delivery_id": delivery.id, "webhook_id": endpoint_id, "event_id": delivery.event_id}
    if tried.attempt.outcome is Outcome.DELIVERED:
        return WebhookDelivered(**ids, attempts=delivery.attempts + 1)
    return WebhookFailed(**ids, reason=tried.attempt.reason) if tried.again_s is None else None
