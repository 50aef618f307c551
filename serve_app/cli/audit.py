"""Verifying a tenant's audit trail from outside the API."""

from rich.console import Console

from db.settings import DatabaseSettings
from deployments.audit.deployment import Audit
from deployments.kit.principal import Principal
from serve_app.cli.failure import CommandFailed
from serve_app.cli.work import on_database


def verify(settings: DatabaseSettings, tenant_id: str, expected: str | None, console: Console) -> None:
    """Print what was found. Raises CommandFailed when the chain is broken, or does not hold the expected entry."""
    principal = Principal.system(tenant_id, "audit")
    found = on_database(settings, lambda database: Audit(database).verify(principal))
    if not found.valid:
        raise CommandFailed(f"The audit trail of {tenant_id} is broken at entry {found.first_broken}.")
    shown = f"{found.head.sequence}:{found.head.hash}"
    if expected is not None and not _holds(settings, principal, expected):
        raise CommandFailed(f"The audit trail of {tenant_id} does not hold {expected}: it was replaced. Head: {shown}.")
    console.print(f"The audit trail of {tenant_id} is whole: {found.entries} entries.", highlight=False)
    console.print(f"Head: {shown}", highlight=False, soft_wrap=True)


def _holds(settings: DatabaseSettings, principal: Principal, expected: str) -> bool:
    sequence, _, digest = expected.partition(":")
    if not sequence.isdigit():
        raise CommandFailed("An expected entry is written SEQUENCE:HASH.")
    return on_database(settings, lambda database: Audit(database).holds(principal, int(sequence), digest))
