"""The rules of queues: what is in them, and holding them."""

from collections.abc import Sequence

from db.models.jobs import JobPause
from db.repositories.job_claims import QueueDepth
from db.repositories.job_pauses import JobPauseRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.jobs.contracts import Pause, PauseOrder, QueueState, ResumeOrder
from deployments.jobs.errors import NotPaused
from deployments.kit.audit import audit
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.jobs import jobs_topic

READ, HOLD = "jobs:read", "tenant:write"


async def pause(unit: UnitOfWork, principal: Principal, order: PauseOrder) -> None:
    """Start nothing of it any more. Asking again is harmless. Raises Forbidden."""
    principal.require(HOLD)
    pauses, kind = JobPauseRepository(unit.session, unit.tenant), order.kind or ""
    if await pauses.add(order.queue, kind, reason=order.reason, by=principal.subject, at=utc_now()):
        audit(unit, principal, "queue.paused", order.queue, kind=order.kind, reason=order.reason)


async def resume(unit: UnitOfWork, principal: Principal, order: ResumeOrder) -> None:
    """Go on with what was paused. Raises NotPaused, Forbidden."""
    principal.require(HOLD)
    if not await JobPauseRepository(unit.session, unit.tenant).remove(order.queue, order.kind or ""):
        raise NotPaused
    audit(unit, principal, "queue.resumed", order.queue, kind=order.kind)
    unit.announce(jobs_topic(order.queue))


async def all_pauses(unit: UnitOfWork, tenant_id: str) -> list[JobPause]:
    """The tenant's own and those of the platform; `unit` is unscoped."""
    own = await JobPauseRepository(unit.session, tenant_id).all()
    if tenant_id == PLATFORM_TENANT:
        return list(own)
    return [*own, *await JobPauseRepository(unit.session, PLATFORM_TENANT).all()]


def to_state(queue: str, depth: QueueDepth, pauses: Sequence[JobPause]) -> QueueState:
    """The queue, as its tenant sees it."""
    return QueueState(
        name=queue,
        waiting=depth.waiting,
        running=depth.running,
        oldest_due_at=depth.oldest,
        pauses=[_to_pause(each) for each in pauses if each.queue == queue],
    )


def _to_pause(row: JobPause) -> Pause:
    by_platform = row.tenant_id == PLATFORM_TENANT
    return Pause(
        kind=row.kind or None,
        reason=row.reason,
        by_platform=by_platform,
        paused_by=None if by_platform else row.paused_by,
        paused_at=row.paused_at,
    )
