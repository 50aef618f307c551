"""The job that sends a mail to many people: a stretch at a time, so that other work gets its turn."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from jinja2 import TemplateError

from db.models.notifications import Mail, Mailing
from db.repositories.mail_suppressions import MailSuppressionRepository
from db.repositories.mailings import QUEUED, SENDING, MailingRepository
from db.repositories.quotas import QuotaRepository
from db.repositories.tenants import TenantRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.forms.contracts import Form, FormsApi
from deployments.kit.errors import Invalid, NotFound
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.principal import Principal
from deployments.notifications.answers import Answers
from deployments.notifications.contracts import MailRecipient
from deployments.notifications.errors import MailingNotFound
from deployments.notifications.message import build, message_id, render
from deployments.notifications.service import mailings, suppressions
from deployments.notifications.service.suppressions import address_of
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import MailboxUnknown, MailDeferred, MailRejected, MailTransport, MailUncertain
from deployments.notifications.voice import Voice, voice_of
from deployments.notifications.wording import TooLong
from deployments.responses.contracts import ListResponses, ResponsesApi
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry

_GATHER: Final = 200
_BATCH: Final = 8
_ROUNDS: Final = 50
# Shorter than a worker that stops waits for its jobs, so that none is ended while it hands mails over.
_STRETCH_S: Final = 10.0
_FAILURES: Final = 10
_TRIES: Final = 8
_PAUSES_S: Final = (60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0)
_MINUTE: Final = timedelta(minutes=1)
INTERRUPTED: Final = (
    "the platform was interrupted while it handed this over: it may have arrived, so it is not sent again"
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all mails of a mailing share."""

    form: Form
    tenant: str
    voice: Voice
    locale: str


