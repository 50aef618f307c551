"""The door of forms: opens the unit of work, calls the rules, returns contracts."""

from db.models import forms as tables
from db.repositories.published_forms import PublishedFormRepository, PublishedSnapshot
from db.session import Database
from db.types import utc_now
from deployments.forms import service
from deployments.forms.contracts import (
    CreateForm,
    DefinitionFault,
    DefinitionReport,
    Form,
    FormSettings,
    FormSummary,
    FormVersion,
    PublishedForm,
    UpdateForm,
    ValidateDefinition,
)
from deployments.forms.errors import FormNotFound
from deployments.kit.contract import Page, PageMeta
from deployments.kit.engine import InvalidDefinition, parse_definition
from deployments.kit.features import require_feature
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices

_SORT = "-id"


class Forms:
    """Defining and publishing forms; satisfies `FormsApi`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._quotas = QuotaNotices(database)

    async def create(self, principal: Principal, command: CreateForm) -> Form:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return _to_form(await service.create(unit, principal, command))

    async def get(self, principal: Principal, form_id: str) -> Form:
        async with self._database.read(principal.tenant_id) as unit:
            return _to_form(await service.get(unit, form_id))

    async def get_by_slug(self, principal: Principal, slug: str) -> Form:
        async with self._database.read(principal.tenant_id) as unit:
            form = await service.forms_of(unit).find_by_slug(slug)
            if form is None:
                raise FormNotFound
            return _to_form(form)

    async def list_forms(self, principal: Principal, cursor: str | None, limit: int) -> Page[FormSummary]:
        after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            only = None if principal.may("forms:read") else principal.forms_granted("forms:read")
            rows = await service.forms_of(unit).page(after, limit + 1, only)
        next_cursor = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[FormSummary](
            data=[_to_summary(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=next_cursor)
        )

    async def update(self, principal: Principal, form_id: str, command: UpdateForm) -> Form:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_form(await service.update(unit, principal, form_id, command))

    async def delete(self, principal: Principal, form_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await service.delete(unit, principal, form_id)

    async def publish(self, principal: Principal, form_id: str) -> FormVersion:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_version(await service.publish(unit, principal, form_id))

    async def list_versions(self, principal: Principal, form_id: str) -> Page[FormVersion]:
        async with self._database.read(principal.tenant_id) as unit:
            await service.get(unit, form_id)
            rows = await service.forms_of(unit).versions(form_id)
        return Page[FormVersion](
            data=[_to_version(row) for row in rows], meta=PageMeta(limit=len(rows), next_cursor=None)
        )

    async def get_version(self, principal: Principal, form_id: str, version: int) -> FormVersion:
        async with self._database.read(principal.tenant_id) as unit:
            return _to_version(await service.version(unit, form_id, version))

    async def validate(self, principal: Principal, command: ValidateDefinition) -> DefinitionReport:
        try:
            parse_definition(command.definition)
        except InvalidDefinition as error:
            faults = [DefinitionFault(pointer=f.pointer, code=f.code, detail=f.detail) for f in error.faults]
            return DefinitionReport(valid=False, errors=faults)
        return DefinitionReport(valid=True, errors=[])

    async def get_published(self, principal: Principal, slug: str) -> PublishedForm:
        async with self._database.read(principal.tenant_id) as unit:
            snapshot = await PublishedFormRepository(unit.session, unit.tenant).current(slug=slug)
        if snapshot is None or snapshot.tenant_status == "deleted":
            raise FormNotFound
        require_feature(snapshot.tenant_settings, "public_forms")
        return _to_published(snapshot)


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


def _to_summary(row: tables.Form) -> FormSummary:
    return FormSummary(
        id=row.id,
        slug=row.slug,
        title=row.title,
        status=row.status,  # type: ignore[arg-type]  # checked by the contract
        version=row.published_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _to_version(row: tables.FormVersion) -> FormVersion:
    return FormVersion(
        form_id=row.form_id,
        version=row.version,
        title=row.title,
        definition=row.definition,
        published_at=row.published_at,
    )


def _to_published(snapshot: PublishedSnapshot) -> PublishedForm:
    settings = FormSettings.model_validate(snapshot.settings)
    now = utc_now()
    opened = settings.opens_at is None or settings.opens_at <= now
    closed = settings.closes_at is not None and settings.closes_at <= now
    return PublishedForm(
        id=snapshot.form_id,
        slug=snapshot.slug,
        title=snapshot.title,
        version=snapshot.version,
        definition=snapshot.definition,
        open=opened and not closed and snapshot.status == "published" and snapshot.tenant_status == "active",
        opens_at=settings.opens_at,
        closes_at=settings.closes_at,
    )
