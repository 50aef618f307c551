"""Endpoints: what a tenant asks for, and the secrets that sign for it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from db.models.webhooks import WebhookEndpoint
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.webhooks import WebhookRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.audit import audit
from deployments.kit.egress import check_url
from deployments.kit.errors import Fault, Invalid
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.kit.quotas import require_room
from deployments.kit.vault import Vault
from deployments.webhooks import signing
from deployments.webhooks.contracts import CreateWebhook, Header, RotateSecret, UpdateWebhook
from deployments.webhooks.errors import InvalidWebhook, WebhookNotFound, WebhookQuotaReached
from deployments.webhooks.filters import filter_faults
from deployments.webhooks.headers import header_faults, is_secret
from deployments.webhooks.health import forget
from deployments.webhooks.service.lanes import lanes_of, wake
from eventing.events.catalogue import DELIVERED_TYPES, TYPES
from eventing.events.webhooks import WebhookDisabled, WebhookFailing

ANY_EVENT: Final = "*"
OPERATIONAL_TYPES: Final = (WebhookDisabled.type, WebhookFailing.type)
"""Events of webhooks that another endpoint may ask for by name."""

_PATTERN_END: Final = ".*"
_KEPT_SECRETS: Final = 4


def webhooks_of(unit: UnitOfWork) -> WebhookRepository:
    return WebhookRepository(unit.session, unit.tenant)


async def create(
    unit: UnitOfWork, vault: Vault, principal: Principal, command: CreateWebhook
) -> tuple[WebhookEndpoint, str | None]:
    """The new endpoint and its secret, which is not shown again; a private key is not shown at all. Raises
    FeatureDisabled, InvalidWebhook, WebhookQuotaReached."""
    require_feature(await settings_of(unit), "webhooks")
    await _check(unit, command.model_dump(exclude={"headers"}), command.headers, {})
    await require_room(unit, WebhookQuotaReached, webhooks_of(unit).count)
    now = utc_now()
    secret = signing.new_secret(command.signature)
    plain, sealed = _sorted_headers(vault, command.headers, {})
    endpoint = WebhookEndpoint(
        tenant_id=unit.tenant,
        id=new_id("whk"),
        url=command.url,
        description=command.description,
        events=command.events,
        form_id=command.form_id,
        form_ids=command.form_ids,
        payload_filter=command.filter,
        headers=plain,
        secret_headers=sealed,
        max_concurrency=command.max_concurrency,
        max_per_minute=command.max_per_minute,
        secret=vault.seal(secret),
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    webhooks_of(unit).add(endpoint)
    audit(unit, principal, "webhook.created", endpoint.id, url=endpoint.url, events=endpoint.events)
    if command.signature == "v1":
        audit(unit, principal, "webhook.secret_shown", endpoint.id)
    return endpoint, secret if command.signature == "v1" else None


async def get(unit: UnitOfWork, webhook_id: str) -> WebhookEndpoint:
    """The endpoint. Raises WebhookNotFound."""
    endpoint = await webhooks_of(unit).find(webhook_id)
    if endpoint is None:
        raise WebhookNotFound
    return endpoint


async def update(
    unit: UnitOfWork, vault: Vault, principal: Principal, webhook_id: str, command: UpdateWebhook
) -> WebhookEndpoint:
    """The changed endpoint. One that was switched off starts anew when it is enabled."""
    endpoint = await get(unit, webhook_id)
    changes = command.model_dump(exclude_unset=True, exclude={"headers"})
    # Null removes what may be missing, and says nothing of the rest.
    changes = {name: value for name, value in changes.items() if value is not None or name in _REMOVABLE}
    before = {
        "url": endpoint.url,
        "events": endpoint.events,
        "form_id": endpoint.form_id,
        "form_ids": endpoint.form_ids,
        "filter": endpoint.payload_filter,
    }
    await _check(unit, before | changes, command.headers or [], endpoint.secret_headers)
    if command.status is not None:
        # The lane is locked before its endpoint, as when attempts are written.
        for lane in await lanes_of(unit).lock([endpoint.id]):
            forget(lane)
        await wake(unit, [endpoint.id], principal.subject)
    if command.headers is not None:
        endpoint.headers, endpoint.secret_headers = _sorted_headers(vault, command.headers, endpoint.secret_headers)
    for name, value in changes.items():
        setattr(endpoint, "payload_filter" if name == "filter" else name, value)
    endpoint.updated_at = utc_now()
    if command.status is not None:
        endpoint.disabled_reason = None
    audit(unit, principal, "webhook.updated", endpoint.id, changed=sorted(command.model_fields_set))
    return endpoint


async def rotate(
    unit: UnitOfWork, vault: Vault, principal: Principal, webhook_id: str, command: RotateSecret
) -> tuple[str, datetime]:
    """The new secret, and when the earlier ones stop signing beside it."""
    endpoint = await get(unit, webhook_id)
    now = utc_now()
    expires_at = now + timedelta(seconds=command.expire_previous_after_s)
    current = signing.scheme_of(vault.open(endpoint.secret))
    secret = signing.new_secret(command.signature or current)
    earlier = [{"secret": endpoint.secret, "expires_at": expires_at.isoformat()}]
    for each in valid_secrets(endpoint, now):
        # The newest request counts, also when it is to end a leaked secret at once.
        ends = min(datetime.fromisoformat(each["expires_at"]), expires_at)
        earlier.append({"secret": each["secret"], "expires_at": ends.isoformat()})
    endpoint.previous_secrets = [each for each in earlier if each["expires_at"] > now.isoformat()][:_KEPT_SECRETS]
    endpoint.secret, endpoint.updated_at = vault.seal(secret), now
    audit(unit, principal, "webhook.secret_rotated", endpoint.id, previous_expires_at=expires_at.isoformat())
    if signing.scheme_of(secret) == "v1":
        audit(unit, principal, "webhook.secret_shown", endpoint.id)
    return secret, expires_at


def valid_secrets(endpoint: WebhookEndpoint, now: datetime) -> Iterator[dict[str, str]]:
    """The earlier secrets that still sign, newest first."""
    return (each for each in endpoint.previous_secrets if datetime.fromisoformat(each["expires_at"]) > now)


_REMOVABLE: Final = frozenset(("form_id", "filter", "max_concurrency", "max_per_minute"))


def _sorted_headers(
    vault: Vault, headers: Sequence[Header], kept: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The headers by their names in lower case: plain ones, and secret ones sealed."""
    plain = {header.name.lower(): header.value or "" for header in headers if not is_secret(header)}
    sealed = {
        name: kept[name] if header.value is None else vault.seal(header.value)
        for header in headers
        if is_secret(header) and (name := header.name.lower())
    }
    return plain, sealed


