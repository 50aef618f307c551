"""The rules of grants: who may use a single form."""

from typing import Final

from db.models.grants import FormGrant as GrantRow
from db.repositories.forms import FormRepository
from db.repositories.grants import FormGrantRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.errors import FormNotFound, GrantNotFound, TooManyGrants, UserNotFound
from deployments.identity.invitation_contracts import FormGrant, PutFormGrant
from deployments.identity.service.paging import SORT
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from eventing.events.identity import FormGranted, FormGrantRevoked
from eventing.outbox import record

MAX_GRANTS: Final = 500
"""Most forms that are granted to one person: the grants travel with each of their calls."""

_SHARE: Final = "forms:share"


async def list_all(
    unit: UnitOfWork, principal: Principal, form_id: str, cursor: str | None, limit: int
) -> Page[FormGrant]:
    """Who may use the form beside those whose role lets them. Raises FormNotFound."""
    principal.require(_SHARE)
    await _require_form(unit, form_id)
    after = None if cursor is None else str(decode_cursor(cursor, SORT, 1)[0])
    rows = await FormGrantRepository(unit.session, unit.tenant).page(form_id, after, limit + 1)
    more = encode_cursor(SORT, [rows[limit - 1].user_id]) if len(rows) > limit else None
    return Page[FormGrant](data=[_to_grant(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=more))


async def put(unit: UnitOfWork, principal: Principal, form_id: str, user_id: str, command: PutFormGrant) -> FormGrant:
    """Let a person use the form. Raises FormNotFound, UserNotFound, TooManyGrants."""
    principal.require(_SHARE)
    await _require_form(unit, form_id)
    return await give(unit, principal.subject, principal, form_id, user_id, command)


async def give(
    unit: UnitOfWork, granted_by: str, actor: Principal, form_id: str, user_id: str, command: PutFormGrant
) -> FormGrant:
    """The grant that `actor` causes and `granted_by` answers for. Raises UserNotFound, TooManyGrants."""
    # The lock makes the count below exact.
    if await UserRepository(unit.session, unit.tenant).get_locked(user_id) is None:
        raise UserNotFound
    repository = FormGrantRepository(unit.session, unit.tenant)
    known = await repository.find(form_id, user_id)
    if known is not None and known.role == command.role:
        return _to_grant(known)
    if known is None and await repository.count_of_user(user_id) >= MAX_GRANTS:
        raise TooManyGrants(f"a person can be granted {MAX_GRANTS} forms")
    row = GrantRow(
        tenant_id=unit.tenant,
        form_id=form_id,
        user_id=user_id,
        role=command.role,
        granted_by=granted_by,
        created_at=utc_now(),
    )
    await repository.put(row)
    fact = FormGranted(form_id=form_id, user_id=user_id, role=command.role)
    record(unit, fact, actor=actor.subject, origin=actor.origin)
    return _to_grant(row)


async def remove(unit: UnitOfWork, principal: Principal, form_id: str, user_id: str) -> None:
    """Take a grant back. Raises FormNotFound, GrantNotFound."""
    principal.require(_SHARE)
    await _require_form(unit, form_id)
    if not await FormGrantRepository(unit.session, unit.tenant).remove(form_id, user_id):
        raise GrantNotFound
    fact = FormGrantRevoked(form_id=form_id, user_id=user_id)
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def _require_form(unit: UnitOfWork, form_id: str) -> None:
    if await FormRepository(unit.session, unit.tenant).find(form_id) is None:
        raise FormNotFound


def _to_grant(row: GrantRow) -> FormGrant:
    return FormGrant.model_validate(row.model_dump(exclude={"tenant_id"}))
