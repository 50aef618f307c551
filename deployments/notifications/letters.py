"""Letters: mails to one person about their account, asked for by other contexts."""

from cryptography.fernet import InvalidToken

from db.models.notifications import Mail
from db.repositories.mails import MailRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.errors import Invalid
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from deployments.notifications.message import build, message_id, render
from deployments.notifications.transport import MailDeferred, MailRejected, MailTransport
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry


class SendLetter:
    """Sends one letter. What it says is kept nowhere but in the mail itself."""

    def __init__(self, vault: Vault, transport: MailTransport, sender: str) -> None:
        self._vault = vault
        self._transport = transport
        self._sender = sender

    async def run(self, job: JobRun) -> Done:
        """Render and send; raises Retry while the mail server cannot take it, GiveUp when it never will."""
        try:
            letter = Letter.unsealed(self._vault, job.payload)
        except InvalidToken as error:
            raise GiveUp("the letter was sealed with another secret key") from error
        content = render(letter.template, letter.values, letter.locale)
        sent = utc_now()
        try:
            message = build(
                content,
                sender=self._sender,
                to=letter.recipient,
                message_id=message_id(job.id, self._sender),
                date=letter.written_at,
            )
            await self._transport.send(message, job.id)
        except MailDeferred as error:
            raise Retry(error.detail) from error
        except (MailRejected, Invalid) as error:
            raise GiveUp(error.detail) from error

        async def note(unit: UnitOfWork) -> None:
            mail = Mail(
                tenant_id=unit.tenant,
                id=job.id,
                template=letter.template,
                cause=job.id,
                recipient=letter.recipient,
                subject=content.subject,
                state="sent",
                created_at=letter.written_at,
                sent_at=sent,
            )
            await MailRepository(unit.session, unit.tenant).add_all([mail])

        return Done(effect=note)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job that sends letters. They are wanted at once or not at all: the links in them expire."""
        return (JobKind(SEND_LETTER, "high", self.run, max_attempts=8, delays=(2.0, 5.0, 15.0, 60.0, 300.0)),)
