"""The door of notifications: opens the unit of work, calls the rules, returns contracts."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from db.models import notifications as tables
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import FormsApi
from deployments.kit.contract import Page, PageMeta
from deployments.kit.kept_keys import KeptKeys
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.notifications.answers import Answers
from deployments.notifications.contracts import (
    SEND_LETTER,
    BounceReport,
    CreateMailing,
    Letter,
    MailBranding,
    Mailing,
    MailingRecipient,
    MailPreview,
    MailTemplate,
    MailTemplates,
    MailWords,
    OrderedMail,
    OrderedMailing,
    PreviewMail,
    Subscription,
    SuppressAddress,
    Suppression,
    TextReceipt,
)
from deployments.notifications.errors import NoAddress
from deployments.notifications.service import bounces, mailings, receipts, suppressions, templates, unsubscribing
from deployments.notifications.settings import NotificationsSettings
from deployments.notifications.stationery import Stationery
from deployments.responses.contracts import ListResponses, ResponsesApi
from eventing.jobs import JobSpec, enqueue

_NEWEST_FIRST: Final = "-id"


def stationery_of(settings: NotificationsSettings) -> Stationery:
    """What every mail carries."""
    return Stationery(settings.sender, settings.public_url.rstrip("/"), settings.signing_key, settings.bounces)


class Notifications:
    """Mail of a tenant: its words, to whom it goes, and to whom no more; satisfies `NotificationsApi`."""

    def __init__(
        self,
        database: Database,
        forms: FormsApi,
        responses: ResponsesApi,
        vault: Vault,
        settings: NotificationsSettings,
    ) -> None:
        self._database = database
        self._forms = forms
        self._responses = responses
        self._vault = vault
        self._kept = KeptKeys(database, vault)
        self._stationery = stationery_of(settings)
        self._sms_token = settings.sms_token.get_secret_value()
        self._public_url = settings.public_url.rstrip("/")
        self._answers = Answers(forms)

    async def list_templates(self, principal: Principal) -> MailTemplates:
        async with self._database.read(principal.tenant_id) as unit:
            return await templates.summaries(unit)

    async def get_template(self, principal: Principal, name: str, language: str) -> MailTemplate:
        async with self._database.read(principal.tenant_id) as unit:
            return await templates.get(unit, name, language)

    async def put_template(self, principal: Principal, name: str, language: str, words: MailWords) -> MailTemplate:
        async with self._database.write(principal.tenant_id) as unit:
            return await templates.put(unit, principal, name, language, words)

    async def delete_template(self, principal: Principal, name: str, language: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await templates.remove(unit, principal, name, language)

    async def preview(self, principal: Principal, name: str, language: str, command: PreviewMail) -> MailPreview:
        values = {} if command.response_id is None else await self._values(principal, command.response_id)
        async with self._database.read(principal.tenant_id) as unit:
            tenant = await TenantRepository(unit.session, unit.tenant).get()
            values = {"tenant": tenant.name if tenant is not None else unit.tenant, **values}
            return await templates.preview(unit, name, language, command.words, values, self._stationery.sender)

    async def get_branding(self, principal: Principal) -> MailBranding:
        async with self._database.read(principal.tenant_id) as unit:
            return await templates.branding(unit)

    async def put_branding(self, principal: Principal, branding: MailBranding) -> MailBranding:
        async with self._database.write(principal.tenant_id) as unit:
            return await templates.put_branding(unit, principal, branding)

    async def suppress(self, principal: Principal, command: SuppressAddress) -> Suppression:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_suppression(await suppressions.suppress(unit, principal, command))

    async def list_suppressions(
        self, principal: Principal, cursor: str | None, limit: int, reason: str | None, email: str | None
    ) -> Page[Suppression]:
        sort = f"suppressions{_NEWEST_FIRST}"
        before_id = decode_cursor(cursor, sort, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await suppressions.page(unit, reason=reason, email=email, before_id=before_id, limit=limit + 1)
        next_cursor = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        data = [_to_suppression(row) for row in rows[:limit]]
        return Page[Suppression](data=data, meta=PageMeta(limit=limit, next_cursor=next_cursor))

    async def unsuppress(self, principal: Principal, suppression_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await suppressions.remove(unit, principal, suppression_id)

    async def create_mailing(
        self, principal: Principal, form_id: str, command: CreateMailing, idempotency_key: str | None = None
    ) -> OrderedMailing:
        if command.respondents is not None:
            # Whoever writes to respondents gets at their addresses, if only by writing to them.
            principal.require("responses:read_personal", form_id)
        form = await self._forms.get(principal, form_id)
        if command.respondents is not None:
            chosen = command.respondents.model_dump(exclude={"email_field"})
            # What is wrong with the conditions is said now, not by a job.
            await self._responses.list_responses(principal, ListResponses(form_id=form_id, limit=1, **chosen))
        async with self._database.write(principal.tenant_id) as unit:
            return await mailings.create(unit, principal, form, command, idempotency_key)

    async def list_mailings(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Mailing]:
        sort = f"{form_id}{_NEWEST_FIRST}"
        before_id = decode_cursor(cursor, sort, 1)[0] if cursor else None
        await self._forms.get(principal, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            rows = await mailings.mailings_of(unit).page(form_id, before_id=before_id, limit=limit + 1)
            data = await mailings.described(unit, rows[:limit])
        next_cursor = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Mailing](data=data, meta=PageMeta(limit=limit, next_cursor=next_cursor))

    async def get_mailing(self, principal: Principal, mailing_id: str) -> Mailing:
        async with self._database.read(principal.tenant_id) as unit:
            return (await mailings.described(unit, [await mailings.get(unit, mailing_id)]))[0]

    async def list_recipients(
        self, principal: Principal, mailing_id: str, cursor: str | None, limit: int, state: str | None
    ) -> Page[MailingRecipient]:
        sort = f"{mailing_id}{state or ''}"
        after_id = decode_cursor(cursor, sort, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            await mailings.get(unit, mailing_id)
            rows = await mailings.mailings_of(unit).recipients(
                mailing_id, state=state, after_id=after_id, limit=limit + 1
            )
        next_cursor = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        data = [mailings.recipient_of(row) for row in rows[:limit]]
        return Page[MailingRecipient](data=data, meta=PageMeta(limit=limit, next_cursor=next_cursor))

    async def cancel_mailing(self, principal: Principal, mailing_id: str) -> Mailing:
        async with self._database.write(principal.tenant_id) as unit:
            return (await mailings.described(unit, [await mailings.cancel(unit, principal, mailing_id)]))[0]

    async def send_test(self, principal: Principal) -> OrderedMail:
        async with self._database.write(principal.tenant_id) as unit:
            person = await UserRepository(unit.session, unit.tenant).get(principal.subject)
            tenant = await TenantRepository(unit.session, unit.tenant).get()
            if person is None or tenant is None:
                raise NoAddress
            letter = Letter(
                template="test_mail",
                recipient=person.email,
                locale=tenant.settings.get("locale") or "en",
                written_at=utc_now(),
                values={"name": person.name, "tenant": tenant.name},
            )
            spec = JobSpec(SEND_LETTER, letter.sealed(self._vault), created_by=principal.subject, queue="high")
            return OrderedMail(job_id=await enqueue(unit, spec), recipient=person.email)

    async def report_bounce(self, principal: Principal, message: bytes) -> BounceReport:
        async with self._database.write(principal.tenant_id) as unit:
            return await bounces.report(unit, principal, message)

    async def report_text(self, principal: Principal, message_id: str, receipt: TextReceipt) -> None:
        address = receipts.address_of(self._public_url, principal.tenant_id, message_id)
        async with self._database.write(principal.tenant_id) as unit:
            await receipts.take(unit, self._sms_token, address, message_id, receipt)

    async def find_subscription(self, principal: Principal, token: str) -> Subscription:
        mail_id = await self._mail_of(principal.tenant_id, token)
        async with self._database.read(principal.tenant_id) as unit:
            return await unsubscribing.find(unit, mail_id)

    async def unsubscribe(self, principal: Principal, token: str) -> Subscription:
        mail_id = await self._mail_of(principal.tenant_id, token)
        async with self._database.write(principal.tenant_id) as unit:
            return await unsubscribing.unsubscribe(unit, mail_id)

    async def _mail_of(self, tenant_id: str, token: str) -> str | None:
        """The mail that a link belongs to, whichever secret key the platform had when it wrote that."""
        found = self._stationery.mail_of(tenant_id, token)
        return found or self._stationery.mail_of(tenant_id, token, await self._kept.mail())

    async def _values(self, principal: Principal, response_id: str) -> Mapping[str, Any]:
        """What a mail about a response says, as far as the principal may see it."""
        response = await self._responses.get(principal, response_id)
        form = await self._forms.get(principal, response.form_id)
        return {
            "form_title": form.title,
            "submitted_at": response.submitted_at,
            "answers": await self._answers.pairs(principal, form, response),
        }


def _to_suppression(row: tables.MailSuppression) -> Suppression:
    reason: Literal["manual", "bounce", "complaint", "unsubscribe"] = row.reason  # type: ignore[assignment]
    return Suppression(
        id=row.id,
        email=row.address,
        reason=reason,
        detail=row.detail,
        created_by=row.created_by,
        created_at=row.created_at,
    )
