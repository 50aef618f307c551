"""The job that sends what waits for one endpoint: so many requests at once, at its rate, while its circuit allows."""

import asyncio
import math
import random
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from db.models.webhooks import WebhookEndpoint, WebhookLane
from db.repositories.webhook_lanes import DueDelivery, Look
from db.session import Database
from db.types import utc_now
from deployments.kit.egress import Egress
from deployments.kit.features import is_enabled
from deployments.kit.spans import Fact, Tracing, untraced
from deployments.kit.vault import Vault
from deployments.webhooks import health
from deployments.webhooks.looks import FULL, Looks
from deployments.webhooks.policy import Policy
from deployments.webhooks.reports import Reports
from deployments.webhooks.retry import next_delay
from deployments.webhooks.sender import Outcome, send
from deployments.webhooks.service.endpoints import valid_secrets
from deployments.webhooks.service.lanes import Report, Tried, lanes_of
from eventing.events.envelope import Event, Origin
from eventing.jobs import JobRun

_ABANDONED_AT_ONCE: Final = 500
_SHORT_WAIT_S: Final = 1.0
_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Target:
    """The endpoint as an attempt needs it, its secrets opened."""

    url: str
    secrets: list[str]
    headers: dict[str, str]
    hidden: frozenset[str]
    concurrency: int | None
    interval_s: float


class SendWebhooks:
    """Sends the deliveries of an endpoint. After a crash one may be sent again, always under the same `webhook-id`."""

    def __init__(
        self, database: Database, vault: Vault, egress: Egress, policy: Policy, tracing: Tracing = untraced
    ) -> None:
        self._database = database
        self._vault = vault
        self._egress = egress
        self._policy = policy
        self._tracing = tracing
        self._looks = Looks(database)
        self._reports = Reports(database, policy)

    async def run(self, job: JobRun) -> None:
        """Send what is due until nothing is, the endpoint is to rest, or the shift is over."""
        shift = _Shift(
            self._database, self._vault, self._egress, self._policy, self._looks, self._reports, job, self._tracing
        )
        try:
            await shift.work()
        finally:
            await shift.drop()


