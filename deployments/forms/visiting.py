"""What visitors see of a published form."""

from db.repositories.published_forms import PublishedSnapshot
from db.session import UnitOfWork
from db.types import utc_now
from deployments.forms.contracts import ClosedReason, FormSettings, PublishedForm
from deployments.forms.service.drafts import forms_of
from deployments.kit.captcha import CaptchaWidget
from deployments.kit.texts import Passage


async def published_form(unit: UnitOfWork, snapshot: PublishedSnapshot) -> PublishedForm:
    """The form as it is at this moment. Of its settings only what a page shows."""
    settings = FormSettings.model_validate(snapshot.settings)
    reason = await _closed_reason(unit, snapshot, settings)
    offered = snapshot.definition.get("languages") or ["en"]
    return PublishedForm(
        id=snapshot.form_id,
        slug=snapshot.slug,
        title=snapshot.title,
        version=snapshot.version,
        definition=snapshot.definition,
        open=reason is None,
        closed_reason=reason,
        login_required=settings.login_required,
        message=None if reason is None else _message(settings, reason),
        opens_at=settings.opens_at,
        closes_at=settings.closes_at,
        # The published definition may lack a language that the draft has got since.
        languages=[tag for tag in settings.languages or offered if tag in offered] or offered,
        confirmation=settings.confirmation,
        theme=settings.theme,
        show_progress=settings.show_progress,
        captcha=_widget(snapshot, settings),
    )


def _widget(snapshot: PublishedSnapshot, settings: FormSettings) -> CaptchaWidget | None:
    asked = settings.spam is not None and settings.spam.captcha is not None
    if not asked or snapshot.captcha is None:
        return None
    return CaptchaWidget.model_validate({"provider": snapshot.captcha.provider, "site_key": snapshot.captcha.site_key})


async def _closed_reason(unit: UnitOfWork, snapshot: PublishedSnapshot, settings: FormSettings) -> ClosedReason | None:
    now = utc_now()
    if snapshot.tenant_status != "active":
        return "suspended"
    if snapshot.status != "published":
        return "archived"
    if settings.closes_at is not None and settings.closes_at <= now:
        return "closed"
    if settings.opens_at is not None and settings.opens_at > now:
        return "not_open_yet"
    limits = (settings.max_responses, snapshot.tenant_settings.get("max_responses_per_form"))
    limit = min((limit for limit in limits if limit is not None), default=None)
    if limit is not None and await forms_of(unit).responses(snapshot.form_id) >= limit:
        return "full"
    gates = {quota.id: quota.limit for quota in settings.quotas if quota.action == "close"}
    held = await forms_of(unit).quota_counts(snapshot.form_id) if gates else {}
    return "full" if any(held.get(quota_id, 0) >= limit for quota_id, limit in gates.items()) else None


def _message(settings: FormSettings, reason: ClosedReason) -> Passage | None:
    messages = settings.messages
    if messages is None:
        return None
    if reason == "not_open_yet":
        return messages.not_open_yet
    return messages.full if reason == "full" else messages.closed
