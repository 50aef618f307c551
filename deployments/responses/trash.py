"""The trash: thirty days in which a response can come back, and what becomes of it then."""

from collections.abc import Sequence

from db.models.responses import Response
from db.repositories.response_trash import ResponseTrashRepository
from db.repositories.responses import COMPLETE, ResponseRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.errors import FormFull
from eventing.events.responses import ResponseDeleted, ResponsePurged, ResponseRestored
from eventing.outbox import record


async def put(unit: UnitOfWork, principal: Principal, row: Response) -> None:
    """Put a locked response in the trash."""
    await ResponseRepository(unit.session, unit.tenant).delete(row, utc_now(), principal.subject)
    fact = ResponseDeleted(response_id=row.id, form_id=row.form_id)
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def restore(unit: UnitOfWork, principal: Principal, row: Response, limit: int | None) -> None:
    """Take a locked response out of the trash; it takes a place in the form's limit again. Raises FormFull."""
    held = int(row.status == COMPLETE)
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