class _Shift:
    """One job's time at a lane."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        egress: Egress,
        policy: Policy,
        looks: Looks,
        reports: Reports,
        job: JobRun,
        tracing: Tracing,
    ) -> None:
        self._tracing = tracing
        self._database = database
        self._vault = vault
        self._egress = egress
        self._policy = policy
        self._looks = looks
        self._reports = reports
        self._job = job
        self._endpoint_id: str = job.payload["webhook_id"]
        self._turn: int = job.payload["turn"]
        self._ends = time.monotonic() + policy.shift_s
        self._random = random.Random()
        self._waiting: list[DueDelivery] = []
        self._running: set[asyncio.Task[Tried]] = set()
        self._ended: list[Tried] = []
        self._writing: asyncio.Task[bool] | None = None
        # Deliveries that are under way or whose attempt is not written yet: the database shows them as due.
        self._ours: set[str] = set()
        self._is_in_doubt = False
        self._is_leaving = False
        self._is_over = False
        self._is_drained = False
        self._slot = 0.0
        self._lane: WebhookLane
        self._target: _Target

    async def work(self) -> None:
        if not await self._read():
            return
        while True:
            pause = await self._fill()
            under_way: set[asyncio.Task[Any]] = {*self._running, *((self._writing,) if self._writing else ())}
            if under_way:
                timeout = min(pause, _LOOK_AGAIN_S)
                done, _ = await asyncio.wait(under_way, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                # While one request hangs, something else may have come up.
                self._is_drained = self._is_drained and bool(done)
                if not self._is_still_ours():
                    return
                self._collect()
            elif pause <= _SHORT_WAIT_S:
                await asyncio.sleep(pause)
            else:
                await self._leave(pause)
                return

    async def drop(self) -> None:
        """Leave requests under way to their fate; those deliveries are sent again."""
        left = [*self._running, *([self._writing] if self._writing else [])]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    def _is_still_ours(self) -> bool:
        """Whether the turn goes on after what was written, if something was."""
        if self._writing is None or not self._writing.done():
            return True
        goes_on, self._writing = self._writing.result(), None
        return goes_on

    def _collect(self) -> None:
        """Take over the attempts that ended, and write them. Meanwhile others go on: one that was heard changes nothing
        for them, while a failure may be the one that opens the circuit."""
        done = {task for task in self._running if task.done()}
        self._running -= done
        ended = [task.result() for task in done]
        self._ended += ended
        self._is_in_doubt = self._is_in_doubt or any(not _is_heard(each) for each in ended)
        if self._ended and self._writing is None:
            tried, self._ended = self._ended, []
            self._writing = asyncio.create_task(self._write(tried))

    # What to send.

    async def _fill(self) -> float:
        """Start as many attempts as may run; seconds until the next may start, infinite when none waits for that."""
        while self._has_room():
            self._is_over = self._is_over or time.monotonic() >= self._ends or self._job.is_cancelled
            if self._is_over or health.is_quiet(self._lane, utc_now()):
                return math.inf
            if (pause := self._slot - time.monotonic()) > 0:
                return pause
            if not self._waiting and (self._is_drained or not await self._read() or not self._waiting):
                return math.inf
            self._slot = time.monotonic() + self._target.interval_s
            delivery = self._waiting.pop(0)
            self._ours.add(delivery.id)
            self._running.add(asyncio.create_task(self._attempt(delivery)))
        return math.inf

    def _has_room(self) -> bool:
        limit = self._target.concurrency or self._policy.concurrency
        unwritten = len(self._ours) - len(self._running)
        # What is not written is sent again after a crash, so it is no more than may be under way.
        if self._is_leaving or self._is_in_doubt or unwritten >= limit:
            return False
        return len(self._running) < health.width(self._lane, limit, self._policy)

    async def _read(self) -> bool:
        """Look at the endpoint and what is due for it; False when there is nothing for this job to do."""
        seen = await self._looks.add(self._job.tenant_id, Look(self._endpoint_id, frozenset(self._ours)))
        if seen.sight is None or seen.sight.lane.turn != self._turn:
            self._is_over = True
            return False
        endpoint, self._lane, self._waiting = seen.sight.endpoint, seen.sight.lane, seen.sight.due
        self._is_drained = len(self._waiting) < FULL
        self._target = self._opened(endpoint, utc_now())
        allowed = is_enabled(seen.settings, "webhooks")
        if not allowed:
            self._waiting = []
        if not allowed or endpoint.status != "enabled":
            await self._abandon(tests_too=not allowed)
        return True

    def _opened(self, endpoint: WebhookEndpoint, now: datetime) -> _Target:
        sealed = [endpoint.secret, *(each["secret"] for each in valid_secrets(endpoint, now))]
        secret_headers = {name: self._vault.open(value) for name, value in endpoint.secret_headers.items()}
        return _Target(
            url=endpoint.url,
            secrets=[self._vault.open(secret) for secret in sealed],
            headers=endpoint.headers | secret_headers,
            hidden=frozenset(secret_headers),
            concurrency=endpoint.max_concurrency,
            interval_s=60 / endpoint.max_per_minute if endpoint.max_per_minute else 0.0,
        )

    async def _abandon(self, *, tests_too: bool) -> None:
        count = _ABANDONED_AT_ONCE
        while count == _ABANDONED_AT_ONCE:
            async with self._database.write(self._job.tenant_id) as unit:
                lanes = lanes_of(unit)
                count = await lanes.abandon(self._endpoint_id, utc_now(), _ABANDONED_AT_ONCE, tests_too=tests_too)

    # Sending.

    async def _attempt(self, delivery: DueDelivery) -> Tried:
        started_at = utc_now()
        headers = {
            "ce-specversion": "1.0",
            "ce-id": delivery.event_id,
            "ce-type": delivery.event_type,
            "ce-source": f"/tenants/{self._job.tenant_id}",
            "ce-time": delivery.created_at.isoformat(),
        }
        if delivery.replay_id:
            headers["formstream-replay"] = delivery.replay_id
        target, origin = self._target, _origin_of(delivery)
        if origin.request_id:
            headers["x-correlation-id"] = origin.request_id
        facts: dict[str, Fact] = {
            "formstream.tenant": self._job.tenant_id,
            "formstream.request_id": origin.request_id,
            "formstream.event.id": delivery.event_id,
            "formstream.webhook.id": self._endpoint_id,
            "formstream.attempt": delivery.attempts + 1,
        }
        with self._tracing("webhook delivery", origin.traceparent, facts) as span:
            if span.traceparent:
                headers["traceparent"] = span.traceparent
            attempt = await send(
                self._egress,
                target.url,
                target.secrets,
                delivery.event_id,
                delivery.body.encode(),
                target.headers | headers,
                started_at,
                target.hidden,
            )
            if attempt.status is not None:
                span.note(**{"http.response.status_code": attempt.status})
            if attempt.outcome is not Outcome.DELIVERED:
                span.fail(attempt.outcome)
        again_s = None
        if attempt.outcome is Outcome.RETRY:
            again_s = next_delay(self._policy.schedule, delivery.tries + 1, attempt.retry_after_s, self._random)
        return Tried(delivery, attempt, started_at, again_s)

    # What came of it.

    async def _write(self, tried: list[Tried]) -> bool:
        """Write attempts; False when the turn is over."""
        self._is_over = self._is_over or time.monotonic() >= self._ends
        is_last = not self._running and (self._is_over or (self._is_drained and not self._waiting))
        self._is_leaving = is_last
        rest_s = self._slot - time.monotonic() if is_last and self._target.interval_s else 0.0
        lane = await self._reports.add(self._report(tried, is_last, rest_s, stay=not self._is_over))
        if lane is None or lane.turn != self._turn or lane.run_at is None:
            return False
        self._lane = lane
        self._ours -= {each.delivery.id for each in tried}
        self._is_in_doubt = any(not _is_heard(each) for each in self._ended)
        if is_last:
            self._is_drained = self._is_leaving = False
        return True

    async def _leave(self, pause: float) -> None:
        await self._reports.add(self._report([], True, pause if math.isfinite(pause) else 0.0, stay=False))

    def _report(self, tried: list[Tried], is_last: bool, rest_s: float, *, stay: bool) -> Report:
        return Report(
            tenant_id=self._job.tenant_id,
            endpoint_id=self._endpoint_id,
            turn=self._turn,
            tried=tried,
            is_last=is_last,
            rest_s=rest_s,
            stay=stay,
        )


def _origin_of(delivery: DueDelivery) -> Origin:
    try:
        return Event.decode(delivery.envelope or "").origin
    except ValueError:  # a test, which is no event
        return Origin()


def _is_heard(tried: Tried) -> bool:
    return tried.attempt.outcome is Outcome.DELIVERED
