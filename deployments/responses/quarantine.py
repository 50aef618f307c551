"""Taking responses for spam by hand, and releasing those that were not."""

from db.models.responses import Response
from db.repositories.responses import COMPLETE, QUARANTINED, ResponseRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.errors import FormFull, NotReleasable, Unquarantinable
from eventing.events.responses import ResponseQuarantined, ResponseReleased, ResponseSubmitted
from eventing.outbox import record

_BY_HAND = "by_hand"


async def put(unit: UnitOfWork, principal: Principal, row: Response) -> None:
    """Take a locked response for spam: it frees its place. Again is no error. Raises Unquarantinable."""
    if row.status == QUARANTINED:
        return
    if row.status != COMPLETE:
        raise Unquarantinable
    row.status, row.suspicion, row.updated_at = QUARANTINED, _BY_HAND, utc_now()
    row.change = await ResponseRepository(unit.session, unit.tenant).next_change(row.form_id, more=-1)
    fact = ResponseQuarantined(response_id=row.id, form_id=row.form_id, reasons=[_BY_HAND])
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def release(unit: UnitOfWork, principal: Principal, row: Response, limit: int | None) -> None:
    """Let a locked suspect be a response like others: it takes its place, and what follows a submission follows, once.

    Raises NotReleasable, FormFull.
    """
    if row.status != QUARANTINED:
        raise NotReleasable
    counted = await ResponseRepository(unit.session, unit.tenant).next_changes(row.form_id, 1, more=1)
    if limit is not None and counted.responses > limit:
        raise FormFull
    # Whoever took it for spam by hand saw it as a response that had been announced before.
    announced = row.suspicion == _BY_HAND
    row.status, row.suspicion, row.change, row.updated_at = COMPLETE, None, counted.last, utc_now()
    released = ResponseReleased(response_id=row.id, form_id=row.form_id)
    record(unit, released, actor=principal.subject, origin=principal.origin)
    if not announced:
        submitted = ResponseSubmitted(
            response_id=row.id, form_id=row.form_id, form_version=row.version, status=COMPLETE, answers=row.answers
        )
        record(unit, submitted, actor=row.submitted_by, origin=principal.origin)
