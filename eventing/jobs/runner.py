"""The runner: takes due jobs from the queues, runs them within their limits and ends their attempts durably."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Coroutine, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog

from db.errors import DatabaseUnavailable
from db.repositories.job_claims import ClaimedJob, claim
from db.repositories.job_queue import JobQueueRepository, look
from db.repositories.jobs import JobRepository
from db.repositories.tenants import TenantRepository
from db.session import Database
from db.sharing import Sharing
from db.types import utc_now
from eventing.caller import CALLER
from eventing.jobs.attempt import Attempt
from eventing.jobs.completions import Completions
from eventing.jobs.enqueue import opened
from eventing.jobs.kind import JobKind, JobRun
from eventing.jobs.outcomes import Done, GiveUp, JobCancelled, Retry
from eventing.jobs.recovery import recover_lost
from eventing.jobs.settlement import Settlement, give_back, settle
from eventing.jobs.tallies import Tallies
from eventing.leadership import instance_name
from eventing.loops import ended
from eventing.pace import Pace

_LEASE_S: Final = 30.0
_POLL_S: Final = 1.0
_STOP_S: Final = 20.0
_GIVE_BACK_S: Final = 5.0
_TENANT_SHARE: Final = 0.75
_CLAIM_PAUSE_S: Final = 0.005
_LOOK_S: Final = 1.0
_TELL_S: Final = 5.0

_log = structlog.get_logger(__name__)


class JobRunner:
    """Runs the jobs of some queues, so many of each at once. Any number of runners share the queues.

    A job is run by one worker while its lease holds, and again by another when the worker dies: at least once.
    Tenants take turns, and one tenant gets at most three quarters of a queue's places in a runner.
    """

    def __init__(
        self,
        database: Database,
        queues: Mapping[str, int],
        kinds: Iterable[JobKind],
        name: str = "jobs",
        *,
        lease_s: float = _LEASE_S,
        poll_s: float = _POLL_S,
    ) -> None:
        """`queues` maps each queue to its places; of `kinds` only those whose queue is served are run here."""
        self._database = database
        self._kinds = {kind.name: kind for kind in kinds if kind.queue in queues}
        self._worker = instance_name(name)
        self._lease_s = lease_s
        self._completions = Completions(database)
        self._lanes = {queue: _Lane(queue, places, poll_s) for queue, places in queues.items()}
        self._beat = Pace(lease_s / 3)
        self._tallies = Tallies(database)
        self._telling = Pace(_TELL_S)
        self._serving: set[asyncio.Task[None]] = set()
        self._loops: set[asyncio.Task[None]] = set()
        self.counters = dict.fromkeys(("succeeded", "failed", "retried", "cancelled", "recovered"), 0)

    @property
    def running(self) -> int:
        """How many jobs run here now."""
        return sum(len(lane.attempts) for lane in self._lanes.values())

    def nudge(self, queue: str) -> None:
        """There may be a new job in the queue."""
        if queue in self._lanes:
            self._lanes[queue].pace.wake()

    async def run(self) -> None:
        """Run jobs until `stop`. Keeps trying, with back-off, while the database is away."""
        self._serving = {asyncio.create_task(self._serve(lane)) for lane in self._lanes.values()}
        self._loops = {*self._serving, asyncio.create_task(self._renew_leases()), asyncio.create_task(self._tell())}
        await ended(self._loops)

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """Take no more jobs, let the running ones end within `timeout_s`, give the rest back to the queue."""
        for lane in self._lanes.values():
            lane.pace.stop()
        await _ended(self._serving, _GIVE_BACK_S)
        await _ended(self._executions(), timeout_s)
        for lane in self._lanes.values():
            for attempt in lane.attempts.values():
                attempt.abandon()
        await _ended(self._executions(), _GIVE_BACK_S)
        self._beat.stop()
        self._telling.stop()
        await _ended(self._loops, _GIVE_BACK_S)
        late = [task for task in (*self._executions(), *self._loops) if not task.done()]
        for task in late:
            task.cancel()
        await _ended(late, _GIVE_BACK_S)

    def _executions(self) -> set[asyncio.Task[None]]:
        return {task for lane in self._lanes.values() for task in lane.tasks}

    # Taking jobs.

    async def _serve(self, lane: "_Lane") -> None:
        while not lane.pace.is_stopped:
            try:
                taken = await self._fill(lane)
            except Exception as error:  # noqa: BLE001 - a runner that ends is worse than one that tries again
                _log.warning("runner cannot take jobs", queue=lane.queue, error=str(error) or type(error).__name__)
                await lane.pace.back_off()
                continue
            if not taken:
                await lane.pace.rest()
            # Jobs that end meanwhile free their places together: one claim for many instead of one for each.
            await asyncio.sleep(_CLAIM_PAUSE_S)

    async def _fill(self, lane: "_Lane") -> bool:
        """Take jobs for the free places; whether there may be more to take at once."""
        free = lane.places - len(lane.tasks)
        if free <= 0:
            return False
        # Where there was work a moment ago the claim itself finds out; the question only spares an idle queue writing.
        if not lane.is_busy or lane.looked_at + _LOOK_S < time.monotonic():
            lane.looked_at = time.monotonic()
            expired, lane.is_busy = await self._database.view(partial(look, queue=lane.queue, now=utc_now()))
            if expired:
                self.counters["recovered"] += await recover_lost(self._database, lane.queue, self._kinds)
                lane.is_busy = True
        if not lane.is_busy:
            return False
        now = utc_now()
        per_tenant = max(1, int(lane.places * _TENANT_SHARE))
        jobs = await self._database.transact(
            partial(
                claim,
                queue=lane.queue,
                places=self._places(lane),
                worker=self._worker,
                now=now,
                until=now + timedelta(seconds=self._lease_s),
                limit=free,
                per_tenant=per_tenant,
                # What begins together ends together: who comes meanwhile waits for both to be written.
                at_once=lane.sharing.share(per_tenant),
            )
        )
        lane.is_busy = bool(jobs)
        for job in jobs:
            lane.start(job, self._execute(lane, job))
        lane.sharing.see(len({tenant_id for tenant_id, _ in lane.attempts} | {job.tenant_id for job in jobs}))
        return 0 < len(jobs) < free

    def _places(self, lane: "_Lane") -> dict[str, int]:
        """How many more jobs of each kind the lane may take."""
        running = Counter(lane.tasks.values())
        free = {
            name: (lane.places if kind.places is None else kind.places) - running[name]
            for name, kind in self._kinds.items()
        }
        return {name: places for name, places in free.items() if places > 0}

    # Running one.

    async def _execute(self, lane: "_Lane", job: ClaimedJob) -> None:
        kind = self._kinds[job.kind]
        payload, origin = opened(job.payload)
        CALLER.set(origin)  # of this task, which is the job's own
        run = JobRun(
            tenant_id=job.tenant_id,
            id=job.id,
            payload=payload,
            origin=origin,
            attempt=job.attempt,
            created_by=job.created_by,
            soft_limit_s=kind.soft_limit_s,
            max_attempts=kind.max_attempts,
            report=lambda done, total: self._report(job, done, total),
        )
        attempt = lane.attempts[job.tenant_id, job.id] = Attempt(kind, run)
        try:
            outcome = JobCancelled("the job was cancelled") if job.cancel_requested else await attempt.outcome()
            if attempt.is_lost:
                _log.warning("job lost its lease", kind=job.kind, tenant=job.tenant_id, job=job.id)
            elif attempt.is_abandoned:
                await self._end(give_back(job, self._worker, run, utc_now()))
            else:
                await self._complete(job, kind, run, outcome)
        finally:
            del lane.attempts[job.tenant_id, job.id]

    async def _complete(self, job: ClaimedJob, kind: JobKind, run: JobRun, outcome: Done | Exception) -> None:
        log = _log.bind(kind=job.kind, tenant=job.tenant_id, job=job.id, attempt=job.attempt)
        if not isinstance(outcome, Done | Retry | GiveUp | JobCancelled):
            log.error("job raised", exc_info=outcome)
        settlement = settle(job, kind, self._worker, run, outcome, utc_now())
        try:
            await self._end(settlement)
        except Exception as error:
            log.exception("outcome of a job cannot be stored")
            settlement = settle(job, kind, self._worker, run, error, utc_now())
            await self._end(settlement)
        state = "retried" if settlement.end.state == "queued" else settlement.end.state
        self.counters[state] += 1
        self._tallies.count(job.kind, state, due=job.run_at, started=job.started_at, ended=utc_now())
        if settlement.end.error is not None:
            log.info("job attempt ended", state=state, error=settlement.end.error)

    async def _end(self, settlement: Settlement) -> None:
        """Write the end; as long as the database is away, try again."""
        pace = Pace(_POLL_S)
        while True:
            try:
                return await self._completions.add(settlement)
            except DatabaseUnavailable as error:
                _log.warning("end of a job waits", job=settlement.end.id, error=str(error))
                await pace.back_off()

    async def _report(self, job: ClaimedJob, done: int, total: int | None) -> bool:
        try:
            async with self._database.write(job.tenant_id) as unit:
                jobs = JobRepository(unit.session, job.tenant_id)
                cancelled = await jobs.report(job.id, self._worker, job.attempt, done, total)
                tenant = await TenantRepository(unit.session, job.tenant_id).get()
        except DatabaseUnavailable as error:
            _log.info("progress not stored", job=job.id, error=str(error))
            return False
        if cancelled is False and tenant is not None and tenant.status != "active":
            await self._hold(job)
        return cancelled is None or cancelled

    async def _hold(self, job: ClaimedJob) -> None:
        """End a job of a tenant that was suspended or deleted meanwhile: it waits in its queue until that is over."""
        for lane in self._lanes.values():
            if (attempt := lane.attempts.get((job.tenant_id, job.id))) is not None:
                attempt.abandon()
        await asyncio.sleep(0)  # where the code of the job, which asks us this, is cancelled

    async def _tell(self) -> None:
        """Add what was counted to what all workers have counted, now and then and at the end."""
        is_last = False
        while not is_last:
            await self._telling.rest()
            is_last = self._telling.is_stopped
            try:
                await self._tallies.tell()
            except Exception as error:  # noqa: BLE001 - it is counted the next time
                _log.info("tallies of jobs not stored", error=str(error) or type(error).__name__)

    # Keeping them.

    async def _renew_leases(self) -> None:
        while not self._beat.is_stopped:
            await self._beat.rest()
            held = {key: attempt for lane in self._lanes.values() for key, attempt in lane.attempts.items()}
            if not held:
                continue
            try:
                async with self._completions.turn, self._database.unscoped_write() as unit:
                    until = utc_now() + timedelta(seconds=self._lease_s)
                    ours = await JobQueueRepository(unit.session).renew(list(self._lanes), self._worker, until)
            except Exception as error:  # noqa: BLE001 - the lease runs out at worst, and the fence holds
                _log.warning("leases not renewed", error=str(error) or type(error).__name__)
                continue
            for key, attempt in held.items():
                if key not in ours:
                    attempt.lose()
                elif ours[key]:
                    attempt.run.is_cancelled = True


class _Lane:
    """A queue's places in this runner and who has them: `tasks` by the kind of their job."""

    def __init__(self, queue: str, places: int, poll_s: float) -> None:
        self.queue = queue
        self.places = places
        self.pace = Pace(poll_s)
        self.is_busy = False
        self.looked_at = float("-inf")
        self.sharing = Sharing()
        self.tasks: dict[asyncio.Task[None], str] = {}
        self.attempts: dict[tuple[str, str], Attempt] = {}

    def start(self, job: ClaimedJob, execution: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(execution, name=f"{job.kind} {job.id}")
        self.tasks[task] = job.kind
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self.tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a job could not be ended", task=task.get_name(), exc_info=error)
        self.pace.wake()


async def _ended(tasks: Collection[asyncio.Task[None]], timeout_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)