async def _check(
    unit: UnitOfWork, wanted: Mapping[str, Any], headers: Sequence[Header], kept: Mapping[str, str]
) -> None:
    faults: list[Fault] = []
    try:
        check_url(wanted["url"], pointer="/url")
    except Invalid as error:
        faults += error.faults
    faults += _event_faults(wanted["events"])
    named = [("/form_id", wanted["form_id"])] if wanted["form_id"] is not None else []
    named += [(f"/form_ids/{index}", form_id) for index, form_id in enumerate(wanted["form_ids"])]
    forms = PublishedFormRepository(unit.session, unit.tenant)
    faults += [Fault(at, "form.not_found", "there is no such form") for at, id_ in named if not await forms.exists(id_)]
    if wanted["filter"] is not None:
        faults += filter_faults(wanted["filter"])
    faults += header_faults(headers, kept)
    if faults:
        detail = faults[0].detail if len(faults) == 1 else None
        raise InvalidWebhook(detail, faults=tuple(faults))


def _event_faults(events: Sequence[str]) -> Iterator[Fault]:
    for index, name in enumerate(events):
        if name == ANY_EVENT or name in DELIVERED_TYPES or name in OPERATIONAL_TYPES:
            continue
        if name.endswith(_PATTERN_END) and any(is_like(kind, name) for kind in DELIVERED_TYPES):
            continue
        code, detail = "event.unknown", f"there is no event {name!r}"
        if name in TYPES:
            code, detail = "event.not_delivered", f"{name} is not delivered to webhooks"
        yield Fault(f"/events/{index}", code, detail)


def is_like(event_type: str, pattern: str) -> bool:
    """Whether a type is the one that is named, or one of those that a pattern stands for."""
    return event_type == pattern or (pattern.endswith(_PATTERN_END) and event_type.startswith(pattern[:-1]))
