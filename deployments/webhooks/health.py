"""How an endpoint fares: the circuit that spares a broken one, and the way to its being disabled. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from db.models.webhooks import WebhookLane
from deployments.webhooks.policy import Policy
from deployments.webhooks.sender import Attempt, Outcome

_THROTTLING: Final = frozenset((429, 502, 503, 504))
_LONGEST_REST_S: Final = 300.0
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What some attempts lead to: a warning at so many per cent, or the end with its reason."""

    warn_percent: int | None = None
    disable: str | None = None


def note(lane: WebhookLane, attempts: Sequence[Attempt], now: datetime, policy: Policy, rng: random.Random) -> Verdict:
    """Enter the outcomes of attempts, in their order, into the lane; what follows for its endpoint."""
    rest_s = 0.0
    for attempt in attempts:
        if attempt.outcome is Outcome.DELIVERED:
            forget(lane)
            lane.last_success_at, rest_s = now, 0.0
            continue
        lane.failures += 1
        lane.failing_since = lane.failing_since or now
        lane.last_failure_at = now
        if attempt.outcome is Outcome.GONE:
            return Verdict(disable="the receiver answered 410")
        if attempt.status in _THROTTLING:
            rest_s = max(rest_s, attempt.retry_after_s or 0.0, float(2 ** min(lane.failures, 6)))
    if lane.failures >= policy.failures_to_open and not is_quiet(lane, now):
        rest_s = max(rest_s, policy.pauses_s[min(lane.opened, len(policy.pauses_s) - 1)])
        lane.opened += 1
    if rest_s:
        until = now + timedelta(
            seconds=min(rest_s, max(_LONGEST_REST_S, *policy.pauses_s)) * rng.uniform(1, 1 + _JITTER)
        )
        lane.quiet_until = max(until, lane.quiet_until or until)
    return _judge(lane, attempts, now, policy)


def forget(lane: WebhookLane) -> None:
    """The endpoint is as good as new."""
    lane.failures = lane.opened = lane.warned = 0
    lane.failing_since = lane.quiet_until = None


def is_quiet(lane: WebhookLane, now: datetime) -> bool:
    """Whether nothing may be sent now."""
    return lane.quiet_until is not None and now < lane.quiet_until


def width(lane: WebhookLane, limit: int, policy: Policy) -> int:
    """How many requests at once the endpoint gets: one while it is not known whether it is well again."""
    return 1 if lane.failures >= policy.failures_to_open else limit


def _judge(lane: WebhookLane, attempts: Sequence[Attempt], now: datetime, policy: Policy) -> Verdict:
    if lane.failing_since is None or lane.failures < policy.failures_to_disable:
        return Verdict()
    share = (now - lane.failing_since) / policy.disable_after
    if share >= 1:
        days = policy.disable_after / timedelta(days=1)
        return Verdict(disable=f"no delivery was heard for {days:g} days; the last time {attempts[-1].reason}")
    reached = max((percent for percent in policy.warn_at_percent if share >= percent / 100), default=0)
    if reached <= lane.warned:
        return Verdict()
    lane.warned = reached
    return Verdict(warn_percent=reached)
