"""What an import has left in the database."""

from typing import Any

from db.models.responses import Response
from db.session import Database
from tests.eventing.harness import rows


async def found(database: Database, table: type[Any], tenant: str = "acme") -> list[Any]:
    """The rows of a table of one tenant, in the order of their ids."""
    return [row for row in await rows(database, table) if row.tenant_id == tenant]


async def answered(database: Database, tenant: str = "acme") -> dict[str, Response]:
    """The responses by what they were called in the dump."""
    return {row.meta["legacy"]["id"]: row for row in await found(database, Response, tenant)}
