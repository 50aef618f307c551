"""Mails that tell of a report, with a link to it or with the file itself: asked for by schedules of reports."""

from cryptography.fernet import InvalidToken
from jinja2 import TemplateError

from db.models.notifications import Mail
from db.repositories.mails import MailRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.errors import Invalid
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.objects import ObjectStore
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_REPORT, ReportMail
from deployments.notifications.message import Attachment, Brand, Content, build, message_id, render
from deployments.notifications.service import suppressions
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import MailboxUnknown, MailDeferred, MailRejected, MailTransport
from deployments.notifications.voice import Voice, voice_of
from deployments.notifications.wording import TooLong
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry

_TEMPLATE = "report_ready"
_DELAYS = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 7_200.0)


class SendReport:
    """Sends one mail. A folder holds it once; a mail server may get it twice after a crash, with one Message-ID."""

    def __init__(
        self, database: Database, objects: ObjectStore, vault: Vault, transport: MailTransport, stationery: Stationery
    ) -> None:
        self._database = database
        self._objects = objects
        self._vault = vault
        self._transport = transport
        self._stationery = stationery

    async def run(self, job: JobRun) -> Done:
        """Render and send; raises Retry while the mail server cannot take it, GiveUp when it never will."""
        try:
            order = ReportMail.unsealed(self._vault, job.payload)
        except InvalidToken as error:
            raise GiveUp("the mail was sealed with another secret key") from error
        async with self._database.read(job.tenant_id) as unit:
            allowed = is_enabled(await settings_of(unit), "mail")
            suppressed = await suppressions.is_suppressed(unit, order.recipient)
            voice = await voice_of(unit, _TEMPLATE)
        if suppressed:
            return Done(effect=_Noted(job.id, order, "suppressed", "", "the address is suppressed"))
        if not allowed:
            return Done(effect=_Noted(job.id, order, "dropped", "", "mail is switched off for the tenant"))
        brand = voice.themed(order.logo_url, order.colour)
        way_out = self._stationery.unsubscribe_url(job.tenant_id, job.id)
        content = _written(order, voice, brand, way_out)
        sender = self._stationery.sender
        try:
            message = build(
                content,
                sender=sender,
                to=order.recipient,
                message_id=message_id(job.id, sender),
                date=order.written_at,
                unsubscribe_url=self._stationery.one_click(way_out),
                brand=brand,
                mail_id=job.id,
                attachment=await self._file(order),
            )
            await self._transport.send(message, job.id, self._stationery.return_path(job.id))
        except FileNotFoundError as error:
            gone = "the report is gone"
            raise GiveUp(gone, effect=_Noted(job.id, order, "dropped", "", gone)) from error
        except MailDeferred as error:
            raise Retry(error.detail) from error
        except MailboxUnknown as error:
            bounced = _Noted(job.id, order, "bounced", content.subject, error.detail)
            raise GiveUp(error.detail, effect=bounced) from error
        except (MailRejected, Invalid) as error:
            failed = _Noted(job.id, order, "failed", content.subject, error.detail)
            raise GiveUp(error.detail, effect=failed) from error
        return Done(effect=_Noted(job.id, order, "sent", content.subject, None))

    async def _file(self, order: ReportMail) -> Attachment | None:
        if order.attachment is None:
            return None
        content = b"".join([piece async for piece in self._objects.read(order.attachment)])
        return Attachment(order.file_name, "application/pdf", content)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job that sends these mails."""
        return (JobKind(SEND_REPORT, "default", self.run, max_attempts=16, delays=_DELAYS),)


def _written(order: ReportMail, voice: Voice, brand: Brand, way_out: str | None) -> Content:
    """In the tenant's words, or where those fail, in the platform's."""
    names = ("form_title", "period", "responses", "until", "link")
    values = {name: getattr(order, name) for name in names}
    if voice.own:
        try:
            return render(_TEMPLATE, values, order.language, own=voice.own, brand=brand, unsubscribe_url=way_out)
        except (TemplateError, TooLong):
            pass
    return render(_TEMPLATE, values, order.language, brand=brand, unsubscribe_url=way_out)


class _Noted:
    """What became of the mail, noted in the transaction that completes its job; the way out of it needs the row."""

    def __init__(self, mail_id: str, order: ReportMail, state: str, subject: str, error: str | None) -> None:
        self._mail_id, self._order = mail_id, order
        self._state, self._subject, self._error = state, subject, error

    async def __call__(self, unit: UnitOfWork) -> None:
        mail = Mail(
            tenant_id=unit.tenant,
            id=self._mail_id,
            template=_TEMPLATE,
            cause=self._mail_id,
            recipient=self._order.recipient,
            subject=self._subject,
            state=self._state,
            error=self._error,
            created_at=self._order.written_at,
            sent_at=utc_now() if self._state == "sent" else None,
        )
        await MailRepository(unit.session, unit.tenant).add_all([mail])
        if self._state == "bounced":
            await suppressions.add(unit, mail.recipient, "bounce", self._error or "", "system:notifications")
