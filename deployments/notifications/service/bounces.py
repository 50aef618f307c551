"""What follows from a message that came back."""

from db.repositories.mails import MailRepository
from db.session import UnitOfWork
from deployments.kit.principal import Principal
from deployments.notifications.contracts import BounceReport
from deployments.notifications.returned import Returned, read_returned
from deployments.notifications.service import suppressions


async def report(unit: UnitOfWork, principal: Principal, content: bytes) -> BounceReport:
    """Note it with the mail, and suppress the address where that is the reason. The same message again changes nothing.

    Only an address that the tenant wrote to is ever suppressed: what the message calls its recipient is not believed.
    """
    returned = read_returned(content)
    mails = MailRepository(unit.session, unit.tenant)
    mail = None
    for mail_id in returned.mail_ids[:5] if returned is not None else ():
        mail = await mails.find(mail_id, for_update=True)
        if mail is not None:
            break
    if returned is None or mail is None:
        return BounceReport(outcome="unmatched")
    if returned.what == "delayed":
        return BounceReport(outcome="delayed", mail_id=mail.id, recipient=mail.recipient, status=returned.status)
    suppressed = returned.what == "complaint" or returned.is_hard
    if returned.what == "failed":
        mail.state, mail.error = "bounced", _reason(returned)
    if suppressed:
        reason, detail = ("complaint", mail.id) if returned.what == "complaint" else ("bounce", _reason(returned))
        await suppressions.add(unit, mail.recipient, reason, detail, principal.subject)  # type: ignore[arg-type]
    return BounceReport(
        outcome="complaint" if returned.what == "complaint" else "bounced",
        mail_id=mail.id,
        recipient=mail.recipient,
        status=returned.status,
        suppressed=suppressed,
    )


def _reason(returned: Returned) -> str:
    said = " ".join(part for part in (returned.status, returned.diagnostic) if part)
    return "".join(character for character in said if character.isprintable())[:500] or "undeliverable"
