"""Letters: mails to one person about their account, asked for by other contexts."""

import structlog
from cryptography.fernet import InvalidToken
from jinja2 import TemplateError

from db.models.notifications import Mail
from db.repositories.mails import MailRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.errors import Invalid
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from deployments.notifications.message import Content, build, message_id, render
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import MailDeferred, MailRejected, MailTransport
from deployments.notifications.voice import Voice, voice_of
from deployments.notifications.wording import TooLong
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry

_log = structlog.get_logger(__name__)


class SendLetter:
    """Sends one letter. What it says is kept nowhere but in the mail itself."""

    def __init__(self, database: Database, vault: Vault, transport: MailTransport, stationery: Stationery) -> None:
        self._database = database
        self._vault = vault
        self._transport = transport
        self._stationery = stationery

    async def run(self, job: JobRun) -> Done:
        """Render and send; raises Retry while the mail server cannot take it, GiveUp when it never will."""
        try:
            letter = Letter.unsealed(self._vault, job.payload)
        except InvalidToken as error:
            raise GiveUp("the letter was sealed with another secret key") from error
        async with self._database.read(job.tenant_id) as unit:
            voice = await voice_of(unit, letter.template)
        content = _written(letter, voice)
        sent = utc_now()
        sender = self._stationery.sender
        try:
            message = build(
                content,
                sender=sender,
                to=letter.recipient,
                message_id=message_id(job.id, sender),
                date=letter.written_at,
                brand=voice.brand,
                mail_id=job.id,
            )
            await self._transport.send(message, job.id, self._stationery.return_path(job.id))
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
        delays = (2.0, 5.0, 15.0, 60.0, 300.0, 900.0)
        return (JobKind(SEND_LETTER, "high", self.run, max_attempts=12, delays=delays),)


def _written(letter: Letter, voice: Voice) -> Content:
    """In the tenant's words, or where those fail, in the platform's: a letter about an account has to arrive."""
    if voice.own:
        try:
            return render(letter.template, letter.values, letter.locale, own=voice.own, brand=voice.brand)
        except (TemplateError, TooLong) as error:
            _log.warning("the words of a tenant cannot be filled in", template=letter.template, error=str(error))
    return render(letter.template, letter.values, letter.locale, brand=voice.brand)
