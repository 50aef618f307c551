"""The rules of a tenant's forms as a collection: copies, the archive, the trash, the end."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from sqlalchemy.exc import IntegrityError

from db.models.forms import Form
from db.repositories.forms import FormFilter
from db.session import UnitOfWork
from db.types import utc_now
from deployments.forms.contracts import CreateForm, DuplicateForm, FormSummary, ListForms, RestoreForm
from deployments.forms.errors import FormNotFound, FormQuotaReached, NotInTrash
from deployments.forms.service.drafts import create, forms_of, get, rename, taken, touch
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import require_room
from eventing.events import forms as facts
from eventing.jobs import JobSpec, enqueue_again
from eventing.outbox import record

PURGE: Final = "forms.purge"
QUEUE: Final = "batch"
GRACE: Final = timedelta(days=30)
"""How long a form can be brought back from the trash."""


async def list_forms(unit: UnitOfWork, principal: Principal, query: ListForms) -> Page[FormSummary]:
    """The forms that the principal may see."""
    trashed = query.status == "trashed"
    which = FormFilter(
        status=None if trashed else query.status,
        trashed=trashed,
        text=query.q,
        only=None if principal.may("forms:read") else principal.forms_granted("forms:read"),
    )
    # Bound to what was asked for: a cursor of another list would skip forms of this one.
    asked = orjson.dumps([query.sort, query.status, query.q])
    bound = hashlib.sha256(asked).hexdigest()[:16]
    repository = forms_of(unit)
    rows = await repository.page(which, query.sort, _position(query, bound), query.limit + 1)
    total = await repository.count_matches(which) if query.include_total else None
    next_cursor = None
    if len(rows) > query.limit:
        last = rows[query.limit - 1]
        value = last.position if isinstance(last.position, str) else last.position.isoformat()
        next_cursor = encode_cursor(bound, [value, last.form.id])
    data = [_summary(row.form, row.responses) for row in rows[: query.limit]]
    return Page[FormSummary](data=data, meta=PageMeta(limit=query.limit, next_cursor=next_cursor, total=total))


def _position(query: ListForms, bound: str) -> tuple[str | datetime, str] | None:
    if query.cursor is None:
        return None
    value, last_id = decode_cursor(query.cursor, bound, 2)
    if query.sort.removeprefix("-") == "title":
        return value, last_id
    try:
        return datetime.fromisoformat(value).astimezone(UTC), last_id
    except (ValueError, OverflowError) as error:
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort") from error


def _summary(form: Form, responses: int) -> FormSummary:
    return FormSummary(
        id=form.id,
        slug=form.slug,
        title=form.title,
        status="trashed" if form.deleted_at else form.status,  # type: ignore[arg-type]  # checked by the contract
        version=form.published_version,
        responses=responses,
        created_at=form.created_at,
        updated_at=form.updated_at,
        deleted_at=form.deleted_at,
        purge_at=form.deleted_at and form.deleted_at + GRACE,
    )


async def duplicate(unit: UnitOfWork, principal: Principal, form_id: str, command: DuplicateForm) -> Form:
    """A new draft with the same definition and settings. Raises SlugTaken, FormQuotaReached."""
    # A grant for the original is no right to make forms.
    principal.require("forms:write")
    original = await get(unit, form_id)
    order = CreateForm(
        slug=command.slug,
        title=command.title or original.title,
        definition=original.definition,
        settings=original.settings,
    )
    return await create(unit, principal, order)


async def archive(unit: UnitOfWork, principal: Principal, form_id: str) -> Form:
    """The form takes no more answers. It keeps its slug, counts against the quota, and all its responses are there."""
    form = await get(unit, form_id, for_update=True)
    if form.status != "archived":
        form.status = "archived"
        touch(form)
        record(unit, facts.FormArchived(form_id=form.id), actor=principal.subject, origin=principal.origin)
    return form


async def delete(unit: UnitOfWork, principal: Principal, form_id: str) -> None:
    """Move the form to the trash: it and its responses are gone for everybody, its slug is free."""
    form = await get(unit, form_id, for_update=True)
    form.deleted_at = utc_now()
    record(unit, facts.FormDeleted(form_id=form.id), actor=principal.subject, origin=principal.origin)


async def restore(unit: UnitOfWork, principal: Principal, form_id: str, command: RestoreForm) -> Form:
    """The form, back from the trash as it was when it went there; else back from the archive, published when it ever
    was. Raises SlugTaken when its slug is taken by now, FormQuotaReached."""
    repository = forms_of(unit)
    form = await repository.find_anywhere(form_id)
    if form is None:
        raise FormNotFound
    if form.deleted_at is not None:
        source = "trash"
        await require_room(unit, FormQuotaReached, repository.count)
        await _take_out(unit, form, command.slug or form.slug)
    elif form.status == "archived":
        source = "archive"
        form.status = "draft" if form.published_version is None else "published"
        if command.slug is not None and command.slug != form.slug:
            await rename(unit, form, command.slug)
    else:
        return form
    touch(form)
    fact = facts.FormRestored(form_id=form.id, slug=form.slug, source=source)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return form


async def _take_out(unit: UnitOfWork, form: Form, slug: str) -> None:
    # In the trash it had no slug that a link could lead by, so it leaves none behind.
    form.deleted_at, form.slug = None, slug
    try:
        await unit.session.flush()
    except IntegrityError as error:
        raise taken(slug) from error
    await forms_of(unit).take_slug(slug)


async def purge(unit: UnitOfWork, principal: Principal, form_id: str) -> str:
    """Order the end of a form in the trash; the job's id. From now on nothing brings it back. Raises NotInTrash."""
    principal.require("tenant:own")
    form = await forms_of(unit).find_anywhere(form_id)
    if form is None:
        raise FormNotFound
    if form.deleted_at is None:
        raise NotInTrash
    form.purge_started_at = utc_now()
    return await order_purge(unit, form.id, principal.subject)


async def order_purge(unit: UnitOfWork, form_id: str, actor: str) -> str:
    """The job that purges the form. One, however often it is ordered."""
    spec = JobSpec(PURGE, {"form_id": form_id}, actor, unique_key=f"{PURGE}:{form_id}", queue=QUEUE)
    return await enqueue_again(unit, spec)
