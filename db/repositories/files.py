"""Files of responses: their rows, and the claims that a submission lays on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.files import File, FilePart
from db.models.forms import Form
from db.models.responses import Response
from db.types import utc_now

UNKNOWN: Final = "file.unknown"
TAKEN: Final = "file.attached"
TWICE: Final = "file.duplicate"

# How long a file waits for another response when the first did not come to be.
_RELEASED: Final = timedelta(hours=24)


class FileRepository:
    """The files of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(File).where(col(File.tenant_id) == tenant_id)

    def add(self, row: File | FilePart) -> None:
        """Add a file, or a piece of one."""
        self._session.add(row)

    async def find(self, file_id: str, *, for_update: bool = False) -> File | None:
        """The file in whatever state; with `for_update` as last committed, and nobody else changes it meanwhile."""
        return await self._session.get(
            File, (self._tenant_id, file_id), with_for_update=for_update or None, populate_existing=for_update
        )

    async def find_shown(self, file_id: str) -> File | None:
        """The file, if it is stored and neither its response nor its form is in the trash or gone."""
        return await self._session.scalar(self._shown().where(col(File.id) == file_id))

    async def of_response(self, response_id: str, after: str | None, limit: int) -> Sequence[File]:
        """Up to `limit` files of a response that is not in the trash, by id, after the file `after`."""
        mine = self._shown().where(col(File.response_id) == response_id).order_by(col(File.id)).limit(limit)
        return (await self._session.scalars(mine if after is None else mine.where(col(File.id) > after))).all()

    async def of_responses(self, response_ids: Iterable[str]) -> Sequence[str]:
        """The ids of all files of these responses, whatever became of them."""
        mine = select(col(File.id)).where(col(File.tenant_id) == self._tenant_id)
        return (await self._session.scalars(mine.where(col(File.response_id).in_(list(response_ids))))).all()

    async def of_forms(self, form_ids: Iterable[str]) -> Sequence[str]:
        """The ids of all files of these forms, whatever became of them."""
        mine = select(col(File.id)).where(col(File.tenant_id) == self._tenant_id)
        return (await self._session.scalars(mine.where(col(File.form_id).in_(list(form_ids))))).all()

    async def sent_since(self, caller: str, moment: datetime) -> int:
        """How many files a visitor has begun to send since a moment."""
        sent = (
            select(func.count())
            .select_from(File)
            .where(
                col(File.tenant_id) == self._tenant_id,
                col(File.caller) == caller,
                col(File.created_at) > moment,
            )
        )
        return await self._session.scalar(sent) or 0

    async def parts(self, file_id: str) -> Sequence[FilePart]:
        """The pieces of a file in their order."""
        statement = (
            select(FilePart)
            .where(col(FilePart.tenant_id) == self._tenant_id, col(FilePart.file_id) == file_id)
            .order_by(col(FilePart.start))
        )
        return (await self._session.scalars(statement)).all()

    async def forget_parts(self, file_id: str) -> None:
        """The pieces are no more."""
        for part in await self.parts(file_id):
            await self._session.delete(part)

    async def delete(self, row: File) -> None:
        """Forget a file and its pieces."""
        await self.forget_parts(row.id)
        await self._session.flush()
        await self._session.delete(row)

    async def known(self, file_ids: Sequence[str]) -> set[str]:
        """Those of these ids that are files."""
        mine = select(col(File.id)).where(col(File.tenant_id) == self._tenant_id, col(File.id).in_(list(file_ids)))
        return set((await self._session.scalars(mine)).all())

    async def stored_after(self, file_id: str, limit: int) -> Sequence[str]:
        """Up to `limit` stored files, by id."""
        mine = select(col(File.id)).where(
            col(File.tenant_id) == self._tenant_id, col(File.state) == "stored", col(File.id) > file_id
        )
        return (await self._session.scalars(mine.order_by(col(File.id)).limit(limit))).all()

    async def is_wanted(self, row: File, now: datetime) -> bool:
        """Whether a file may not be swept away: its time is not over, and what it belongs to is there."""
        if row.expires_at is not None:
            return row.expires_at > now
        if row.response_id is None:
            return False
        owner = select(col(Response.id)).where(
            col(Response.tenant_id) == self._tenant_id, col(Response.id) == row.response_id
        )
        return await self._session.scalar(owner) is not None

    def _shown(self) -> Select[File]:
        return (
            self._mine.join(Form, and_(col(Form.tenant_id) == col(File.tenant_id), col(Form.id) == col(File.form_id)))
            .outerjoin(
                Response,
                and_(col(Response.tenant_id) == col(File.tenant_id), col(Response.id) == col(File.response_id)),
            )
            .where(
                col(File.state) == "stored",
                col(Form.deleted_at).is_(None),
                or_(
                    and_(col(File.response_id).is_(None), col(File.expires_at) > utc_now()),
                    and_(col(Response.id).is_not(None), col(Response.deleted_at).is_(None)),
                ),
            )
        )


