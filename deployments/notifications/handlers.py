"""Reactions of notifications: a submission becomes mails to the form's recipients, and one to who answered."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog
from jinja2 import TemplateError

from db.models.notifications import Mail
from db.repositories.mails import MailRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.forms.contracts import Form, FormsApi, FormSettings
from deployments.kit.errors import Invalid, NotFound
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.principal import Principal
from deployments.kit.texts import text_in
from deployments.notifications.answers import Answers
from deployments.notifications.message import Brand, Content, build, message_id, render
from deployments.notifications.service import suppressions
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import MailboxUnknown, MailDeferred, MailRejected, MailTransport
from deployments.notifications.voice import Voice, voice_of
from deployments.notifications.wording import TooLong
from deployments.responses.contracts import Response, ResponsesApi
from eventing.consumer import Subscription
from eventing.events.envelope import Event
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue_all

SEND = "mail.send"
REPLIES_A_DAY: Final = 5
"""Most replies of a tenant to one address within 24 hours: anybody can enter anybody's address."""

_TEMPLATE = "response_notification"
_REPLY = "autoresponse"
_DAY = timedelta(days=1)
_DELAYS: Final = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 7_200.0)

_log = structlog.get_logger(__name__)


class NotifyRecipients:
    """Turns `response.submitted` into one mail for each recipient that the form's settings name, and a reply to the
    person who answered where they ask for one."""

    def __init__(self, forms: FormsApi) -> None:
        self._forms = forms

    async def select(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """The submissions somebody is to be told about; what was imported happened elsewhere, long ago."""
        if not is_enabled(await settings_of(unit), "mail"):
            return []
        settings = await self._settings(unit.tenant, events)
        return [event for event in events if not event.data.get("imported") and _tells(settings[event.form_id], event)]

    async def on_responses_submitted(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        """Ask for the mails. Once per event: the inbox row is in the same transaction."""
        settings = await self._settings(unit.tenant, events)
        repository = MailRepository(unit.session, unit.tenant)
        mails: list[Mail] = []
        jobs: list[JobSpec] = []
        replies: Counter[str] = Counter()
        for event in events:
            fact = event.read(ResponseSubmitted)
            for template, recipient in _orders(settings[fact.form_id], fact):
                if template == _REPLY:
                    replies[recipient] += 1
                    earlier = await repository.count_since(_REPLY, recipient, utc_now() - _DAY)
                    if earlier + replies[recipient] > REPLIES_A_DAY:
                        continue
                mail = Mail(
                    tenant_id=unit.tenant,
                    id=new_id("mail"),
                    template=template,
                    # Somebody may be told of a response and have given it.
                    cause=event.id if template == _TEMPLATE else f"{event.id}:{template}",
                    recipient=recipient,
                    subject="",
                    created_at=utc_now(),
                )
                mails.append(mail)
                payload = {"mail_id": mail.id, "form_id": fact.form_id, "response_id": fact.response_id}
                jobs.append(JobSpec(SEND, payload, created_by="system:notifications", origin=event.origin))
        if mails:
            await repository.add_all(mails)
            await enqueue_all(unit, jobs)

    async def _settings(self, tenant_id: str, events: Sequence[Event]) -> dict[str | None, FormSettings]:
        """The settings of each form."""
        return {form_id: await self._of_form(tenant_id, form_id) for form_id in {event.form_id for event in events}}

    async def _of_form(self, tenant_id: str, form_id: str | None) -> FormSettings:
        try:
            form = await self._forms.get(Principal.system(tenant_id, "notifications"), form_id or "")
        except NotFound:
            return FormSettings()
        return form.settings

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What this context listens to."""
        types = (ResponseSubmitted.type,)
        return (Subscription("notifications", types, self.on_responses_submitted, select=self.select),)


def _tells(settings: FormSettings, event: Event) -> bool:
    # Most forms send no mail: their events need not be read.
    wanted = settings.send_notification or settings.autoresponder is not None
    return wanted and any(_orders(settings, event.read(ResponseSubmitted)))


def _orders(settings: FormSettings, fact: ResponseSubmitted) -> Iterator[tuple[str, str]]:
    """Template and recipient of each mail about a response."""
    if settings.send_notification:
        for recipient in settings.notification_recipients:
            yield _TEMPLATE, recipient
    reply = settings.autoresponder
    address = fact.answers.get(reply.email_field) if reply is not None and reply.enabled else None
    if isinstance(address, str):
        yield _REPLY, address


class SendMail:
    """Sends one mail. A folder holds it once; a mail server may get it twice after a crash, with one Message-ID."""

    def __init__(
        self,
        database: Database,
        forms: FormsApi,
        responses: ResponsesApi,
        transport: MailTransport,
        stationery: Stationery,
    ) -> None:
        self._database = database
        self._forms = forms
        self._responses = responses
        self._transport = transport
        self._stationery = stationery
        self._answers = Answers(forms)

    async def run(self, job: JobRun) -> Done | None:
        """Render and send; raises Retry while the mail server cannot take it, GiveUp when it never will."""
        mail_id: str = job.payload["mail_id"]
        async with self._database.read(job.tenant_id) as unit:
            mail = await MailRepository(unit.session, unit.tenant).find(mail_id)
            allowed = is_enabled(await settings_of(unit), "mail")
            suppressed = mail is not None and await suppressions.is_suppressed(unit, mail.recipient)
            voice = await voice_of(unit, mail.template if mail is not None else "")
        if mail is None or mail.state in ("sent", "bounced"):
            return None
        if suppressed:
            return Done(effect=_Outcome(mail_id, "suppressed", "", "the address is suppressed"))
        if not allowed:
            return Done(effect=_Outcome(mail_id, "dropped", "", "mail is switched off for the tenant"))
        principal = Principal.system(job.tenant_id, "notifications")
        try:
            form = await self._forms.get(principal, job.payload["form_id"])
            response = await self._responses.get(principal, job.payload["response_id"])
        except NotFound:
            return Done(effect=_Outcome(mail_id, "dropped", "", "the response is gone"))
        letter = await self._content(principal, mail, form, response)
        if letter is None:
            return Done(effect=_Outcome(mail_id, "dropped", "", "the form sends no replies any more"))
        theme = form.settings.theme
        brand = voice.brand if theme is None else voice.themed(theme.logo_url, theme.primary)
        way_out = self._stationery.unsubscribe_url(job.tenant_id, mail_id)
        content = _written(mail.template, *letter, voice, brand, way_out)
        sender = self._stationery.sender
        try:
            message = build(
                content,
                sender=sender,
                to=mail.recipient,
                message_id=message_id(mail_id, sender),
                date=mail.created_at,
                unsubscribe_url=self._stationery.one_click(way_out),
                brand=brand,
                mail_id=mail_id,
            )
            await self._transport.send(message, mail_id, self._stationery.return_path(mail_id))
        except MailDeferred as error:
            raise Retry(error.detail, effect=_Outcome(mail_id, "queued", content.subject, error.detail)) from error
        except MailboxUnknown as error:
            raise GiveUp(error.detail, effect=_Outcome(mail_id, "bounced", content.subject, error.detail)) from error
        except (MailRejected, Invalid) as error:
            raise GiveUp(error.detail, effect=_Outcome(mail_id, "failed", content.subject, error.detail)) from error
        return Done(effect=_Outcome(mail_id, "sent", content.subject, None))

    async def _content(
        self, principal: Principal, mail: Mail, form: Form, response: Response
    ) -> tuple[dict[str, object], Sequence[str]] | None:
        """What the mail says, and the languages it may say it in; None when it is not wanted any more."""
        values: dict[str, object] = {"form_title": form.title, "submitted_at": response.submitted_at}
        if mail.template != _REPLY:
            answers = await self._answers.pairs(principal, form, response)
            return {**values, "answers": answers}, await self._own_language(principal.tenant_id)
        reply = form.settings.autoresponder
        if reply is None or not reply.enabled:
            return None
        # In the language that the visitor's page named, else in the form's first one.
        rules = await self._answers.rules(principal, form, response.version)
        chosen = response.meta.get("language")
        wanted = [*([chosen] if isinstance(chosen, str) else []), *rules.definition.languages]
        answers = await self._answers.pairs(principal, form, response) if reply.include_answers else []
        said = {"subject": text_in(reply.subject, wanted), "text": text_in(reply.text, wanted), "answers": answers}
        return {**values, **said}, wanted

    async def _own_language(self, tenant_id: str) -> Sequence[str]:
        """The tenant's: those who are told of responses are its people."""
        async with self._database.read(tenant_id) as unit:
            return [(await settings_of(unit)).get("locale") or "en"]


def _written(
    template: str, values: Mapping[str, object], wanted: Sequence[str], voice: Voice, brand: Brand, way_out: str | None
) -> Content:
    """In the tenant's words, or where those fail, in the platform's."""
    if voice.own:
        try:
            return render(template, values, wanted, own=voice.own, brand=brand, unsubscribe_url=way_out)
        except (TemplateError, TooLong) as error:
            _log.warning("the words of a tenant cannot be filled in", template=template, error=str(error))
    return render(template, values, wanted, brand=brand, unsubscribe_url=way_out)


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
        if self._state == "bounced":
            await suppressions.add(unit, mail.recipient, "bounce", self._error or "", "system:notifications")


def job_kinds(send: SendMail) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    return (JobKind(SEND, "default", send.run, max_attempts=16, delays=_DELAYS),)
