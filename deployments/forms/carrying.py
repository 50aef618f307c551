"""Forms of another backend, with their versions in order, each with its time."""

from collections.abc import Collection
from typing import Any

from db.models.forms import Form
from db.session import UnitOfWork
from db.types import utc_now
from deployments.forms.contracts import CarriedForm, CreateForm, PublishForm, UpdateForm
from deployments.forms.service import drafts, library, versions
from deployments.kit.carrying import Carried, checksum
from deployments.kit.errors import DomainError
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaReached

CHANGED = "form.changed"


async def count(unit: UnitOfWork) -> int:
    """How many forms the tenant has."""
    return await drafts.forms_of(unit).count()


async def is_free(unit: UnitOfWork, slug: str) -> bool:
    """Whether no form of the tenant has the slug."""
    return await drafts.forms_of(unit).find_by_slug(slug) is None


async def take_in(unit: UnitOfWork, principal: Principal, form: CarriedForm) -> tuple[Carried, list[int]]:
    """The form, and the number that each of its versions has now: the same as the one before when nothing changed.

    The slug is known to be free. What its settings say that does not fit its questions is left out.
    """
    first = form.versions[0].definition if form.versions else form.draft or {}
    title = form.versions[0].title if form.versions else form.title
    try:
        row = await drafts.create(unit, principal, CreateForm(slug=form.slug, title=title, definition=first))
    except QuotaReached as error:
        return Carried(problem=error.code), []
    numbers = []
    for number, version in enumerate(form.versions):
        if number:
            order = UpdateForm(title=version.title, definition=version.definition)
            await drafts.update(unit, principal, row.id, order)
        published = await versions.publish(unit, principal, row.id, PublishForm(notes=version.notes))
        if published.version not in numbers:
            published.published_at = version.published_at or published.published_at
            published.published_by = version.published_by or published.published_by
        numbers.append(published.version)
    notes = await _settle(unit, principal, row, form)
    row.created_by = form.created_by or row.created_by
    row.created_at = form.created_at or row.created_at
    row.updated_at = form.updated_at or row.updated_at
    await unit.session.flush()
    return Carried(row.id, _checksum(row), notes=notes), numbers


async def _settle(unit: UnitOfWork, principal: Principal, row: Form, form: CarriedForm) -> dict[str, str]:
    notes: dict[str, str] = {}
    changes: dict[str, Any] = {"title": form.title} if form.title != row.title else {}
    if form.draft is not None and form.versions:
        changes["definition"] = form.draft
    if changes:
        await _tried(unit, principal, row, UpdateForm.model_validate(changes), "/fields", notes)
    if form.settings:
        await _tried(unit, principal, row, UpdateForm(settings=form.settings), "/settings", notes)
    if form.archived:
        await library.archive(unit, principal, row.id)
    return notes


async def _tried(
    unit: UnitOfWork, principal: Principal, row: Form, change: UpdateForm, place: str, notes: dict[str, str]
) -> None:
    before = {name: getattr(row, name) for name in ("title", "definition", "settings", "revision", "updated_at")}
    try:
        await drafts.update(unit, principal, row.id, change)
    except DomainError as error:
        notes[place] = error.code
        for name, value in before.items():
            setattr(row, name, value)


async def checksums(unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
    """The checksums of forms as they are now, by id; of versions by the id of the form and their number."""
    found = {}
    for form_id in {id_.partition("@")[0] for id_ in ids}:
        row = await drafts.forms_of(unit).find(form_id)
        if row is None:
            continue
        found[form_id] = _checksum(row)
        for version in await drafts.forms_of(unit).versions(form_id):
            found[f"{form_id}@{version.version}"] = checksum(version.title, version.definition, version.notes)
    return found


async def take_back(unit: UnitOfWork, principal: Principal, form_id: str, stored: str, actor: str) -> str:
    """Remove a form for good, with all that belongs to it; why it was not, empty when it was or is gone already.

    It is gone for everybody at once; its rows and files are removed by the job that empties the trash.
    """
    row = await drafts.forms_of(unit).find(form_id, for_update=True)
    if row is None:
        return ""
    if _checksum(row) != stored:
        return CHANGED
    await library.delete(unit, principal, form_id)
    row.purge_started_at = utc_now()
    await library.order_purge(unit, form_id, actor)
    return ""


def _checksum(row: Form) -> str:
    return checksum(
        *(row.slug, row.title, row.status, row.definition, row.settings),
        *(row.published_version, row.revision, row.created_by),
    )
