"""The rules of templates: forms to begin with, from the platform and from the tenant itself."""

from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from db.models.forms import Form, FormTemplate
from db.repositories.form_templates import FormTemplateRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.forms.contracts import CreateForm, CreateTemplate, Template, TemplateSummary, UseTemplate
from deployments.forms.errors import TemplateBuiltIn, TemplateNotFound, TooManyTemplates
from deployments.forms.service.drafts import create, get
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from eventing.events import forms as facts
from eventing.outbox import record

MAX_TEMPLATES: Final = 200
"""Most templates of a tenant."""

_SORT: Final = "templates"
# A template is for other occasions: whom to tell, when and how often was for this one.
_LEFT_BEHIND: Final = frozenset(
    {"send_notification", "notification_recipients", "opens_at", "closes_at", "max_responses"}
)


@cache
def built_in() -> dict[str, Template]:
    """The templates that come with the platform, by id, in the order in which they are shown."""
    found = (
        Template(built_in=True, **orjson.loads(file.read_bytes()))
        for file in (files("deployments.forms") / "templates").iterdir()
        if file.name.endswith(".json")
    )
    return {template.id: template for template in sorted(found, key=lambda template: template.title)}


def _of(unit: UnitOfWork) -> FormTemplateRepository:
    return FormTemplateRepository(unit.session, unit.tenant)


async def list_templates(unit: UnitOfWork, cursor: str | None, limit: int) -> Page[TemplateSummary]:
    """The tenant's own templates, oldest first, then those of the platform by title."""
    after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
    theirs = list(built_in().values())
    found: list[TemplateSummary] = []
    if after in built_in():
        theirs = theirs[list(built_in()).index(str(after)) + 1 :]
    else:
        found = [_summary(row) for row in await _of(unit).page(after, limit + 1)]
    found += [TemplateSummary(**template.model_dump(exclude={"definition", "settings"})) for template in theirs]
    next_cursor = encode_cursor(_SORT, [found[limit - 1].id]) if len(found) > limit else None
    return Page[TemplateSummary](data=found[:limit], meta=PageMeta(limit=limit, next_cursor=next_cursor))


async def get_template(unit: UnitOfWork, template_id: str) -> Template:
    """A template, with what it makes. Raises TemplateNotFound."""
    if template_id in built_in():
        return built_in()[template_id]
    row = await _of(unit).find(template_id)
    if row is None:
        raise TemplateNotFound
    return to_template(row)


async def create_template(unit: UnitOfWork, principal: Principal, command: CreateTemplate) -> Template:
    """Keep a form's draft as a template. Raises FormNotFound, TooManyTemplates."""
    principal.require("forms:write")
    form = await get(unit, command.form_id)
    # The tenant's row is locked, so that nobody else adds one beside the last.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    if await _of(unit).count() >= MAX_TEMPLATES:
        raise TooManyTemplates(f"a tenant can keep {MAX_TEMPLATES} templates")
    row = FormTemplate(
        tenant_id=unit.tenant,
        id=new_id("tpl"),
        title=command.title,
        description=command.description,
        definition=form.definition,
        settings={name: value for name, value in form.settings.items() if name not in _LEFT_BEHIND},
        created_by=principal.subject,
        created_at=utc_now(),
    )
    _of(unit).add(row)
    fact = facts.TemplateCreated(template_id=row.id, title=row.title)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return to_template(row)


async def delete_template(unit: UnitOfWork, principal: Principal, template_id: str) -> None:
    """Forget one of the tenant's templates; forms made from it stay. Raises TemplateNotFound, TemplateBuiltIn."""
    if template_id in built_in():
        raise TemplateBuiltIn
    if not await _of(unit).remove(template_id):
        raise TemplateNotFound
    fact = facts.TemplateDeleted(template_id=template_id)
    record(unit, fact, actor=principal.subject, origin=principal.origin)


async def use(unit: UnitOfWork, principal: Principal, template_id: str, command: UseTemplate) -> Form:
    """A new draft made from a template. Raises TemplateNotFound, SlugTaken, FormQuotaReached."""
    template = await get_template(unit, template_id)
    order = CreateForm(
        slug=command.slug,
        title=command.title or template.title,
        definition=template.definition,
        settings=template.settings,
    )
    return await create(unit, principal, order)


def to_template(row: FormTemplate) -> Template:
    return Template(**_described(row), definition=row.definition, settings=row.settings)


def _summary(row: FormTemplate) -> TemplateSummary:
    return TemplateSummary(**_described(row))


def _described(row: FormTemplate) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description,
        "built_in": False,
        "created_at": row.created_at,
    }
