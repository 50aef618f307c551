"""Rows for every table there is, made from the models: a new table is populated from the day it exists."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, Table, insert

from db.models import SQLModel
from db.models.identity import Tenant
from db.repositories.tenant_data import TENANT, TenantDataRepository, tables_of_tenants
from db.session import Database
from db.types import UTCDateTime, utc_now
from deployments.tenancy.exporting import line_of
from deployments.tenancy.inventory import exported_columns
from eventing.jobs import JobRun

ROWS = 7
LONG_AGO = datetime.fromisoformat("2026-01-02T03:04:05.678901+00:00")


async def populate(database: Database, tenant_id: str, *, deleted: bool = False) -> None:
    """A tenant with rows in every table; `deleted`, when it is, so long ago that it is to be erased."""
    now = utc_now()
    async with database.unscoped_write() as unit:
        tenant = Tenant(id=tenant_id, name=tenant_id.title(), settings={"locale": "de"}, created_at=now, updated_at=now)
        if deleted:
            tenant.status, tenant.deleted_at, tenant.erase_after = "deleted", LONG_AGO, LONG_AGO
        unit.session.add(tenant)
    async with database.unscoped_write() as unit:
        connection = await unit.session.connection()
        for table in map(SQLModel.metadata.tables.__getitem__, tables_of_tenants()):
            if table.name != TENANT:
                alone = len(table.primary_key.columns) == 1
                numbers = [ROWS - 1] if alone else range(ROWS)
                await connection.execute(insert(table), [_row(table, tenant_id, number) for number in numbers])


async def contents(database: Database, tenant_id: str) -> dict[str, bytes]:
    """Everything a tenant has, table by table, as an export would show it."""
    found = {}
    for name, columns in tables_of_tenants().items():
        async with database.read(tenant_id) as unit:
            rows, _ = await TenantDataRepository(unit.session, tenant_id).page(
                name, exported_columns(name, columns), None, 10_000
            )
        found[name] = b"".join(line_of(row) for row in rows)
    return found


async def counts(database: Database, tenant_id: str) -> dict[str, int]:
    """How many rows of a tenant each table holds."""
    found = {}
    async with database.unscoped_read() as unit:
        for name in tables_of_tenants():
            found[name] = await TenantDataRepository(unit.session, tenant_id).count(name)
    return found


def attempt(tenant_id: str, payload: dict[str, Any]) -> JobRun:
    """One attempt at a job, as a runner would begin it."""

    async def report(_done: int, _total: int | None) -> bool:
        return False

    return JobRun(
        tenant_id=tenant_id,
        id="job_1",
        payload=payload,
        attempt=1,
        created_by="usr_1",
        soft_limit_s=600.0,
        report=report,
    )


def _row(table: Table, tenant_id: str, number: int) -> dict[str, Any]:
    return {column.name: _value(column, tenant_id, number) for column in table.columns}


def _value(column: Column[Any], tenant_id: str, number: int) -> Any:
    if column.name == "tenant_id":
        return tenant_id
    for reference in column.foreign_keys:
        return _value(reference.column, tenant_id, number)
    if isinstance(column.type, UTCDateTime):
        return LONG_AGO
    if isinstance(column.type, JSON):
        return {"of": f"{tenant_id} {number}", "sealed": "sealed by the platform"}
    if isinstance(column.type, LargeBinary):
        return f"{tenant_id} {number}".encode()
    if isinstance(column.type, Integer | Boolean | Float):
        return column.type.python_type(number + 1)
    return f"{column.table.name}-{column.name}-{tenant_id}-{number}"
