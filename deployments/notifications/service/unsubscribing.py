"""The way out: a link in a mail, good for its recipient alone, without a login (RFC 8058)."""

from db.models.notifications import Mail
from db.repositories.mails import MailRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from deployments.notifications.contracts import Subscription
from deployments.notifications.errors import SubscriptionNotFound
from deployments.notifications.service import suppressions


async def find(unit: UnitOfWork, mail_id: str | None) -> Subscription:
    """What the link is about. Raises SubscriptionNotFound."""
    mail = await _mail(unit, mail_id)
    return await _described(unit, mail, await suppressions.is_suppressed(unit, mail.recipient))


async def unsubscribe(unit: UnitOfWork, mail_id: str | None) -> Subscription:
    """No more mail to the recipient, however often this is asked. Raises SubscriptionNotFound."""
    mail = await _mail(unit, mail_id)
    await suppressions.add(unit, mail.recipient, "unsubscribe", mail.id, "anonymous")
    return await _described(unit, mail, True)


async def _mail(unit: UnitOfWork, mail_id: str | None) -> Mail:
    mail = await MailRepository(unit.session, unit.tenant).find(mail_id) if mail_id is not None else None
    if mail is None:
        raise SubscriptionNotFound
    return mail


async def _described(unit: UnitOfWork, mail: Mail, unsubscribed: bool) -> Subscription:
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    local, _, domain = mail.recipient.rpartition("@")
    language = mail.language or (tenant.settings.get("locale") if tenant is not None else None) or "en"
    return Subscription(
        tenant=tenant.name if tenant is not None else unit.tenant,
        email=f"{local[:1]}…@{domain}",
        language=language,
        unsubscribed=unsubscribed,
    )
