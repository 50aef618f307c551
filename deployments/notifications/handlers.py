"""Reactions of notifications: a submission becomes mails to the form's recipients."""

from collections import OrderedDict
from collections.abc import Sequence

from db.models.notifications import Mail
from db.repositories.mails import MailRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.forms.contracts import Form, FormsApi
from deployments.kit.engine import CompiledForm, compile_form, stored_definition
from deployments.kit.errors import Invalid, NotFound
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.principal import Principal
from deployments.notifications.message import build, message_id, render
from deployments.notifications.transport import MailDeferred, MailRejected, MailTransport
from deployments.responses.contracts import Response, ResponsesApi
from eventing.consumer import Subscription
from eventing.events.envelope import Event
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue_all

SEND = "mail.send"
_TEMPLATE = "response_notification"
_KEPT = 256


class NotifyRecipients:
    """Turns `response.submitted` into one mail for each recipient that the form's settings name."""

    def __init__(self, forms: FormsApi) -> None:
        self._forms = forms

    async def select(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """The submissions somebody is to be told about; what was imported happened elsewhere, long ago."""
        if not is_enabled(await settings_of(unit), "mail"):
            return []
        recipients = await self._recipients(unit.tenant, events)
        return [event for event in events if recipients[event.form_id] and not event.data.get("imported")]

    async def on_responses_submitted(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        """Ask for the mails. Once per event: the inbox row is in the same transaction."""
        recipients = await self._recipients(unit.tenant, events)
        mails: list[Mail] = []
        jobs: list[JobSpec] = []
        for event in events:
            fact = event.read(ResponseSubmitted)
            for recipient in recipients[fact.form_id]:
                mail = Mail(
                    tenant_id=unit.tenant,
                    id=new_id("mail"),
                    template=_TEMPLATE,
                    cause=event.id,
                    recipient=recipient,
                    subject="",
                    created_at=utc_now(),
                )
                mails.append(mail)
                payload = {"mail_id": mail.id, "form_id": fact.form_id, "response_id": fact.response_id}
                jobs.append(JobSpec(SEND, payload, created_by="system:notifications"))
        if mails:
            await MailRepository(unit.session, unit.tenant).add_all(mails)
            await enqueue_all(unit, jobs)

    async def _recipients(self, tenant_id: str, events: Sequence[Event]) -> dict[str | None, Sequence[str]]:
        """Whom to tell, by form."""
        return {form_id: await self._of_form(tenant_id, form_id) for form_id in {event.form_id for event in events}}

    async def _of_form(self, tenant_id: str, form_id: str | None) -> Sequence[str]:
        try:
            form = await self._forms.get(Principal.system(tenant_id, "notifications"), form_id or "")
        except NotFound:
            return ()
        return form.settings.notification_recipients if form.settings.send_notification else ()

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What this context listens to."""
        types = (ResponseSubmitted.type,)
        return (Subscription("notifications", types, self.on_responses_submitted, select=self.select),)


class SendMail:
    """Sends one mail. A folder holds it once; a mail server may get it twice after a crash, with one Message-ID."""

    def __init__(
        self, database: Database, forms: FormsApi, responses: ResponsesApi, transport: MailTransport, sender: str
    ) -> None:
        self._database = database
        self._forms = forms
        self._responses = responses
        self._transport = transport
        self._sender = sender
        self._compiled: OrderedDict[tuple[str, str, int], CompiledForm] = OrderedDict()

    async def run(self, job: JobRun) -> Done | None:
        """Render and send; raises Retry while the mail server cannot take it, GiveUp when it never will."""
        mail_id: str = job.payload["mail_id"]
        async with self._database.read(job.tenant_id) as unit:
            mail = await MailRepository(unit.session, unit.tenant).find(mail_id)
            allowed = is_enabled(await settings_of(unit), "mail")
        if mail is None or mail.state == "sent":
            return None
        if not allowed:
            return Done(effect=_Outcome(mail_id, "dropped", "", "mail is switched off for the tenant"))
        principal = Principal.system(job.tenant_id, "notifications")
        try:
            form = await self._forms.get(principal, job.payload["form_id"])
            response = await self._responses.get(principal, job.payload["response_id"])
        except NotFound:
            return Done(effect=_Outcome(mail_id, "dropped", "", "the response is gone"))
        content = render(
            _TEMPLATE,
            {
                "form_title": form.title,
                "submitted_at": response.submitted_at,
                "answers": await self._pairs(principal, form, response),
            },
        )
        try:
            message = build(
                content,
                sender=self._sender,
                to=mail.recipient,
                message_id=message_id(mail_id, self._sender),
                date=mail.created_at,
            )
            await self._transport.send(message, mail_id)
        except MailDeferred as error:
            raise Retry(error.detail, effect=_Outcome(mail_id, "queued", content.subject, error.detail)) from error
        except (MailRejected, Invalid) as error:
            raise GiveUp(error.detail, effect=_Outcome(mail_id, "failed", content.subject, error.detail)) from error
        return Done(effect=_Outcome(mail_id, "sent", content.subject, None))

    async def _pairs(self, principal: Principal, form: Form, response: Response) -> list[tuple[str, str]]:
        rules = await self._rules(principal, form, response.version)
        cells = ((column.title, column.cell(response.answers)) for column in rules.columns)
        return [(title, cell) for title, cell in cells if cell]

    async def _rules(self, principal: Principal, form: Form, version: int) -> CompiledForm:
        key = (principal.tenant_id, form.id, version)
        if key not in self._compiled:
            published = await self._forms.get_version(principal, form.id, version)
            self._compiled[key] = compile_form(stored_definition(published.definition))
            if len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return self._compiled[key]


class _Outcome:
    """What became of a mail, to be noted in the transaction that completes the attempt."""

    def __init__(self, mail_id: str, state: str, subject: str, error: str | None) -> None:
        self._mail_id, self._state, self._subject, self._error = mail_id, state, subject, error

    async def __call__(self, unit: UnitOfWork) -> None:
        mail = await MailRepository(unit.session, unit.tenant).find(self._mail_id)
        if mail is None or mail.state == "sent":
            return
        mail.state, mail.error = self._state, self._error
        mail.subject = self._subject or mail.subject
        mail.sent_at = utc_now() if self._state == "sent" else None


def job_kinds(send: SendMail) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    return (JobKind(SEND, "default", send.run, max_attempts=8),)
