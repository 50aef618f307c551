"""The rules of drafts: made, changed, given up."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from db.models.forms import Form
from db.repositories.forms import FormRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.forms.brought_models import require_models
from deployments.forms.contracts import CreateForm, UpdateForm
from deployments.forms.errors import (
    FormNotFound,
    FormQuotaReached,
    IncompatibleChange,
    InvalidSettings,
    NeverPublished,
    RevisionOutdated,
    SlugTaken,
)
from deployments.forms.fitting import misfits
from deployments.forms.settings import FormSettings
from deployments.kit.engine import Definition, incompatible_changes, parse_definition, stored_definition
from deployments.kit.errors import Fault
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.kit.problems import faults_of
from deployments.kit.quotas import require_room
from deployments.kit.tenants import require_customer
from eventing.events import forms as facts
from eventing.outbox import record


def forms_of(unit: UnitOfWork) -> FormRepository:
    return FormRepository(unit.session, unit.tenant)


async def create(unit: UnitOfWork, principal: Principal, command: CreateForm) -> Form:
    """A new draft. Raises TenantRequired, InvalidDefinition, InvalidSettings, SlugTaken, FormQuotaReached."""
    require_customer(principal)
    document = parse_definition(command.definition).document()
    settings = settings_from(command.settings)
    await require_ai(unit, settings)
    require_fit(settings, document)
    repository = forms_of(unit)
    await require_room(unit, FormQuotaReached, repository.count)
    now = utc_now()
    form = Form(
        tenant_id=unit.tenant,
        id=new_id("frm"),
        slug=command.slug,
        title=command.title,
        definition=document,
        settings=settings.model_dump(mode="json"),
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    try:
        await repository.add(form)
    except IntegrityError as error:
        raise taken(command.slug) from error
    fact = facts.FormCreated(form_id=form.id, slug=form.slug, title=form.title)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return form


async def get(unit: UnitOfWork, form_id: str, *, for_update: bool = False) -> Form:
    """The form. Raises FormNotFound."""
    form = await forms_of(unit).find(form_id, for_update=for_update)
    if form is None:
        raise FormNotFound
    return form


async def update(unit: UnitOfWork, principal: Principal, form_id: str, command: UpdateForm) -> Form:
    """The changed form. A new definition must keep the types of fields that were ever published (F4), and the settings
    must fit it. Links with the old slug go on leading here until another form takes it."""
    form = await get(unit, form_id, for_update=True)
    require_revision(form, command.if_match)
    changed = sorted(command.model_fields_set - {"if_match"})
    if command.definition is not None:
        definition = parse_definition(command.definition)
        await require_compatible(unit, form, definition)
        form.definition = definition.document()
    if command.settings is not None:
        settings = settings_from({**form.settings, **command.settings})
        if "ai" in command.settings:
            await require_ai(unit, settings)
        form.settings = settings.model_dump(mode="json")
    if command.settings is not None or command.definition is not None:
        require_fit(FormSettings.model_validate(form.settings), form.definition)
    if command.title is not None:
        form.title = command.title
    touch(form)
    if command.slug is not None and command.slug != form.slug:
        await rename(unit, form, command.slug)
    fact = facts.FormUpdated(form_id=form.id, changed=changed)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return form


async def discard(unit: UnitOfWork, principal: Principal, form_id: str, if_match: int | None) -> Form:
    """The form, its draft as the published version is. Raises NeverPublished, InvalidSettings."""
    form = await get(unit, form_id, for_update=True)
    require_revision(form, if_match)
    published = await forms_of(unit).find_version(form_id, form.published_version or 0)
    if published is None:
        raise NeverPublished
    changed = [name for name in ("definition", "title") if getattr(form, name) != getattr(published, name)]
    if changed:
        form.definition, form.title = published.definition, published.title
        require_fit(FormSettings.model_validate(form.settings), form.definition)
        touch(form)
        fact = facts.FormUpdated(form_id=form.id, changed=changed)
        record(unit, fact, actor=principal.subject, origin=principal.origin)
    return form


async def rename(unit: UnitOfWork, form: Form, slug: str) -> None:
    """Give the form a slug; its former one goes on leading to it until another form takes it. Raises SlugTaken."""
    former, form.slug = form.slug, slug
    try:
        await unit.session.flush()
    except IntegrityError as error:
        raise taken(slug) from error
    await forms_of(unit).take_slug(slug)
    await forms_of(unit).leave_slug(form.id, former)


def touch(form: Form) -> None:
    """The form has changed."""
    form.revision += 1
    form.updated_at = utc_now()


def taken(slug: str) -> SlugTaken:
    """The refusal of a slug."""
    return SlugTaken(f"another form has the slug {slug}")


def require_revision(form: Form, if_match: int | None) -> None:
    """Raise RevisionOutdated unless the form is at this revision, when one is named."""
    if if_match is not None and if_match != form.revision:
        raise RevisionOutdated(f"the form is at revision {form.revision}")


async def require_compatible(unit: UnitOfWork, form: Form, definition: Definition) -> None:
    """Raise IncompatibleChange when a field that was ever published changes its type."""
    faults: dict[str, Fault] = {}
    for published in await forms_of(unit).versions(form.id):
        for fault in incompatible_changes(stored_definition(published.definition), definition):
            faults.setdefault(fault.pointer, fault)
    if faults:
        raise IncompatibleChange(faults=tuple(faults.values()))


def settings_from(values: Mapping[str, Any]) -> FormSettings:
    """The settings that a client sent. Raises InvalidSettings."""
    try:
        return FormSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings(faults=faults_of(error, "/settings")) from error


async def require_ai(unit: UnitOfWork, settings: FormSettings) -> None:
    """Raise FeatureDisabled when models are to look at responses and the tenant has none, InvalidSettings when one of
    its own is not there or cannot do it."""
    if settings.ai is not None:
        require_feature(await settings_of(unit), "ai")
        await require_models(unit, settings.ai)


def require_fit(settings: FormSettings, document: Mapping[str, Any]) -> None:
    """Raise InvalidSettings when the settings name what the definition does not have."""
    faults = misfits(settings, document)
    if faults:
        raise InvalidSettings(faults=faults)
