"""Queries for forms and their published versions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.admission import QuotaCounter
from db.models.forms import Form, FormCounter, FormSlug, FormVersion
from db.models.identity import Tenant
from db.repositories.upsert import upsert
from db.types import utc_now

_SLUGS_KEPT = 20


@dataclass(frozen=True, slots=True)
class FormFilter:
    """Which forms a list holds: with a status, in the trash or not, with a text in title or slug, with these ids."""

    status: str | None = None
    trashed: bool = False
    text: str | None = None
    only: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class ListedForm:
    """A form in a list, how many responses it holds, and its value in the sort."""

    form: Form
    responses: int
    position: Any


class FormRepository:
    """The forms of one tenant; those in the trash only where that is said."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._all = select(Form).where(col(Form.tenant_id) == tenant_id)
        self._mine = self._all.where(col(Form.deleted_at).is_(None))

    async def add(self, form: Form) -> None:
        """Store a new form with its counter. Raises IntegrityError when the slug is taken."""
        self._session.add(form)
        await self._session.flush()
        self._session.add(FormCounter(tenant_id=self._tenant_id, form_id=form.id, responses=0))
        await self.take_slug(form.slug)

    async def find(self, form_id: str, *, for_update: bool = False) -> Form | None:
        statement = self._mine.where(col(Form.id) == form_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def find_by_slug(self, slug: str) -> Form | None:
        return await self._session.scalar(self._mine.where(col(Form.slug) == slug))

    async def find_anywhere(self, form_id: str) -> Form | None:
        """The form, in the trash or not, until it is being purged; nobody else changes it until the end."""
        statement = self._all.where(col(Form.id) == form_id, col(Form.purge_started_at).is_(None))
        return await self._session.scalar(statement.with_for_update())

    async def find_purged(self, form_id: str) -> Form | None:
        """The form, while it is being purged."""
        statement = self._all.where(col(Form.id) == form_id, col(Form.purge_started_at).is_not(None))
        return await self._session.scalar(statement.with_for_update())

    async def remove(self, form: Form) -> None:
        """Delete the form, and whatever refers to it."""
        await self._session.delete(form)
        await self._session.flush()

    async def count(self) -> int:
        """How many forms the tenant has."""
        return await self._session.scalar(select(func.count()).select_from(self._mine.subquery())) or 0

    async def responses(self, form_id: str) -> int:
        """How many responses the form holds."""
        statement = select(col(FormCounter.responses)).where(
            col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == form_id
        )
        return await self._session.scalar(statement) or 0

    async def quota_counts(self, form_id: str) -> dict[str, int]:
        """How many responses counted towards each quota when the last one was submitted."""
        statement = select(col(QuotaCounter.quota_id), col(QuotaCounter.responses)).where(
            col(QuotaCounter.tenant_id) == self._tenant_id, col(QuotaCounter.form_id) == form_id
        )
        return {row.quota_id: row.responses for row in await self._session.execute(statement)}

    async def page(self, which: FormFilter, sort: str, after: tuple[Any, str] | None, limit: int) -> list[ListedForm]:
        """Forms in the order `created_at`, `updated_at` or `title`, turned round by `-`, after a position and id."""
        position, descending = _sort_key(sort), sort.startswith("-")
        statement = (
            select(Form, func.coalesce(col(FormCounter.responses), 0), position)
            .outerjoin(
                FormCounter,
                and_(
                    col(FormCounter.tenant_id) == col(Form.tenant_id),
                    col(FormCounter.form_id) == col(Form.id),
                ),
            )
            .where(*self._conditions(which))
            .limit(limit)
        )
        keys = (position, col(Form.id))
        statement = statement.order_by(*(key.desc() if descending else key for key in keys))
        if after is not None:
            value, last_id = after
            beyond = position < value if descending else position > value
            tie = col(Form.id) < last_id if descending else col(Form.id) > last_id
            statement = statement.where(or_(beyond, and_(position == value, tie)))
        rows = (await self._session.execute(statement)).all()
        return [ListedForm(form, responses, value) for form, responses, value in rows]

    async def count_matches(self, which: FormFilter) -> int:
        """How many forms a list holds."""
        statement = select(func.count()).select_from(Form).where(*self._conditions(which))
        return await self._session.scalar(statement) or 0

    def _conditions(self, which: FormFilter) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [
            col(Form.tenant_id) == self._tenant_id,
            col(Form.deleted_at).is_not(None) if which.trashed else col(Form.deleted_at).is_(None),
            col(Form.purge_started_at).is_(None),
        ]
        if which.status is not None:
            conditions.append(col(Form.status) == which.status)
        if which.only is not None:
            conditions.append(col(Form.id).in_(which.only))
        if which.text is not None:
            named = (col(name).icontains(which.text, autoescape=True) for name in (Form.title, Form.slug))
            conditions.append(or_(*named))
        return conditions

    async def take_slug(self, slug: str) -> None:
        """The slug leads to the form that has it now, and never again to one that had it before."""
        former = col(FormSlug.tenant_id) == self._tenant_id, col(FormSlug.slug) == slug
        await self._session.execute(delete(FormSlug).where(*former))

    async def leave_slug(self, form_id: str, slug: str) -> None:
        """Links with the slug go on leading to the form. It keeps its newest twenty former slugs."""
        row = {"tenant_id": self._tenant_id, "slug": slug, "form_id": form_id, "left_at": utc_now()}
        insert = upsert(self._session, FormSlug).values(row)
        changes = {"form_id": form_id, "left_at": row["left_at"]}
        await self._session.execute(insert.on_conflict_do_update(index_elements=["tenant_id", "slug"], set_=changes))
        mine = col(FormSlug.tenant_id) == self._tenant_id, col(FormSlug.form_id) == form_id
        newest = select(col(FormSlug.slug)).where(*mine).order_by(col(FormSlug.left_at).desc()).limit(_SLUGS_KEPT)
        await self._session.execute(delete(FormSlug).where(*mine, col(FormSlug.slug).not_in(newest)))

    def add_version(self, version: FormVersion) -> None:
        self._session.add(version)

    async def find_version(self, form_id: str, version: int) -> FormVersion | None:
        return await self._session.get(FormVersion, (self._tenant_id, form_id, version))

    async def versions(self, form_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[FormVersion]:
        """Published versions after the version `after`, oldest first; all of them without a limit."""
        statement = (
            select(FormVersion)
            .where(
                col(FormVersion.tenant_id) == self._tenant_id,
                col(FormVersion.form_id) == form_id,
                col(FormVersion.version) > after,
            )
            .order_by(col(FormVersion.version))
        )
        return (await self._session.scalars(statement.limit(limit))).all()


def _sort_key(sort: str) -> ColumnElement[Any]:
    columns: dict[str, Any] = {
        "created_at": col(Form.created_at),
        "updated_at": col(Form.updated_at),
        "title": func.lower(col(Form.title)),
    }
    column: ColumnElement[Any] = columns[sort.removeprefix("-")]
    return column


class TrashDirectory:
    """The trash of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def due_in_any_tenant(
        self, deleted_before: datetime, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """Tenant and id of forms of active tenants whose time in the trash is over, or whose purge has begun."""
        over = col(Form.deleted_at) <= deleted_before
        statement = (
            select(col(Form.tenant_id), col(Form.id))
            .join(Tenant, col(Tenant.id) == col(Form.tenant_id))
            .where(
                or_(over, col(Form.purge_started_at).is_not(None)),
                col(Form.deleted_at).is_not(None),
                col(Tenant.status) == "active",
            )
            .order_by(col(Form.tenant_id), col(Form.id))
            .limit(limit)
        )
        if after is not None:
            tenant_id, form_id = after
            later = and_(col(Form.tenant_id) == tenant_id, col(Form.id) > form_id)
            statement = statement.where(or_(col(Form.tenant_id) > tenant_id, later))
        return [(tenant_id, form_id) for tenant_id, form_id in await self._session.execute(statement)]
