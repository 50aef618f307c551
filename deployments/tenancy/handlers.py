"""Reactions of tenancy: the owners of a tenant are told of limits that are near or reached, and of what was switched
off; people are told that their exports are ready."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from db.repositories.forms import FormRepository
from db.repositories.quotas import QuotaRepository
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.repositories.webhooks import WebhookRepository
from db.session import UnitOfWork
from deployments.kit.features import settings_of
from deployments.kit.quotas import approach, comes_close, note_use, this_month
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from eventing.events.envelope import Event
from eventing.events.exports import ExportCompleted
from eventing.events.responses import ResponseSubmitted
from eventing.events.tenancy import QuotaApproached, QuotaExceeded
from eventing.events.webhooks import WebhookDisabled
from eventing.jobs import JobSpec, enqueue_all
from eventing.subscription import Subscription

_ACTOR: Final = "system:tenancy"
_RESPONSES: Final = "max_responses_per_form"


class TellOwners:
    """Writes a letter to each active owner, or to whom it concerns. `public_url` is where links in letters lead."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._vault = vault
        self._public_url = public_url

    async def select(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """All but submissions to forms that are far from full, or whose owners know."""
        submitted = {event.form_id for event in events if event.type == ResponseSubmitted.type and event.form_id}
        near = {form_id for form_id, _, _ in await _near(unit, submitted)}
        return [event for event in events if event.type != ResponseSubmitted.type or event.form_id in near]

    async def on_events(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        """Order the letters. Once per event: the inbox row is in the same transaction."""
        submitted = {event.form_id for event in events if event.type == ResponseSubmitted.type and event.form_id}
        for form_id, used, limit in await _near(unit, submitted):
            await note_use(unit, _RESPONSES, used, limit, form_id)
        told = [(event, await self._said(unit, event)) for event in events if event.type != ResponseSubmitted.type]
        await self._write(unit, [(event, *said) for event, said in told if said is not None])

    async def _write(self, unit: UnitOfWork, told: Sequence[tuple[Event, str, Mapping[str, str]]]) -> None:
        if not told:
            return
        users = UserRepository(unit.session, unit.tenant)
        owners = await users.active_with_role("owner")
        concerned = {
            event.id: [user] if (user := await users.get(event.actor)) is not None and user.status == "active" else []
            for event, _, _ in told
            if event.type == ExportCompleted.type
        }
        locale = (await settings_of(unit)).get("locale") or "en"
        letters = [
            (
                Letter(
                    template=template,
                    recipient=person.email,
                    locale=locale,
                    written_at=event.timestamp,
                    values={**values, "name": person.name},
                ),
                event.origin,
            )
            for event, template, values in told
            for person in concerned.get(event.id, owners)
        ]
        if letters:
            orders = [
                JobSpec(SEND_LETTER, letter.sealed(self._vault), _ACTOR, queue="high", origin=origin)
                for letter, origin in letters
            ]
            await enqueue_all(unit, orders)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What this context listens to."""
        types = (QuotaExceeded, QuotaApproached, WebhookDisabled, ExportCompleted, ResponseSubmitted)
        return (Subscription("tenancy", tuple(each.type for each in types), self.on_events, select=self.select),)

    async def _said(self, unit: UnitOfWork, event: Event) -> tuple[str, dict[str, str]] | None:
        """The letter that tells of an event, None when there is nothing left to tell."""
        if event.type == ExportCompleted.type:
            return await self._ready(unit, event.read(ExportCompleted))
        return await _said(unit, event)

    async def _ready(self, unit: UnitOfWork, done: ExportCompleted) -> tuple[str, dict[str, str]] | None:
        form = await FormRepository(unit.session, unit.tenant).find(done.form_id)
        if form is None:
            return None
        values = {
            "tenant": await _name(unit),
            "form": form.title,
            "rows": str(done.rows),
            "until": f"{datetime.fromisoformat(done.expires_at):%Y-%m-%d %H:%M} UTC",
            "link": f"{self._public_url}/api/v1/exports/{done.export_id}/download",
        }
        return "export_ready", values


async def _near(unit: UnitOfWork, form_ids: set[str]) -> list[tuple[str, int, int]]:
    """Those of the forms whose owners are to be told that they fill up, with what they hold and may hold."""
    limit: Any = (await settings_of(unit)).get(_RESPONSES) if form_ids else None
    if limit is None:
        return []
    quotas = QuotaRepository(unit.session, unit.tenant)
    near = [(form_id, used, int(limit)) for form_id, used in (await quotas.responses(form_ids)).items()]
    return [
        (form_id, used, most)
        for form_id, used, most in near
        if comes_close(used, most) and not await quotas.noted(approach(_RESPONSES, form_id), this_month())
    ]


async def _said(unit: UnitOfWork, event: Event) -> tuple[str, dict[str, str]] | None:
    """The letter that tells of an event, None when there is nothing left to tell."""
    if event.type == QuotaExceeded.type:
        exceeded = event.read(QuotaExceeded)
        values = {"tenant": await _name(unit), "limit": str(exceeded.limit), "what": exceeded.quota}
        return "quota_exceeded", values
    if event.type == QuotaApproached.type:
        close = event.read(QuotaApproached)
        values = {"used": str(close.used), "limit": str(close.limit), "what": close.quota}
        return "quota_approached", {"tenant": await _name(unit), **values}
    disabled = event.read(WebhookDisabled)
    endpoint = await WebhookRepository(unit.session, unit.tenant).find(disabled.webhook_id)
    if endpoint is None:
        return None
    # What follows a question mark may be a secret.
    parts = urlsplit(endpoint.url)
    webhook = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    return "webhook_disabled", {"tenant": await _name(unit), "webhook": webhook, "reason": disabled.reason[:500]}


async def _name(unit: UnitOfWork) -> str:
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    return tenant.name if tenant is not None else unit.tenant
