"""The door of forms: opens the unit of work, calls the rules, returns contracts."""

from db.models import forms as tables
from db.repositories.published_forms import PublishedFormRepository
from db.session import Database
from deployments.forms.contracts import (
    CreateForm,
    CreateTemplate,
    DefinitionDiff,
    DefinitionFault,
    DefinitionReport,
    DuplicateForm,
    Form,
    FormDraft,
    FormSettings,
    FormSummary,
    FormVersion,
    ListForms,
    OrderedPurge,
    PublishedForm,
    PublishForm,
    RestoreForm,
    Template,
    TemplateSummary,
    UpdateForm,
    UseTemplate,
    ValidateDefinition,
)
from deployments.forms.errors import FormNotFound
from deployments.forms.remembering import RememberedForms
from deployments.forms.service import drafts, library, templates, versions
from deployments.forms.visiting import published_form
from deployments.forms.warnings import warnings_of
from deployments.kit.cache import Caches
from deployments.kit.contract import Page, PageMeta
from deployments.kit.engine import InvalidDefinition, parse_definition
from deployments.kit.errors import Fault, Invalid
from deployments.kit.features import require_feature
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices

_VERSIONS = "version"


class Forms:
    """Defining and publishing forms; satisfies `FormsApi`."""

    def __init__(self, database: Database, caches: Caches | None = None) -> None:
        self._database = database
        self._quotas = QuotaNotices(database)
        self._remembered = None if caches is None else RememberedForms(caches)

    async def create(self, principal: Principal, command: CreateForm) -> Form:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return _to_form(await drafts.create(unit, principal, command))

    async def get(self, principal: Principal, form_id: str) -> Form:
        async def read() -> Form:
            async with self._database.read(principal.tenant_id) as unit:
                return _to_form(await drafts.get(unit, form_id))

        return await (read() if self._remembered is None else self._remembered.form(principal, form_id, read))

    async def get_by_slug(self, principal: Principal, slug: str) -> Form:
        async with self._database.read(principal.tenant_id) as unit:
            form = await drafts.forms_of(unit).find_by_slug(slug)
            if form is None:
                raise FormNotFound
            return _to_form(form)

    async def list_forms(self, principal: Principal, query: ListForms) -> Page[FormSummary]:
        async def read() -> Page[FormSummary]:
            async with self._database.read(principal.tenant_id, tolerant=True) as unit:
                return await library.list_forms(unit, principal, query)

        return await (read() if self._remembered is None else self._remembered.page(principal, query, read))

    async def update(self, principal: Principal, form_id: str, command: UpdateForm) -> Form:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_form(await drafts.update(unit, principal, form_id, command))

    async def get_draft(self, principal: Principal, form_id: str) -> FormDraft:
        async with self._database.read(principal.tenant_id) as unit:
            form = await drafts.get(unit, form_id)
            published = await drafts.forms_of(unit).find_version(form_id, form.published_version or 0)
            return FormDraft(
                form_id=form.id,
                title=form.title,
                definition=form.definition,
                revision=form.revision,
                published_version=form.published_version,
                changed=versions.is_changed(form, published),
                updated_at=form.updated_at,
            )

    async def discard_draft(self, principal: Principal, form_id: str, if_match: int | None = None) -> Form:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_form(await drafts.discard(unit, principal, form_id, if_match))

    async def publish(self, principal: Principal, form_id: str, command: PublishForm | None = None) -> FormVersion:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_version(await versions.publish(unit, principal, form_id, command or PublishForm()))

    async def list_versions(
        self, principal: Principal, form_id: str, cursor: str | None = None, limit: int = 100
    ) -> Page[FormVersion]:
        after = _version_in(cursor) if cursor else 0
        async with self._database.read(principal.tenant_id) as unit:
            await drafts.get(unit, form_id)
            rows = await drafts.forms_of(unit).versions(form_id, after=after, limit=limit + 1)
        next_cursor = encode_cursor(_VERSIONS, [str(rows[limit - 1].version)]) if len(rows) > limit else None
        return Page[FormVersion](
            data=[_to_version(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=next_cursor)
        )

    async def get_version(self, principal: Principal, form_id: str, version: int) -> FormVersion:
        async with self._database.read(principal.tenant_id) as unit:
            return _to_version(await versions.version(unit, form_id, version))

    async def diff_version(
        self, principal: Principal, form_id: str, version: int, base: int | None = None
    ) -> DefinitionDiff:
        async with self._database.read(principal.tenant_id) as unit:
            return await versions.diff_version(unit, form_id, version, base)

    async def diff_draft(self, principal: Principal, form_id: str, base: int | None = None) -> DefinitionDiff:
        async with self._database.read(principal.tenant_id) as unit:
            return await versions.diff_draft(unit, form_id, base)

    async def duplicate(self, principal: Principal, form_id: str, command: DuplicateForm) -> Form:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return _to_form(await library.duplicate(unit, principal, form_id, command))

    async def archive(self, principal: Principal, form_id: str) -> Form:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_form(await library.archive(unit, principal, form_id))

    async def restore(self, principal: Principal, form_id: str, command: RestoreForm) -> Form:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return _to_form(await library.restore(unit, principal, form_id, command))

    async def delete(self, principal: Principal, form_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await library.delete(unit, principal, form_id)

    async def purge(self, principal: Principal, form_id: str) -> OrderedPurge:
        async with self._database.write(principal.tenant_id) as unit:
            return OrderedPurge(job_id=await library.purge(unit, principal, form_id))

    async def list_templates(self, principal: Principal, cursor: str | None, limit: int) -> Page[TemplateSummary]:
        async with self._database.read(principal.tenant_id) as unit:
            return await templates.list_templates(unit, cursor, limit)

    async def get_template(self, principal: Principal, template_id: str) -> Template:
        async with self._database.read(principal.tenant_id) as unit:
            return await templates.get_template(unit, template_id)

    async def create_template(self, principal: Principal, command: CreateTemplate) -> Template:
        async with self._database.write(principal.tenant_id) as unit:
            return await templates.create_template(unit, principal, command)

    async def delete_template(self, principal: Principal, template_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await templates.delete_template(unit, principal, template_id)

    async def use_template(self, principal: Principal, template_id: str, command: UseTemplate) -> Form:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return _to_form(await templates.use(unit, principal, template_id, command))

    async def validate(self, principal: Principal, command: ValidateDefinition) -> DefinitionReport:
        try:
            definition = parse_definition(command.definition)
        except InvalidDefinition as error:
            return DefinitionReport(valid=False, errors=[_to_fault(fault) for fault in error.faults])
        warnings = [_to_fault(fault) for fault in warnings_of(definition)]
        return DefinitionReport(valid=True, errors=[], warnings=warnings)

    async def get_published(self, principal: Principal, slug: str) -> PublishedForm:
        async def read() -> PublishedForm:
            async with self._database.read(principal.tenant_id) as unit:
                snapshot = await PublishedFormRepository(unit.session, unit.tenant).current(slug=slug)
                if snapshot is None or snapshot.tenant_status == "deleted":
                    raise FormNotFound
                require_feature(snapshot.tenant_settings, "public_forms")
                return await published_form(unit, snapshot)

        return await (read() if self._remembered is None else self._remembered.published(principal, slug, read))


def _version_in(cursor: str) -> int:
    (value,) = decode_cursor(cursor, _VERSIONS, 1)
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort")
    return int(value)


def _to_fault(fault: Fault) -> DefinitionFault:
    return DefinitionFault(pointer=fault.pointer, code=fault.code, detail=fault.detail)


def _to_form(row: tables.Form) -> Form:
    return Form(
        id=row.id,
        slug=row.slug,
        title=row.title,
        status=row.status,  # type: ignore[arg-type]  # checked by the contract
        version=row.published_version,
        revision=row.revision,
        definition=row.definition,
        settings=FormSettings.model_validate(row.settings),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _to_version(row: tables.FormVersion) -> FormVersion:
    return FormVersion(
        form_id=row.form_id,
        version=row.version,
        title=row.title,
        definition=row.definition,
        notes=row.notes,
        published_by=row.published_by,
        published_at=row.published_at,
    )
