"""Which field a file is for, and whether it may be sent now."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.files.errors import FormClosed, FormNotFound
from deployments.kit.errors import Invalid
from deployments.kit.features import require_feature
from deployments.kit.file_fields import FileField, file_fields
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_active


async def open_field(
    unit: UnitOfWork, principal: Principal, slug: str | None, form_id: str | None, field_id: str
) -> tuple[str, FileField]:
    """The form's id and its field, when the form takes answers at this moment.

    Raises FormNotFound, FormClosed, TenantSuspended, FeatureDisabled, and Invalid for a field that takes no files.
    """
    form = await PublishedFormRepository(unit.session, unit.tenant).current(slug=slug, form_id=form_id)
    if form is None:
        raise FormNotFound
    require_active(form.tenant_status, FormNotFound)
    if form.status != "published" or not _is_open(form.settings):
        raise FormClosed
    if principal.kind == "anonymous":
        require_feature(form.tenant_settings, "public_forms")
    field = _named(form.definition, field_id)
    if field is None:
        raise Invalid.at("/field", "field.unknown", "The form has no such field for files.")
    return form.form_id, field


async def field_of(unit: UnitOfWork, form_id: str, field_id: str) -> FileField:
    """The field of an upload that was let in; without limits of its own when the form has changed since."""
    form = await PublishedFormRepository(unit.session, unit.tenant).current(form_id=form_id)
    found = None if form is None else _named(form.definition, field_id)
    return found or FileField((field_id,))


def _named(definition: Mapping[str, Any], field_id: str) -> FileField | None:
    return next((field for field in file_fields(definition) if field.id == field_id), None)


def _is_open(settings: Mapping[str, Any]) -> bool:
    now = utc_now()
    opens, closes = settings.get("opens_at"), settings.get("closes_at")
    return not (
        (opens is not None and now < datetime.fromisoformat(opens))
        or (closes is not None and now >= datetime.fromisoformat(closes))
    )
