"""The circuit of an endpoint and the way to its being disabled, under an injected clock."""

import random
from datetime import UTC, datetime, timedelta

from db.models.webhooks import WebhookLane
from deployments.webhooks import health
from deployments.webhooks.policy import Policy
from deployments.webhooks.sender import Attempt, Outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy()
HEARD = Attempt(Outcome.DELIVERED, 1.0, status=200)
FAILED = Attempt(Outcome.RETRY, 1.0, status=500)


def lane() -> WebhookLane:
    return WebhookLane(tenant_id="acme", endpoint_id="whk_1")


def note(row: WebhookLane, *attempts: Attempt, now: datetime = NOW) -> health.Verdict:
    return health.note(row, attempts, now, POLICY, random.Random(1))


def test_a_few_failures_open_nothing() -> None:
    """W2."""
    row = lane()
    note(row, *[FAILED] * 4)
    assert (row.failures, row.quiet_until, row.failing_since) == (4, None, NOW)
    assert health.width(row, 10, POLICY) == 10


def test_failures_in_a_row_open_the_circuit_for_longer_each_time() -> None:
    """W2: one attempt at a time after each pause; what is under way when it opens counts once."""
    row, now, pauses = lane(), NOW, []
    note(row, *[FAILED] * 5, now=now)
    note(row, *[FAILED] * 5, now=now)
    for _ in range(8):
        assert row.quiet_until is not None
        assert health.is_quiet(row, now)
        pauses.append((row.quiet_until - now).total_seconds())
        now = row.quiet_until
        assert not health.is_quiet(row, now)
        assert health.width(row, 10, POLICY) == 1
        note(row, FAILED, now=now)
    wanted = [10, 30, 60, 120, 300, 600, 600, 600]
    assert all(want <= pause <= want * 1.2 for want, pause in zip(wanted, pauses, strict=True)), pauses


def test_one_success_closes_it() -> None:
    """W2."""
    row = lane()
    note(row, *[FAILED] * 6)
    note(row, HEARD)
    assert (row.failures, row.opened, row.failing_since, row.quiet_until) == (0, 0, None, None)
    assert (row.last_success_at, row.last_failure_at) == (NOW, NOW)
    assert health.width(row, 10, POLICY) == 10


def test_a_busy_receiver_is_given_time() -> None:
    """W2: 429, 502, 503 and 504 throttle the endpoint, by its own wish or a few seconds; others do not."""
    for status, wish, least, most in ((429, 40.0, 40, 48), (503, None, 2, 2.4), (429, 86_400.0, 600, 720)):
        row = lane()
        note(row, Attempt(Outcome.RETRY, 1.0, status=status, retry_after_s=wish))
        assert row.quiet_until is not None
        assert least <= (row.quiet_until - NOW).total_seconds() <= most
    row = lane()
    note(row, Attempt(Outcome.RETRY, 1.0, status=500, retry_after_s=40.0))
    assert row.quiet_until is None


def test_days_of_only_failures_warn_and_then_disable() -> None:
    """W2: told of at 50, 70 and 90 % of the time, each once, and disabled at its end."""
    row, told = lane(), []
    for hour in range(200):
        verdict = note(row, FAILED, now=NOW + timedelta(hours=hour))
        if verdict.warn_percent is not None:
            told.append((hour, verdict.warn_percent))
        if verdict.disable is not None:
            told.append((hour, verdict.disable))
            break
    reason = "no delivery was heard for 5 days; the last time the receiver answered 500"
    assert told == [(60, 50), (84, 70), (108, 90), (120, reason)]


def test_a_success_starts_the_time_anew() -> None:
    """W2: of only failures, that is."""
    row = lane()
    for hour in range(400):
        verdict = note(row, FAILED if hour % 100 else HEARD, now=NOW + timedelta(hours=hour))
        assert verdict.disable is None


def test_few_attempts_do_not_disable() -> None:
    """An endpoint that gets an event a week is not condemned by two failures."""
    row = lane()
    for week in range(9):
        assert note(row, FAILED, now=NOW + timedelta(weeks=week)) == health.Verdict()
    assert note(row, FAILED, now=NOW + timedelta(weeks=10)).disable is not None


def test_a_receiver_that_is_gone_disables_at_once() -> None:
    """W2: 410."""
    assert note(lane(), Attempt(Outcome.GONE, 1.0, status=410)).disable == "the receiver answered 410"
