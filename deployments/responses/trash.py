"""The trash: thirty days in which a response can come back, and what becomes of it then."""

from collections.abc import Sequence

from db.models.responses import Response
from db.repositories.response_trash import ResponseTrashRepository
from db.repositories.responses import COMPLETE, ResponseRepository
from db.repositories.verdicts import VerdictRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.errors import FormFull
from deployments.responses.readmission import Readmission
from eventing.events.responses import ResponseDeleted, ResponsePurged, ResponseRestored
from eventing.outbox import record


async def put(unit: UnitOfWork, principal: Principal, row: Response) -> None:
    """Put a locked response in the trash."""
    await ResponseRepository(unit.session, unit.tenant).delete(row, utc_now(), principal.subject)
    await forget_verdicts(unit, [row])
    fact = ResponseDeleted(response_id=row.id, form_id=row.form_id)
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def forget_verdicts(unit: UnitOfWork, rows: Sequence[Response]) -> None:
    """What models said of locked responses goes when nobody is to find them any more; it is made again if they come
    back."""
    for row in rows:
        row.inference = None
    await VerdictRepository(unit.session, unit.tenant).forget([row.id for row in rows])


async def restore(
    unit: UnitOfWork, principal: Principal, row: Response, limit: int | None, readmission: Readmission
) -> None:
    """Take a locked response out of the trash; it takes its places in the form's limit and quotas again.

    Raises FormFull, QuotaReached, InvalidAnswers, AlreadyAnswered.
    """
    held = int(row.status == COMPLETE)
    if held:
        await readmission.require(unit, row, row.answers, None)
    counted = await ResponseRepository(unit.session, unit.tenant).next_changes(row.form_id, 1, more=held)
    if held and limit is not None and counted.responses > limit:
        raise FormFull
    row.change = counted.last
    brought_back(row)
    fact = ResponseRestored(response_id=row.id, form_id=row.form_id)
    record(unit, fact, actor=principal.subject, origin=principal.origin)


def brought_back(row: Response) -> None:
    """The row as it is outside of the trash."""
    row.deleted_at, row.deleted_by, row.updated_at = None, None, utc_now()


async def purge(unit: UnitOfWork, principal: Principal, rows: Sequence[Response]) -> None:
    """Remove locked responses of one form for good, with all that belongs to them."""
    facts = [ResponsePurged(response_id=row.id, form_id=row.form_id) for row in rows]
    await ResponseTrashRepository(unit.session, unit.tenant).purge(rows, utc_now())
    for fact in facts:
        record(unit, fact, actor=principal.subject, origin=principal.origin)