class SendMailing:
    """Sends one mailing. Each recipient's row says `sending`, durably, before the mail leaves: whatever happens to this
    process then, nobody gets the mail twice. At worst somebody gets none, and their row says why.

    A tenant's mailings together send `per_minute` mails.
    """

    def __init__(
        self,
        database: Database,
        forms: FormsApi,
        responses: ResponsesApi,
        transport: MailTransport,
        stationery: Stationery,
        *,
        per_minute: int = 600,
        stretch_s: float = _STRETCH_S,
    ) -> None:
        self._database = database
        self._forms = forms
        self._responses = responses
        self._transport = transport
        self._stationery = stationery
        self._per_minute = per_minute
        self._stretch_s = stretch_s
        self._answers = Answers(forms)

    async def run(self, job: JobRun) -> Done:
        """Go on for a stretch; raises Retry while there is more to do, GiveUp when it cannot be done."""
        mailing_id: str = job.payload["mailing_id"]
        mailing = await self._begin(job.tenant_id, mailing_id)
        scene = await self._scene(job.tenant_id, mailing)
        ends_at = asyncio.get_running_loop().time() + self._stretch_s
        while not mailing.gathered:
            mailing = await self._gather(job.tenant_id, mailing)
            await job.progress(0)
        counts = await self._counts(job.tenant_id, mailing_id)
        total = sum(counts.values())
        done = total - counts.get(QUEUED, 0)
        settled: Sequence[tuple[str, dict[str, Any]]] = ()
        while True:
            claimed, wait_s = await self._turn(job.tenant_id, mailing_id, settled)
            try:
                await job.progress(done, total)
            except BaseException:
                # The end was asked for: these were not handed over yet.
                back = {"state": QUEUED, "tried_at": None}
                await self._settle(job.tenant_id, [(m.id, {**back, "attempts": m.attempts - 1}) for m in claimed])
                raise
            if not claimed:
                if wait_s is None:
                    counts = await self._counts(job.tenant_id, mailing_id)
                    job.done = job.total = sum(counts.values())
                    return Done({"mailing_id": mailing_id, **counts}, effect=_ended_well(mailing_id))
                raise Retry("the next mails are not due yet", wait_s, effect=_ended_well(mailing_id))
            settled = await asyncio.gather(*(self._send(job.tenant_id, mailing, scene, mail) for mail in claimed))
            done += sum(changes["state"] != QUEUED for _, changes in settled)
            if asyncio.get_running_loop().time() > ends_at:
                await self._settle(job.tenant_id, settled)
                raise Retry("the mailing goes on", 0.0, effect=_ended_well(mailing_id))

    def kinds(self) -> tuple[JobKind, ...]:
        """The job that sends mailings. It takes as many attempts as it has stretches."""
        return (JobKind(mailings.MAILING, mailings.QUEUE, self.run, max_attempts=1_000_000),)

    async def _begin(self, tenant_id: str, mailing_id: str) -> Mailing:
        async with self._database.write(tenant_id) as unit:
            try:
                mailing = await mailings.get(unit, mailing_id, for_update=True)
            except MailingNotFound as error:
                raise GiveUp("the mailing is gone") from error
            if not is_enabled(await settings_of(unit), "mail"):
                raise GiveUp("mail is switched off for the tenant")
            if mailing.failures >= _FAILURES:
                raise GiveUp(f"the mailing broke down {_FAILURES} times in a row", effect=_ended_well(mailing_id))
            mailing.failures += 1
            # A worker that died had these in its hands; nobody knows how far it came.
            await mailings.mailings_of(unit).move(mailing_id, SENDING, "failed", INTERRUPTED)
        return mailing

    async def _scene(self, tenant_id: str, mailing: Mailing) -> _Scene:
        try:
            form = await self._forms.get(self._principal(tenant_id), mailing.form_id)
        except NotFound as error:
            raise GiveUp("the form is gone", effect=_ended_well(mailing.id)) from error
        async with self._database.read(tenant_id) as unit:
            voice = await voice_of(unit, mailing.template)
            tenant = await TenantRepository(unit.session, tenant_id).get()
        settings = tenant.settings if tenant is not None else {}
        return _Scene(form, tenant.name if tenant else tenant_id, voice, settings.get("locale") or "en")

    # Who gets one.

    async def _gather(self, tenant_id: str, mailing: Mailing) -> Mailing:
        """Rows for the next respondents; the cursor moves in the same transaction."""
        field = mailing.email_field or ""
        query = ListResponses(
            form_id=mailing.form_id,
            status="complete",
            sort="submitted_at",
            cursor=mailing.cursor,
            limit=_GATHER,
            **(mailing.selection or {}),
        )
        page = await self._responses.list_responses(self._principal(tenant_id), query)
        now = utc_now()
        found: dict[str, dict[str, Any]] = {}
        for response in page.data:
            address, language = response.answers.get(field), response.meta.get("language")
            if not isinstance(address, str):
                continue
            try:
                person = MailRecipient(
                    email=address_of(address), language=language if isinstance(language, str) else None
                )
            except (Invalid, ValueError):
                continue
            found.setdefault(person.email, mailings.rows(mailing, person, now, response.id))
        async with self._database.write(tenant_id) as unit:
            current = await mailings.get(unit, mailing.id, for_update=True)
            if current.cancelled_at is None:
                await mailings.mailings_of(unit).add_recipients(list(found.values()))
            current.cursor = page.meta.next_cursor
            current.gathered = current.cancelled_at is not None or page.meta.next_cursor is None
        return current

    # One turn: what became of the last mails, and the next ones, in one transaction.

    async def _turn(
        self, tenant_id: str, mailing_id: str, settled: Sequence[tuple[str, dict[str, Any]]]
    ) -> tuple[list[Mail], float | None]:
        """The mails to send now; without any, the seconds to wait, None when all is done."""
        async with self._database.write(tenant_id) as unit:
            repository = mailings.mailings_of(unit)
            listed = MailSuppressionRepository(unit.session, tenant_id)
            await _write(unit, settled)
            # Locks the tenant: mailings that are sent side by side share one rate.
            await QuotaRepository(unit.session, tenant_id).limit("mailings_per_minute")
            now = utc_now()
            free = self._per_minute - await repository.tried_since(now - _MINUTE)
            for _ in range(_ROUNDS):
                claimed = await repository.claim(mailing_id, now, max(0, min(_BATCH, free)))
                if not claimed:
                    break
                suppressed = await listed.among({mail.recipient.lower() for mail in claimed})
                for mail in claimed:
                    if mail.recipient.lower() in suppressed:
                        # It was not tried, so it does not count against the rate.
                        mail.state, mail.tried_at, mail.error = "suppressed", None, "the address is suppressed"
                sendable = [mail for mail in claimed if mail.state == SENDING]
                if sendable:
                    return sendable, None
                await unit.session.flush()
            else:
                return [], 0.0
            due = await repository.next_due(mailing_id)
            if due is None:
                return [], None
            wait_s = max(1.0, (due - now).total_seconds())
            return [], wait_s if free > 0 else max(wait_s, min(5.0, _MINUTE.total_seconds() / self._per_minute))

    async def _settle(self, tenant_id: str, settled: Sequence[tuple[str, dict[str, Any]]]) -> None:
        async with self._database.write(tenant_id) as unit:
            await _write(unit, settled)

    async def _send(self, tenant_id: str, mailing: Mailing, scene: _Scene, mail: Mail) -> tuple[str, dict[str, Any]]:
        """What became of one mail."""
        try:
            subject = await self._hand_over(tenant_id, mailing, scene, mail)
        except MailUncertain as error:
            return mail.id, {
                "state": "failed",
                "error": f"{error.detail} It may have arrived, so it is not sent again.",
            }
        except MailDeferred as error:
            if mail.attempts >= _TRIES:
                return mail.id, {"state": "failed", "error": error.detail}
            pause = timedelta(seconds=_PAUSES_S[min(mail.attempts, len(_PAUSES_S)) - 1])
            return mail.id, {"state": QUEUED, "error": error.detail, "due_at": utc_now() + pause}
        except MailboxUnknown as error:
            return mail.id, {"state": "bounced", "error": error.detail}
        except (MailRejected, Invalid) as error:
            return mail.id, {"state": "failed", "error": error.detail}
        except NotFound:
            return mail.id, {"state": "failed", "error": "the response is gone"}
        except (TooLong, TemplateError) as error:
            return mail.id, {"state": "failed", "error": f"the words cannot be filled in: {error}"[:500]}
        return mail.id, {"state": "sent", "error": None, "subject": subject, "sent_at": utc_now()}

    async def _hand_over(self, tenant_id: str, mailing: Mailing, scene: _Scene, mail: Mail) -> str:
        principal = self._principal(tenant_id)
        answers: list[tuple[str, str]] = []
        submitted_at = None
        if mail.response_id is not None:
            response = await self._responses.get(principal, mail.response_id)
            answers = await self._answers.pairs(principal, scene.form, response)
            submitted_at = response.submitted_at
        values = {
            "name": mail.name,
            "email": mail.recipient,
            "tenant": scene.tenant,
            "form_title": scene.form.title,
            "link": self._link(tenant_id, scene.form, mail),
            "answers": answers,
            "submitted_at": submitted_at,
        }
        wanted = [language for language in (mail.language, *self._languages(scene.form), scene.locale) if language]
        theme = scene.form.settings.theme
        brand = scene.voice.themed(theme.logo_url, theme.primary) if theme is not None else scene.voice.brand
        way_out = self._stationery.unsubscribe_url(tenant_id, mail.id)
        content = render(mailing.template, values, wanted, own=scene.voice.own, brand=brand, unsubscribe_url=way_out)
        message = build(
            content,
            sender=self._stationery.sender,
            to=mail.recipient,
            message_id=message_id(mail.id, self._stationery.sender),
            date=mail.created_at,
            unsubscribe_url=self._stationery.one_click(way_out),
            brand=brand,
            mail_id=mail.id,
        )
        await self._transport.send(message, mail.id, self._stationery.return_path(mail.id))
        return content.subject

    def _link(self, tenant_id: str, form: Form, mail: Mail) -> str:
        """The form's page, in the recipient's language, with what is known of them."""
        given = {**({"lang": mail.language} if mail.language else {}), **(mail.prefill or {})}
        address = f"{self._stationery.public_url}/f/{tenant_id}/{form.slug}"
        return f"{address}?{urlencode(given)}" if given else address

    @staticmethod
    def _languages(form: Form) -> Sequence[str]:
        spoken: Sequence[str] = form.settings.languages or form.definition.get("languages") or ()
        return spoken[:1]

    async def _counts(self, tenant_id: str, mailing_id: str) -> dict[str, int]:
        async with self._database.read(tenant_id) as unit:
            return (await MailingRepository(unit.session, tenant_id).counts([mailing_id]))[mailing_id]

    @staticmethod
    def _principal(tenant_id: str) -> Principal:
        return Principal.system(tenant_id, "notifications")


async def _write(unit: UnitOfWork, settled: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Note what became of mails; an address that does not exist gets no more."""
    for mail_id, changes in settled:
        recipient = await mailings.mailings_of(unit).settle(mail_id, **changes)
        if changes["state"] == "bounced" and recipient is not None:
            await suppressions.add(unit, recipient, "bounce", changes["error"], "system:notifications")


def _ended_well(mailing_id: str) -> Any:
    """The stretch came to an end: earlier breakdowns do not count any more."""

    async def forget(unit: UnitOfWork) -> None:
        mailing = await MailingRepository(unit.session, unit.tenant).find(mailing_id)
        if mailing is not None:
            mailing.failures = 0

    return forget
