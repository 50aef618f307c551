"""The rules of saved queries: who sees which, and what each is called."""

from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from db.models import analytics as tables
from db.repositories.saved_queries import SavedQueryRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.analytics.queries.asking import READ
from deployments.analytics.queries.errors import QueryNameTaken, QueryNotFound, TooManyQueries
from deployments.analytics.query_contracts import ChangeQuery, SavedQuery, SaveQuery
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Fault, Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal

WRITE: Final = "analytics:write"
MAX_QUERIES: Final = 1_000
"""Most queries that a tenant keeps."""

_SORT: Final = "saved_queries"


async def create(unit: UnitOfWork, principal: Principal, command: SaveQuery) -> SavedQuery:
    """Keep one. Raises QueryNameTaken, TooManyQueries."""
    # The tenant's row is locked, so that nobody else adds one beside the last.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    if await _of(unit).count() >= MAX_QUERIES:
        raise TooManyQueries(f"a tenant can keep {MAX_QUERIES} queries")
    now = utc_now()
    row = tables.SavedQuery(
        tenant_id=unit.tenant,
        id=new_id("qry"),
        form_id=command.query.form_id,
        name=command.name,
        description=command.description,
        query=command.query.model_dump(mode="json", exclude_defaults=True),
        owner=principal.subject,
        created_at=now,
        updated_at=now,
    )
    _of(unit).add(row)
    await _require_free_name(unit)
    audit(unit, principal, "query.saved", row.id, name=row.name, form_id=row.form_id)
    return to_saved(row)


async def page(
    unit: UnitOfWork, principal: Principal, form_id: str | None, cursor: str | None, limit: int
) -> Page[SavedQuery]:
    """Those that the caller may ask, oldest first. Raises Forbidden when that can be none."""
    among = None
    if not principal.may(READ):
        among = principal.forms_granted(READ)
        if not among:
            principal.require(READ)
    after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
    rows = await _of(unit).page(form_id, among, after, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [to_saved(row) for row in rows[:limit]]
    return Page[SavedQuery](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, principal: Principal, query_id: str) -> SavedQuery:
    """The one with this id. Raises QueryNotFound, also for who may not see figures of its form."""
    return to_saved(await _readable(unit, principal, query_id))


async def change(unit: UnitOfWork, principal: Principal, query_id: str, command: ChangeQuery) -> SavedQuery:
    """The query with what is given. Raises QueryNotFound, QueryNameTaken, Invalid, Forbidden."""
    row = await _writable(unit, principal, query_id)
    given = {name: getattr(command, name) for name in command.model_fields_set}
    faults = [
        Fault(f"/{name}", "required", f"A query has its {name}.") for name, value in given.items() if value is None
    ]
    if faults:
        raise Invalid(faults=tuple(faults))
    if command.query is not None:
        row.query = command.query.model_dump(mode="json", exclude_defaults=True)
        row.form_id = command.query.form_id
    row.name = command.name or row.name
    row.description = given.get("description", row.description)
    row.updated_at = utc_now()
    await _require_free_name(unit)
    audit(unit, principal, "query.changed", row.id, name=row.name, changed=sorted(given))
    return to_saved(row)


async def delete(unit: UnitOfWork, principal: Principal, query_id: str) -> None:
    """Forget one. Raises QueryNotFound, Forbidden."""
    row = await _writable(unit, principal, query_id)
    await _of(unit).remove(query_id)
    audit(unit, principal, "query.deleted", query_id, name=row.name)


def to_saved(row: tables.SavedQuery) -> SavedQuery:
    values: dict[str, Any] = row.model_dump(exclude={"tenant_id"})
    return SavedQuery.model_validate(values)


async def _readable(
    unit: UnitOfWork, principal: Principal, query_id: str, *, for_update: bool = False
) -> tables.SavedQuery:
    row = await _of(unit).find(query_id, for_update=for_update)
    if row is None or not principal.may(READ, row.form_id):
        raise QueryNotFound
    return row


async def _writable(unit: UnitOfWork, principal: Principal, query_id: str) -> tables.SavedQuery:
    row = await _readable(unit, principal, query_id, for_update=True)
    principal.require(WRITE, row.form_id)
    return row


async def _require_free_name(unit: UnitOfWork) -> None:
    try:
        async with unit.session.begin_nested():
            await unit.session.flush()
    except IntegrityError as error:
        raise QueryNameTaken from error


def _of(unit: UnitOfWork) -> SavedQueryRepository:
    return SavedQueryRepository(unit.session, unit.tenant)
