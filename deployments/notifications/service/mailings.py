"""Mails to many people: who gets one, and what became of each."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

from db.models import notifications as tables
from db.repositories.jobs import JobRepository
from db.repositories.mail_templates import MailTemplateRepository
from db.repositories.mailings import QUEUED, MailingRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.forms.contracts import Form
from deployments.kit.audit import audit
from deployments.kit.errors import Fault, Invalid
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.notifications.catalogue import TEMPLATES, mail_kind
from deployments.notifications.contracts import (
    CreateMailing,
    Mailing,
    MailingCounts,
    MailingRecipient,
    MailRecipient,
    OrderedMailing,
    RecipientState,
)
from deployments.notifications.errors import FormNotPublished, InvalidMailing, MailingKeyMismatch, MailingNotFound
from deployments.notifications.service.suppressions import address_of
from eventing.jobs import JobSpec, enqueue

MAILING: Final = "mailing.send"
QUEUE: Final = "batch"


async def create(
    unit: UnitOfWork, principal: Principal, form: Form, command: CreateMailing, key: str | None
) -> OrderedMailing:
    """Order the mails, with a row for each recipient that is known now; once for each idempotency key of a form.

    Raises FeatureDisabled, FormNotPublished, InvalidMailing, MailingKeyMismatch.
    """
    require_feature(await settings_of(unit), "mail")
    if form.version is None:
        raise FormNotPublished
    faults = [*_misfits(form, command), *await _unknown_template(unit, command.template)]
    mails, wrong = _mails(command.recipients or ())
    if faults or wrong:
        raise InvalidMailing(faults=(*faults, *wrong))
    now = utc_now()
    respondents = command.respondents
    mailing = tables.Mailing(
        tenant_id=unit.tenant,
        id=new_id("mlg"),
        form_id=form.id,
        template=command.template,
        email_field=respondents.email_field if respondents is not None else None,
        selection=respondents.model_dump(exclude={"email_field"}) if respondents is not None else None,
        gathered=respondents is None,
        created_by=principal.subject,
        created_at=now,
    )
    payload = {"mailing_id": mailing.id, "order": hashlib.sha256(command.model_dump_json().encode()).hexdigest()}
    unique = f"{MAILING}:{form.id}:{key}" if key is not None else None
    mailing.job_id = await enqueue(unit, JobSpec(MAILING, payload, principal.subject, unique, queue=QUEUE))
    job = await JobRepository(unit.session, unit.tenant).find(mailing.job_id) if key is not None else None
    if job is not None and job.payload["mailing_id"] != mailing.id:
        if job.payload["order"] != payload["order"]:
            raise MailingKeyMismatch
        return OrderedMailing(mailing_id=job.payload["mailing_id"], job_id=job.id, replayed=True)
    mailings = mailings_of(unit)
    await mailings.add(mailing)
    await mailings.add_recipients([rows(mailing, mail, now) for mail in mails])
    audit(unit, principal, "mailing.created", mailing.id, form_id=form.id, template=command.template)
    return OrderedMailing(mailing_id=mailing.id, job_id=mailing.job_id)


def rows(
    mailing: tables.Mailing, recipient: MailRecipient, now: datetime, response_id: str | None = None
) -> dict[str, Any]:
    """The mail of a mailing to one person. Its cause is the mailing, so nobody has two."""
    return {
        "id": new_id("mail"),
        "template": mailing.template,
        "cause": mailing.id,
        "recipient": recipient.email,
        "subject": "",
        "state": QUEUED,
        "created_at": now,
        "due_at": now,
        "mailing_id": mailing.id,
        "response_id": response_id,
        "name": recipient.name,
        "language": recipient.language or "",
        "prefill": recipient.prefill or None,
        "attempts": 0,
    }


async def get(unit: UnitOfWork, mailing_id: str, *, for_update: bool = False) -> tables.Mailing:
    """The mailing. Raises MailingNotFound."""
    mailing = await mailings_of(unit).find(mailing_id, for_update=for_update)
    if mailing is None:
        raise MailingNotFound
    return mailing


async def cancel(unit: UnitOfWork, principal: Principal, mailing_id: str) -> tables.Mailing:
    """Write to nobody else. What is being sent at this moment still goes out."""
    mailing = await get(unit, mailing_id, for_update=True)
    if mailing.cancelled_at is None:
        mailing.cancelled_at = utc_now()
        await mailings_of(unit).move(mailing.id, QUEUED, "cancelled", None)
        audit(unit, principal, "mailing.cancelled", mailing.id)
    return mailing


async def described(unit: UnitOfWork, mailings: Sequence[tables.Mailing]) -> list[Mailing]:
    """The mailings with how far they are."""
    counts = await mailings_of(unit).counts([mailing.id for mailing in mailings])
    jobs = JobRepository(unit.session, unit.tenant)
    found = []
    for mailing in mailings:
        job = await jobs.find(mailing.job_id)
        state = job.state if job is not None else "succeeded"
        words = {"succeeded": "done", "failed": "failed", "cancelled": "cancelled"}
        going = "sending" if mailing.gathered else "gathering"
        found.append(
            Mailing(
                id=mailing.id,
                form_id=mailing.form_id,
                template=mailing.template,
                state="cancelled" if mailing.cancelled_at else words.get(state, going),  # type: ignore[arg-type]
                counts=MailingCounts(**counts[mailing.id]),
                job_id=mailing.job_id,
                created_by=mailing.created_by,
                created_at=mailing.created_at,
            )
        )
    return found


def recipient_of(mail: tables.Mail) -> MailingRecipient:
    """What became of a mail."""
    return MailingRecipient(
        id=mail.id,
        email=mail.recipient,
        name=mail.name,
        state=cast(RecipientState, mail.state),
        error=mail.error,
        attempts=mail.attempts,
        sent_at=mail.sent_at,
    )


def mailings_of(unit: UnitOfWork) -> MailingRepository:
    return MailingRepository(unit.session, unit.tenant)


def _mails(recipients: Sequence[MailRecipient]) -> tuple[list[MailRecipient], list[Fault]]:
    """Each address once, as it is kept; and what is none."""
    found: dict[str, MailRecipient] = {}
    faults: list[Fault] = []
    for number, recipient in enumerate(recipients):
        try:
            address = address_of(recipient.email)
        except Invalid as error:
            faults += [Fault(f"/recipients/{number}/email", fault.code, fault.detail) for fault in error.faults]
        else:
            found.setdefault(address, recipient.model_copy(update={"email": address}))
    return list(found.values()), faults


def _misfits(form: Form, command: CreateMailing) -> list[Fault]:
    if (command.recipients is None) == (command.respondents is None):
        return [Fault("", "mailing.recipients", "either recipients or respondents are given")]
    if command.respondents is None:
        return []
    wanted = command.respondents.email_field
    # Only what stands on a page itself: in a repeating group there would be many addresses.
    elements = (e for page in form.definition.get("pages", ()) for e in page.get("elements", ()))
    kind = next((e.get("type") for e in elements if e.get("id") == wanted), None)
    place = "/respondents/email_field"
    if kind is None:
        return [Fault(place, "mailing.unknown_field", f"the form has no field {wanted!r} on a page")]
    if kind != "email":
        return [Fault(place, "mailing.field_type", f"the field {wanted!r} does not ask for an e-mail address")]
    return []


async def _unknown_template(unit: UnitOfWork, name: str) -> list[Fault]:
    if mail_kind(name).use != "mailing":
        return [Fault("/template", "mailing.template", f"{name!r} is no mail for many people")]
    if name not in TEMPLATES and not await MailTemplateRepository(unit.session, unit.tenant).named(name):
        return [Fault("/template", "mailing.template", f"there are no words for {name!r}")]
    return []
