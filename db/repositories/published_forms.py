"""Published, immutable snapshots of forms, for the contexts that answer and read them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlmodel import col

from db.models.forms import Form, FormCounter, FormSlug, FormVersion
from db.models.identity import Tenant
from db.models.visits import CaptchaProvider


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """The version that is answered now, with the settings and limits that hold now."""

    form_id: str
    title: str
    slug: str
    version: int
    revision: int
    definition: dict[str, Any]
    settings: dict[str, Any]
    status: str
    tenant_status: str
    tenant_settings: dict[str, Any]
    captcha: CaptchaProvider | None = None


@dataclass(frozen=True, slots=True)
class FormName:
    """What a form that was published is called."""

    form_id: str
    slug: str
    title: str


async def most_answered(session: AsyncSession, most: int) -> list[tuple[str, str]]:
    """The forms of all tenants whose responses changed most often, as pairs of tenant and form; for unscoped units."""
    statement = (
        select(col(FormCounter.tenant_id), col(FormCounter.form_id))
        .where(col(FormCounter.changes) > 0)
        .order_by(col(FormCounter.changes).desc())
        .limit(most)
    )
    return [(row.tenant_id, row.form_id) for row in await session.execute(statement)]


def newest_version() -> Select[Any]:
    """The number of the newest of some published versions, 0 of none."""
    return select(func.coalesce(func.max(col(FormVersion.version)), 0))


async def searched_form(
    connection: AsyncConnection, tenant_id: str, form_id: str
) -> tuple[int, tuple[tuple[str, str], ...]] | None:
    """What `PublishedFormRepository.newest` says, and the kinds of verdicts that responses have had, as pairs of field
    and name, oldest first."""
    row = (await connection.execute(_SEARCHED, {"tenant": tenant_id, "form": form_id})).one_or_none()
    return None if row is None else (row.newest, tuple((field, name) for field, name in row.inferred or ()))


# Made once: every list of responses begins with it.
_SEARCHED: Final = select(
    newest_version()
    .where(col(FormVersion.tenant_id) == bindparam("tenant"), col(FormVersion.form_id) == bindparam("form"))
    .scalar_subquery()
    .label("newest"),
    col(Form.inferred),
).where(col(Form.tenant_id) == bindparam("tenant"), col(Form.id) == bindparam("form"), col(Form.deleted_at).is_(None))


class PublishedFormRepository:
    """Reads what `forms` has published; never its drafts."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def current(self, *, slug: str | None = None, form_id: str | None = None) -> PublishedSnapshot | None:
        """The published version of the form with this slug or id; None when there is none.

        Where no form has the slug, it is the form that had it last.
        """
        named = col(Form.slug) == slug if form_id is None else col(Form.id) == form_id
        found = await self._current(named)
        if found is None and form_id is None:
            former = select(col(FormSlug.form_id)).where(
                col(FormSlug.tenant_id) == self._tenant_id, col(FormSlug.slug) == slug
            )
            taken = select(col(Form.id)).where(
                col(Form.tenant_id) == self._tenant_id, col(Form.slug) == slug, col(Form.deleted_at).is_(None)
            )
            found = await self._current(and_(col(Form.id).in_(former), ~exists(taken)))
        return found

    async def _current(self, named: ColumnElement[bool]) -> PublishedSnapshot | None:
        statement = (
            select(Form, FormVersion, Tenant, CaptchaProvider)
            .join(
                FormVersion,
                and_(
                    col(FormVersion.tenant_id) == col(Form.tenant_id),
                    col(FormVersion.form_id) == col(Form.id),
                    col(FormVersion.version) == col(Form.published_version),
                ),
            )
            .join(Tenant, col(Tenant.id) == col(Form.tenant_id))
            .outerjoin(CaptchaProvider, col(CaptchaProvider.tenant_id) == col(Form.tenant_id))
            .where(col(Form.tenant_id) == self._tenant_id, col(Form.deleted_at).is_(None), named)
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        form, version, tenant, captcha = row
        return PublishedSnapshot(
            form_id=form.id,
            title=version.title,
            slug=form.slug,
            version=version.version,
            revision=form.revision,
            definition=version.definition,
            settings=form.settings,
            status=form.status,
            tenant_status=tenant.status,
            tenant_settings=tenant.settings,
            captcha=captcha,
        )

    async def versions(self, form_id: str, up_to: int | None = None) -> Sequence[FormVersion]:
        """The published versions of a form that is not in the trash, oldest first."""
        statement = (
            select(FormVersion)
            .join(
                Form, and_(col(Form.tenant_id) == col(FormVersion.tenant_id), col(Form.id) == col(FormVersion.form_id))
            )
            .where(
                col(FormVersion.tenant_id) == self._tenant_id,
                col(FormVersion.form_id) == form_id,
                col(Form.deleted_at).is_(None),
            )
            .order_by(col(FormVersion.version))
        )
        if up_to is not None:
            statement = statement.where(col(FormVersion.version) <= up_to)
        return (await self._session.scalars(statement)).all()

    async def newest(self, form_id: str) -> int | None:
        """The number of the form's newest published version, 0 before the first; None when there is no such form."""
        newest = newest_version().where(
            col(FormVersion.tenant_id) == self._tenant_id, col(FormVersion.form_id) == form_id
        )
        statement = select(newest.scalar_subquery()).where(
            select(col(Form.id))
            .where(col(Form.tenant_id) == self._tenant_id, col(Form.id) == form_id, col(Form.deleted_at).is_(None))
            .exists()
        )
        return await self._session.scalar(statement)

    async def named(self, called: Collection[str]) -> Sequence[FormName]:
        """The forms that were published, outside of the trash, whose id or slug is any of these."""
        return await self._names(or_(col(Form.id).in_(called), col(Form.slug).in_(called)), None)

    async def names(self, *, after: str, limit: int) -> Sequence[FormName]:
        """The next forms that were published, outside of the trash, by their ids."""
        return await self._names(col(Form.id) > after, limit)

    async def _names(self, which: ColumnElement[bool], limit: int | None) -> Sequence[FormName]:
        statement = (
            select(col(Form.id), col(Form.slug), col(Form.title))
            .where(
                col(Form.tenant_id) == self._tenant_id,
                col(Form.deleted_at).is_(None),
                col(Form.published_version).is_not(None),
                which,
            )
            .order_by(col(Form.id))
            .limit(limit)
        )
        return [FormName(*row) for row in await self._session.execute(statement)]

    async def exists(self, form_id: str) -> bool:
        """Whether the tenant has this form and it is not in the trash."""
        statement = select(col(Form.id)).where(
            col(Form.tenant_id) == self._tenant_id, col(Form.id) == form_id, col(Form.deleted_at).is_(None)
        )
        return await self._session.scalar(statement) is not None

    async def version(self, form_id: str, number: int) -> FormVersion | None:
        """A published version of the form."""
        return await self._session.get(FormVersion, (self._tenant_id, form_id, number))
