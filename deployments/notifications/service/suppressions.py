"""Addresses that get no more mail of a tenant, except what is about their account."""

from collections.abc import Sequence

from db.models.notifications import MailSuppression
from db.repositories.mail_suppressions import MailSuppressionRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.audit import audit
from deployments.kit.principal import Principal
from deployments.notifications.contracts import SuppressAddress, SuppressionReason
from deployments.notifications.errors import SuppressionNotFound
from deployments.notifications.message import mailbox


def address_of(email: str) -> str:
    """How an address is kept and compared: one person's, however it is spelled."""
    return mailbox(email, "/email").addr_spec.lower()


async def suppress(unit: UnitOfWork, principal: Principal, command: SuppressAddress) -> MailSuppression:
    """The suppression, or the one that there was. Raises Invalid for an address that is none."""
    address = address_of(command.email)
    row, added = await add(unit, address, "manual", command.detail, principal.subject)
    if added:
        audit(unit, principal, "suppression.created", row.id)
    return row


async def add(
    unit: UnitOfWork, address: str, reason: SuppressionReason, detail: str, by: str
) -> tuple[MailSuppression, bool]:
    """The suppression of an address, and whether it is new."""
    row = MailSuppression(
        tenant_id=unit.tenant,
        id=new_id("sup"),
        address=address.lower(),
        reason=reason,
        detail=detail[:500],
        created_by=by,
        created_at=utc_now(),
    )
    if await _suppressions(unit).add(row):
        return row, True
    found = await _suppressions(unit).find_address(row.address)
    return found or row, False


async def is_suppressed(unit: UnitOfWork, email: str) -> bool:
    """Whether no mail may go to the address."""
    return bool(await _suppressions(unit).among({email.lower()}))


async def page(
    unit: UnitOfWork, *, reason: str | None, email: str | None, before_id: str | None, limit: int
) -> Sequence[MailSuppression]:
    """Suppressions, newest first."""
    address = email.lower() if email is not None else None
    return await _suppressions(unit).page(reason=reason, address=address, before_id=before_id, limit=limit)


async def remove(unit: UnitOfWork, principal: Principal, suppression_id: str) -> None:
    """Let mail go there again. Raises SuppressionNotFound."""
    if await _suppressions(unit).remove(suppression_id) is None:
        raise SuppressionNotFound
    audit(unit, principal, "suppression.deleted", suppression_id)


def _suppressions(unit: UnitOfWork) -> MailSuppressionRepository:
    return MailSuppressionRepository(unit.session, unit.tenant)
