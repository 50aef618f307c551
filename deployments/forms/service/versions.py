"""The rules of published versions, and what changed from one to another."""

from db.models.forms import Form, FormVersion
from db.session import UnitOfWork
from db.types import utc_now
from deployments.forms.comparison import compare
from deployments.forms.contracts import DefinitionDiff, PublishForm
from deployments.forms.errors import VersionNotFound
from deployments.forms.service.drafts import forms_of, get, require_compatible, require_fit, require_revision, touch
from deployments.forms.settings import FormSettings
from deployments.kit.engine import parse_definition
from deployments.kit.principal import Principal
from eventing.events import forms as facts
from eventing.outbox import record


async def publish(unit: UnitOfWork, principal: Principal, form_id: str, command: PublishForm) -> FormVersion:
    """Freeze the draft as the next version, which also brings the form back from the archive. Publishing an unchanged
    draft answers the current version as it is. Raises InvalidDefinition, IncompatibleChange, InvalidSettings."""
    form = await get(unit, form_id, for_update=True)
    require_revision(form, command.if_match)
    definition = parse_definition(form.definition)
    was_archived = form.status == "archived"
    current = None
    if form.published_version is not None:
        current = await version(unit, form_id, form.published_version)
        if is_changed(form, current):
            await require_compatible(unit, form, definition)
        elif not was_archived:
            return current
    require_fit(FormSettings.model_validate(form.settings), form.definition)
    form.status = "published"
    touch(form)
    if was_archived:
        fact = facts.FormRestored(form_id=form.id, slug=form.slug, source="archive")
        record(unit, fact, actor=principal.subject, origin=principal.origin)
    if current is None or is_changed(form, current):
        current = _frozen(form, principal, command)
        forms_of(unit).add_version(current)
        form.published_version = current.version
        published = facts.FormPublished(form_id=form.id, slug=form.slug, title=form.title, form_version=current.version)
        record(unit, published, actor=principal.subject, origin=principal.origin)
    return current


def _frozen(form: Form, principal: Principal, command: PublishForm) -> FormVersion:
    return FormVersion(
        tenant_id=form.tenant_id,
        form_id=form.id,
        version=(form.published_version or 0) + 1,
        title=form.title,
        definition=form.definition,
        published_by=principal.subject,
        published_at=utc_now(),
        notes=command.notes,
    )


def is_changed(form: Form, published: FormVersion | None) -> bool:
    """Whether the draft says something else than the version, or there is none."""
    return published is None or published.definition != form.definition or published.title != form.title


async def version(unit: UnitOfWork, form_id: str, number: int) -> FormVersion:
    """A published version. Raises FormNotFound, VersionNotFound."""
    await get(unit, form_id)
    found = await forms_of(unit).find_version(form_id, number)
    if found is None:
        raise VersionNotFound(f"the form has no version {number}")
    return found


async def diff_version(unit: UnitOfWork, form_id: str, number: int, base: int | None) -> DefinitionDiff:
    """From the version `base`, or the one before, to the version `number`."""
    newer = await version(unit, form_id, number)
    if base is None and number > 1:
        base = number - 1
    return await _diff(unit, newer, number, base)


async def diff_draft(unit: UnitOfWork, form_id: str, base: int | None) -> DefinitionDiff:
    """From the version `base`, or the published one, to the draft."""
    form = await get(unit, form_id)
    return await _diff(unit, form, None, form.published_version if base is None else base)


async def _diff(unit: UnitOfWork, newer: Form | FormVersion, number: int | None, base: int | None) -> DefinitionDiff:
    form_id = newer.id if isinstance(newer, Form) else newer.form_id
    older = None if base is None else await version(unit, form_id, base)
    return DefinitionDiff(
        form_id=form_id,
        from_version=base,
        to_version=number,
        from_title=None if older is None else older.title,
        to_title=newer.title,
        changes=compare({} if older is None else older.definition, newer.definition),
    )