class FileDirectory:
    """Files that nobody needs any more: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def expired_in_any_tenant(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Up to `limit` files whose time is over, as tenant and id."""
        statement = (
            select(col(File.tenant_id), col(File.id))
            .where(col(File.expires_at) <= now)
            .order_by(col(File.tenant_id), col(File.id))
            .limit(limit)
        )
        return [(tenant_id, file_id) for tenant_id, file_id in (await self._session.execute(statement)).all()]

    async def left_behind_in_any_tenant(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Up to `limit` files whose response is gone for good, as tenant and id, after a tenant and an id."""
        tenant, id_ = col(File.tenant_id), col(File.id)
        statement = (
            select(tenant, id_)
            .outerjoin(Response, and_(col(Response.tenant_id) == tenant, col(Response.id) == col(File.response_id)))
            .where(
                col(File.response_id).is_not(None),
                col(Response.id).is_(None),
                or_(tenant > after[0], and_(tenant == after[0], id_ > after[1])),
            )
            .order_by(tenant, id_)
            .limit(limit)
        )
        return [(tenant_id, file_id) for tenant_id, file_id in (await self._session.execute(statement)).all()]


@dataclass(frozen=True, slots=True)
class FileClaim:
    """An answer's wish for a file. `pointer` is where the answer names it."""

    file_id: str
    field_id: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """All files that a response wants to have."""

    form_id: str
    response_id: str
    claims: tuple[FileClaim, ...]


class FilesRefused(Exception):
    """A response may not have some of its files: each with `UNKNOWN`, `TAKEN` or `TWICE`."""

    def __init__(self, refused: tuple[tuple[FileClaim, str], ...]) -> None:
        super().__init__(refused)
        self.refused = refused


_ATTACH = (
    update(File)
    .where(col(File.tenant_id) == bindparam("tenant"), col(File.id) == bindparam("file"))
    .values(response_id=bindparam("response"), attached_at=bindparam("moment"), expires_at=None)
)


def attach_files(
    connection: Connection, tenant_id: str, attachments: Sequence[Attachment]
) -> list[FilesRefused | None]:
    """Give responses their files in the open transaction, each response all of its files or none; one outcome each.

    A file can be had when it is stored, was sent for this form and field, and belongs to no other response. A response
    that has it already keeps it. Files stay locked until the commit; they are locked in one order by all.
    """
    wanted = {claim.file_id for attachment in attachments for claim in attachment.claims}
    found = {row.id: row for row in _locked(connection, tenant_id, sorted(wanted))}
    now = utc_now()
    owners: dict[str, str] = {}
    outcomes: list[FilesRefused | None] = []
    for attachment in attachments:
        refused: list[tuple[FileClaim, str]] = []
        mine: set[str] = set()
        for claim in attachment.claims:
            row = found.get(claim.file_id)
            owner = owners.get(claim.file_id, None if row is None else row.response_id)
            if row is None or (row.form_id, row.field_id) != (attachment.form_id, claim.field_id):
                refused.append((claim, UNKNOWN))
            elif claim.file_id in mine:
                refused.append((claim, TWICE))
            elif owner is not None and owner != attachment.response_id:
                refused.append((claim, TAKEN))
            elif row.state != "stored" or (row.expires_at is not None and row.expires_at <= now):
                refused.append((claim, UNKNOWN))
            mine.add(claim.file_id)
        if not refused:
            owners |= dict.fromkeys(mine, attachment.response_id)
        outcomes.append(FilesRefused(tuple(refused)) if refused else None)
    if owners:
        connection.execute(
            _ATTACH,
            [
                {"tenant": tenant_id, "file": file_id, "response": response_id, "moment": now}
                for file_id, response_id in owners.items()
            ],
        )
    return outcomes


def _locked(connection: Connection, tenant_id: str, file_ids: Sequence[str]) -> Sequence[Any]:
    statement = (
        select(
            *(col(File.id), col(File.form_id), col(File.field_id), col(File.response_id)),
            *(col(File.state), col(File.expires_at)),
        )
        .where(col(File.tenant_id) == tenant_id, col(File.id).in_(file_ids))
        .order_by(col(File.id))
        .with_for_update()
    )
    return connection.execute(statement).all()


def release_files(connection: Connection, tenant_id: str, response_ids: Sequence[str]) -> None:
    """Take back what `attach_files` gave to responses that are not stored after all, in the same transaction."""
    until = utc_now() + _RELEASED
    connection.execute(
        update(File)
        .where(col(File.tenant_id) == tenant_id, col(File.response_id).in_(list(response_ids)))
        .values(response_id=None, attached_at=None, expires_at=until)
    )
