"""Taking responses for spam by hand or by their score, and releasing those that were not."""

from db.models.responses import Response
from db.repositories.event_log import RecordedEvents
from db.repositories.responses import COMPLETE, QUARANTINED, ResponseRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.errors import FormFull, NotReleasable, Unquarantinable
from deployments.responses.readmission import Readmission
from deployments.responses.suspicion import AI, BY_HAND, Suspicion
from deployments.responses.trash import forget_verdicts
from eventing.events.responses import ResponseQuarantined, ResponseReleased, ResponseSubmitted
from eventing.outbox import record


async def put(unit: UnitOfWork, principal: Principal, row: Response) -> None:
    """Take a locked response for spam: it frees its place. Again is no error. Raises Unquarantinable."""
    if row.status == QUARANTINED:
        return
    if row.status != COMPLETE:
        raise Unquarantinable
    await _put(unit, principal, row, Suspicion((BY_HAND,)))


async def put_for_score(unit: UnitOfWork, principal: Principal, row: Response, score: float) -> bool:
    """Take a locked response for spam because of the score that a model gave it; whether it was done.

    What is suspected already stays as it is, and so does what a person has released: people have the last word.
    """
    told = RecordedEvents(unit.session, unit.tenant)
    if row.status != COMPLETE or await told.has_happened(ResponseReleased.type, row.id):
        return False
    await _put(unit, principal, row, Suspicion((AI,), score))
    return True


async def _put(unit: UnitOfWork, principal: Principal, row: Response, suspicion: Suspicion) -> None:
    row.status, row.suspicion, row.updated_at = QUARANTINED, suspicion.column(), utc_now()
    row.change = await ResponseRepository(unit.session, unit.tenant).next_change(row.form_id, more=-1)
    await forget_verdicts(unit, [row])
    fact = ResponseQuarantined(
        response_id=row.id, form_id=row.form_id, reasons=list(suspicion.signs), score=suspicion.score
    )
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def release(
    unit: UnitOfWork, principal: Principal, row: Response, limit: int | None, readmission: Readmission
) -> None:
    """Let a locked suspect be a response like others: it takes its place, and what follows a submission follows, once.

    Raises NotReleasable, FormFull, QuotaReached, InvalidAnswers, AlreadyAnswered.
    """
    if row.status != QUARANTINED:
        raise NotReleasable
    await readmission.require(unit, row, row.answers, None)
    counted = await ResponseRepository(unit.session, unit.tenant).next_changes(row.form_id, 1, more=1)
    if limit is not None and counted.responses > limit:
        raise FormFull
    announced = Suspicion.read(row.suspicion).was_announced
    row.status, row.suspicion, row.change, row.updated_at = COMPLETE, None, counted.last, utc_now()
    released = ResponseReleased(response_id=row.id, form_id=row.form_id)
    record(unit, released, actor=principal.subject, origin=principal.origin)
    if not announced:
        submitted = ResponseSubmitted(
            response_id=row.id, form_id=row.form_id, form_version=row.version, status=COMPLETE, answers=row.answers
        )
        record(unit, submitted, actor=row.submitted_by, origin=principal.origin)
