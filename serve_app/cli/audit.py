"""Verifying a tenant's audit trail from outside the API."""

import asyncio

from rich.console import Console

from db.session import Database
from db.settings import DatabaseSettings
from deployments.audit.contracts import Verification
from deployments.audit.deployment import Audit
from deployments.kit.principal import Principal
from serve_app.cli.failure import CommandFailed


def verify(settings: DatabaseSettings, tenant_id: str, expected: str | None, console: Console) -> None:
    """Print what was found. Raises CommandFailed when the chain is broken, or does not hold the expected entry."""
    found = asyncio.run(_verification(settings, tenant_id))
    if not found.valid:
        raise CommandFailed(f"The audit trail of {tenant_id} is broken at entry {found.first_broken}.")
    shown = f"{found.head.sequence}:{found.head.hash}"
    if expected is not None and not asyncio.run(_holds(settings, tenant_id, expected)):
        raise CommandFailed(f"The audit trail of {tenant_id} does not hold {expected}: it was replaced. Head: {shown}.")
    console.print(f"The audit trail of {tenant_id} is whole: {found.entries} entries.", highlight=False)
    console.print(f"Head: {shown}", highlight=False, soft_wrap=True)


async def _verification(settings: DatabaseSettings, tenant_id: str) -> Verification:
    database = Database(settings)
    try:
        return await Audit(database).verify(Principal.system(tenant_id, "audit"))
    finally:
        await database.close()


async def _holds(settings: DatabaseSettings, tenant_id: str, expected: str) -> bool:
    sequence, _, digest = expected.partition(":")
    if not sequence.isdigit():
        raise CommandFailed("An expected entry is written SEQUENCE:HASH.")
    database = Database(settings)
    try:
        return await Audit(database).holds(Principal.system(tenant_id, "audit"), int(sequence), digest)
    finally:
        await database.close()
