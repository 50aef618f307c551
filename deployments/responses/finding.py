"""The response that a call is about, for those who may have it."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from sqlalchemy.engine import Row

from db.models.responses import Response
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.response_rows import ResponseRowRepository
from db.repositories.response_trash import ResponseTrashRepository
from db.repositories.responses import ResponseRepository
from db.session import UnitOfWork
from deployments.kit.principal import Principal
from deployments.responses.errors import FormNotFound, ResponseNotFound

READ: Final = "responses:read"
WRITE: Final = "responses:write"

Found = TypeVar("Found", Response, Row[Any])


async def find(
    unit: UnitOfWork, principal: Principal, scope: str, response_id: str, *, for_update: bool = False
) -> Response:
    """The response outside of the trash. Raises ResponseNotFound."""
    row = await ResponseRepository(unit.session, unit.tenant).find(response_id, for_update=for_update)
    return _of(principal, scope, row)


async def find_row(
    unit: UnitOfWork, principal: Principal, scope: str, response_id: str, columns: Sequence[str]
) -> Row[Any]:
    """The named columns of the response outside of the trash. Raises ResponseNotFound."""
    row = await ResponseRowRepository(unit.connection, unit.tenant).find(response_id, columns)
    return _of(principal, scope, row)


async def find_trashed(
    unit: UnitOfWork, principal: Principal, response_id: str, *, for_update: bool = False
) -> Response:
    """The response in the trash. Raises ResponseNotFound."""
    row = await ResponseTrashRepository(unit.session, unit.tenant).find(response_id, for_update=for_update)
    return _of(principal, WRITE, row)


async def require_form(unit: UnitOfWork, principal: Principal, scope: str, form_id: str) -> None:
    """Raise Forbidden or FormNotFound unless the principal has this permission for a form that is there."""
    principal.require(scope, form_id)
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound


def _of(principal: Principal, scope: str, row: Found | None) -> Found:
    # A grant is for a form: whether the response is one of it shows only now.
    if row is None or not principal.may(scope, row.form_id):
        raise ResponseNotFound
    return row
