"""The rules of forms: drafts change freely, published versions never."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from db.models.forms import Form, FormVersion
from db.repositories.forms import FormRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.forms.contracts import CreateForm, FormSettings, UpdateForm
from deployments.forms.errors import (
    FormNotFound,
    FormQuotaReached,
    IncompatibleChange,
    InvalidSettings,
    RevisionOutdated,
    SlugTaken,
    VersionNotFound,
)
from deployments.kit.engine import Definition, incompatible_changes, parse_definition, stored_definition
from deployments.kit.errors import Fault
from deployments.kit.principal import Principal
from deployments.kit.problems import faults_of
from deployments.kit.quotas import require_room
from eventing.events import forms as facts
from eventing.outbox import record


def forms_of(unit: UnitOfWork) -> FormRepository:
    return FormRepository(unit.session, unit.tenant)


async def create(unit: UnitOfWork, principal: Principal, command: CreateForm) -> Form:
    """A new draft. Raises InvalidDefinition, InvalidSettings, SlugTaken, FormQuotaReached."""
    definition = parse_definition(command.definition)
    settings = _settings(command.settings)
    repository = forms_of(unit)
    await require_room(unit, FormQuotaReached, repository.count)
    now = utc_now()
    form = Form(
        tenant_id=unit.tenant,
        id=new_id("frm"),
        slug=command.slug,
        title=command.title,
        definition=definition.document(),
        settings=settings.model_dump(mode="json"),
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    await _add_unless_taken(repository, form)
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
    """The changed form. A new definition must keep the types of fields that were ever published (F4)."""
    form = await get(unit, form_id, for_update=True)
    if command.if_match is not None and command.if_match != form.revision:
        raise RevisionOutdated(f"the form is at revision {form.revision}")
    changed = sorted(command.model_fields_set - {"if_match"})
    if command.definition is not None:
        definition = parse_definition(command.definition)
        await _require_compatible(unit, form, definition)
        form.definition = definition.document()
    if command.settings is not None:
        form.settings = _settings({**form.settings, **command.settings}).model_dump(mode="json")
    if command.title is not None:
        form.title = command.title
    if command.slug is not None and command.slug != form.slug:
        form.slug = command.slug
    form.revision += 1
    form.updated_at = utc_now()
    try:
        await unit.session.flush()
    except IntegrityError as error:
        raise SlugTaken(f"another form has the slug {command.slug}") from error
    fact = facts.FormUpdated(form_id=form.id, changed=changed)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return form


async def delete(unit: UnitOfWork, principal: Principal, form_id: str) -> None:
    """Move the form to the trash: it and its responses are gone for everybody, its slug is free."""
    form = await get(unit, form_id, for_update=True)
    form.deleted_at = utc_now()
    record(unit, facts.FormDeleted(form_id=form.id), actor=principal.subject, origin=principal.origin)


async def publish(unit: UnitOfWork, principal: Principal, form_id: str) -> FormVersion:
    """Freeze the draft as the next version. Publishing an unchanged draft answers the current version."""
    form = await get(unit, form_id, for_update=True)
    definition = parse_definition(form.definition)
    if form.published_version is not None:
        current = await version(unit, form_id, form.published_version)
        if current.definition == form.definition and current.title == form.title and form.status == "published":
            return current
        await _require_compatible(unit, form, definition)
    number = (form.published_version or 0) + 1
    published = FormVersion(
        tenant_id=unit.tenant,
        form_id=form.id,
        version=number,
        title=form.title,
        definition=form.definition,
        published_by=principal.subject,
        published_at=utc_now(),
    )
    forms_of(unit).add_version(published)
    form.published_version = number
    form.status = "published"
    form.revision += 1
    form.updated_at = published.published_at
    fact = facts.FormPublished(form_id=form.id, slug=form.slug, title=form.title, form_version=number)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return published


async def version(unit: UnitOfWork, form_id: str, number: int) -> FormVersion:
    """A published version. Raises FormNotFound, VersionNotFound."""
    await get(unit, form_id)
    found = await forms_of(unit).find_version(form_id, number)
    if found is None:
        raise VersionNotFound(f"the form has no version {number}")
    return found


async def _require_compatible(unit: UnitOfWork, form: Form, definition: Definition) -> None:
    faults: dict[str, Fault] = {}
    for published in await forms_of(unit).versions(form.id):
        for fault in incompatible_changes(stored_definition(published.definition), definition):
            faults.setdefault(fault.pointer, fault)
    if faults:
        raise IncompatibleChange(faults=tuple(faults.values()))


async def _add_unless_taken(repository: FormRepository, form: Form) -> None:
    try:
        await repository.add(form)
    except IntegrityError as error:
        raise SlugTaken(f"another form has the slug {form.slug}") from error


def _settings(values: dict[str, Any]) -> FormSettings:
    try:
        settings = FormSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings(faults=faults_of(error, "/settings")) from error
    if settings.opens_at and settings.closes_at and settings.closes_at <= settings.opens_at:
        raise InvalidSettings.at("/settings/closes_at", "range.min", "the form must close after it opens")
    return settings
