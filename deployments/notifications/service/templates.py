"""A tenant's own words for mails: what there is, what may be said, how it looks."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from jinja2 import TemplateError

from db.models import notifications as tables
from db.repositories.mail_templates import MailTemplateRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.audit import audit
from deployments.kit.egress import check_url
from deployments.kit.errors import Fault
from deployments.kit.principal import Principal
from deployments.notifications import wording
from deployments.notifications.catalogue import TEMPLATES, MailKind, mail_kind, samples
from deployments.notifications.contracts import (
    MailBranding,
    MailPreview,
    MailTemplate,
    MailTemplates,
    MailTemplateSummary,
    MailWords,
    TemplateVariable,
)
from deployments.notifications.errors import InvalidMailTemplate, MailTemplateNotFound
from deployments.notifications.message import Brand, built_in, languages_of, mailbox, render
from deployments.notifications.voice import voice_of

_AT_MOST: Final = 500
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,59}")
_LANGUAGE: Final = re.compile(r"([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4})?")


async def summaries(unit: UnitOfWork) -> MailTemplates:
    """Every mail, those that only the tenant has too."""
    own: dict[str, list[str]] = {}
    for row in await _templates(unit).all():
        own.setdefault(row.name, []).append(row.language)
    names = [*TEMPLATES, *sorted(own.keys() - TEMPLATES.keys())]
    return MailTemplates(
        data=[
            MailTemplateSummary(
                name=name,
                purpose=mail_kind(name).purpose,
                use=mail_kind(name).use,
                languages=list(languages_of(name)),
                own_languages=own.get(name, []),
            )
            for name in names
        ]
    )


async def get(unit: UnitOfWork, name: str, language: str) -> MailTemplate:
    """The tenant's words, else the platform's. Raises MailTemplateNotFound."""
    tag = language.lower()
    for row in await _templates(unit).named(name):
        if row.language == tag:
            return _described(name, tag, wording.Wording(row.subject, row.text, row.html), row.updated_at)
    words = built_in(name, tag or "en")
    if words is None:
        raise MailTemplateNotFound
    return _described(name, tag or "en", words, None)


async def put(unit: UnitOfWork, principal: Principal, name: str, language: str, words: MailWords) -> MailTemplate:
    """Say the mail in these words from now on. Raises InvalidMailTemplate, MailTemplateNotFound for a name that is
    none."""
    if not _NAME.fullmatch(name) or not _LANGUAGE.fullmatch(language):
        raise MailTemplateNotFound
    kind = mail_kind(name)
    _require_valid(words, kind)
    if len(await _templates(unit).all()) >= _AT_MOST:
        raise InvalidMailTemplate.at("", "template.too_many", f"there may be {_AT_MOST} templates")
    tag, now = language.lower(), utc_now()
    row = tables.MailTemplate(
        tenant_id=unit.tenant,
        name=name,
        language=tag,
        subject=words.subject,
        text=words.text,
        html=words.html,
        updated_at=now,
        updated_by=principal.subject,
    )
    await _templates(unit).put(row)
    audit(unit, principal, "mail_template.saved", name, language=tag)
    return _described(name, tag, _wording(words), now)


async def remove(unit: UnitOfWork, principal: Principal, name: str, language: str) -> None:
    """Say the mail in the platform's words again. Raises MailTemplateNotFound."""
    if not await _templates(unit).remove(name, language.lower()):
        raise MailTemplateNotFound
    audit(unit, principal, "mail_template.deleted", name, language=language.lower())


async def preview(
    unit: UnitOfWork, name: str, language: str, words: MailWords | None, values: Mapping[str, Any], sender: str
) -> MailPreview:
    """The mail with these values beside samples. Raises InvalidMailTemplate, MailTemplateNotFound."""
    kind = mail_kind(name)
    voice = await voice_of(unit, name)
    own = dict(voice.own)
    if words is not None:
        _require_valid(words, kind)
        own = {language.lower(): _wording(words)}
    elif name not in TEMPLATES and not own:
        raise MailTemplateNotFound
    known = {key: value for key, value in values.items() if key in kind.variables}
    way_out = None if kind.use == "account" else "https://example.com/unsubscribe"
    try:
        content = render(
            name, {**samples(name), **known}, language or "en", own=own, brand=voice.brand, unsubscribe_url=way_out
        )
    except (wording.TooLong, TemplateError) as error:
        raise InvalidMailTemplate.at("/words", "template.too_long", str(error)) from error
    return MailPreview(
        subject=content.subject,
        text=content.text,
        html=content.html,
        sender=_named(voice.brand, sender),
        language=language or "en",
    )


async def branding(unit: UnitOfWork) -> MailBranding:
    """How the tenant's mails present themselves."""
    row = await _templates(unit).branding()
    if row is None:
        return MailBranding()
    return MailBranding(sender_name=row.sender_name, reply_to=row.reply_to, logo_url=row.logo_url, colour=row.colour)


async def put_branding(unit: UnitOfWork, principal: Principal, wanted: MailBranding) -> MailBranding:
    """Present them so from now on. Raises Invalid for an address that no mail can be sent to, or where no logo is."""
    if wanted.logo_url is not None:
        check_url(wanted.logo_url, pointer="/logo_url")
    if wanted.reply_to is not None:
        mailbox(wanted.reply_to, "/reply_to")
    row = tables.MailBranding(tenant_id=unit.tenant, updated_at=utc_now(), **wanted.model_dump())
    await _templates(unit).put_branding(row)
    audit(unit, principal, "mail_branding.saved", unit.tenant)
    return wanted


def _templates(unit: UnitOfWork) -> MailTemplateRepository:
    return MailTemplateRepository(unit.session, unit.tenant)


def _wording(words: MailWords) -> wording.Wording:
    return wording.Wording(words.subject, words.text, words.html)


def _require_valid(words: MailWords, kind: MailKind) -> None:
    faults: tuple[Fault, ...] = wording.faults_of(_wording(words), kind)
    if faults:
        raise InvalidMailTemplate(faults=faults)


def _named(brand: Brand, sender: str) -> str:
    address = mailbox(sender, "/sender")
    return f"{brand.name or address.display_name} <{address.addr_spec}>".strip()


def _described(name: str, language: str, words: wording.Wording, updated_at: datetime | None) -> MailTemplate:
    kind = mail_kind(name)
    return MailTemplate(
        name=name,
        language=language,
        built_in=updated_at is None,
        purpose=kind.purpose,
        use=kind.use,
        subject=words.subject,
        text=words.text,
        html=words.html,
        variables=[
            TemplateVariable(name=key, meaning=variable.meaning, kind=variable.kind, required=variable.required)
            for key, variable in kind.variables.items()
        ],
        updated_at=updated_at,
    )
