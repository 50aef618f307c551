"""What people do with single responses: opens the unit of work, calls the rules, returns contracts."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

from pydantic import TypeAdapter

from db.models.response_life import ResponseComment
from db.models.responses import Response as ResponseRow
from db.repositories.admission import RegimeOutdated
from db.repositories.response_comments import ResponseCommentRepository
from db.repositories.response_tags import ResponseTagRepository
from db.repositories.response_trash import ResponseTrashRepository
from db.session import Database, UnitOfWork
from deployments.kit.cache import Caches
from deployments.kit.contract import Page, PageMeta
from deployments.kit.principal import Principal
from deployments.responses import bulk, commenting, editing, quarantine, reviewing, trash
from deployments.responses.contracts import ResponseDetails, TrashedResponse, WrittenResponse
from deployments.responses.errors import FormNotFound, ResponseNotFound, SubmissionConflict
from deployments.responses.finding import READ, WRITE, find, find_row, find_trashed, require_form
from deployments.responses.keys import KeyedCall, Keys, fingerprint
from deployments.responses.life_contracts import (
    MAX_COMMENTS,
    AssignResponse,
    BulkChange,
    ChangeTags,
    Comment,
    EditResponse,
    Overriding,
    PutComment,
    PutReview,
    ResponseDiff,
    ResponseVersion,
    RevertResponse,
    StartedBulk,
    TagCount,
)
from deployments.responses.masking import PersonalFields
from deployments.responses.positions import at_moment, at_revision, moment_cursor, revision_cursor
from deployments.responses.presenting import COLUMNS, TRASHED_COLUMNS, Documents, to_comment, to_json, to_version
from deployments.responses.published import PublishedForm, PublishedForms
from deployments.responses.query.forms import SearchedForms
from deployments.responses.readmission import Readmission, require_override

_MOST_TAGS = 1_000
_ATTEMPTS = 3
_DETAILS: Final = (*COLUMNS, "commented")
_TRASHED: Final = TypeAdapter(list[TrashedResponse])

_Change: TypeAlias = Callable[[UnitOfWork, ResponseRow, PublishedForm | None], Awaitable[ResponseDetails]]
_Overriding: TypeAlias = EditResponse | RevertResponse | Overriding


class ResponseDesk:
    """Everything that is done with a response after it was submitted."""

    def __init__(self, database: Database, caches: Caches | None = None) -> None:
        self._database = database
        self._forms = PublishedForms(database, caches)
        self._personal = PersonalFields()
        self._keys = Keys()
        self._searched = SearchedForms()

    async def get(self, principal: Principal, response_id: str) -> ResponseDetails:
        return ResponseDetails.model_validate_json((await self.get_as_json(principal, response_id)).content)

    async def get_as_json(self, principal: Principal, response_id: str) -> WrittenResponse:
        async with self._database.read(principal.tenant_id) as unit:
            return await self._written(unit, principal, READ, response_id)

    # Answers and their versions.

    async def edit(
        self, principal: Principal, response_id: str, command: EditResponse, idempotency_key: str | None
    ) -> ResponseDetails:
        call = _keyed(principal, "edit", response_id, idempotency_key, command.model_dump(mode="json"))

        async def change(unit: UnitOfWork, row: ResponseRow, form: PublishedForm | None) -> ResponseDetails:
            if await call.earlier(unit) is not None:
                return _replayed(await self._details(unit, principal, row))
            rules = await self._forms.rules(unit, row.form_id, command.version or row.version)
            hidden = await self._personal.hidden(unit, principal, row.form_id)
            await editing.edit(unit, principal, row, command, rules, hidden, _readmission(form, command))
            await call.keep(unit, {"revision": row.revision})
            return await self._details(unit, principal, row)

        async with self._keys.running(call):
            return await self._admitting(principal, response_id, change, override_quotas=command.override_quotas)

    async def revert(
        self, principal: Principal, response_id: str, command: RevertResponse, idempotency_key: str | None
    ) -> ResponseDetails:
        call = _keyed(principal, "revert", response_id, idempotency_key, command.model_dump(mode="json"))

        async def change(unit: UnitOfWork, row: ResponseRow, form: PublishedForm | None) -> ResponseDetails:
            if await call.earlier(unit) is not None:
                return _replayed(await self._details(unit, principal, row))
            await editing.revert(unit, principal, row, command, _readmission(form, command))
            await call.keep(unit, {"revision": row.revision})
            return await self._details(unit, principal, row)

        async with self._keys.running(call):
            return await self._admitting(principal, response_id, change, override_quotas=command.override_quotas)

    async def list_versions(
        self, principal: Principal, response_id: str, cursor: str | None, limit: int
    ) -> Page[ResponseVersion]:
        before = at_revision(cursor, response_id)
        async with self._database.read(principal.tenant_id) as unit:
            row = await find(unit, principal, READ, response_id)
            hidden = await self._personal.hidden(unit, principal, row.form_id)
            rows = await editing.versions(unit, row, before, limit + 1)
        more = revision_cursor(response_id, rows[limit - 1].revision) if len(rows) > limit else None
        return Page[ResponseVersion](
            data=[to_version(version, hidden) for version in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=more)
        )

    async def get_version(self, principal: Principal, response_id: str, revision: int) -> ResponseVersion:
        async with self._database.read(principal.tenant_id) as unit:
            row = await find(unit, principal, READ, response_id)
            hidden = await self._personal.hidden(unit, principal, row.form_id)
            return to_version(await editing.version_of(unit, row, revision), hidden)

    async def diff(self, principal: Principal, response_id: str, before: int | None, after: int | None) -> ResponseDiff:
        async with self._database.read(principal.tenant_id) as unit:
            row = await find(unit, principal, READ, response_id)
            hidden = await self._personal.hidden(unit, principal, row.form_id)
            return await editing.diff(unit, row, before, after, hidden)

    # Spam.

    async def quarantine(self, principal: Principal, response_id: str) -> ResponseDetails:
        async with self._changing(principal, response_id) as (unit, row):
            await quarantine.put(unit, principal, row)
            return await self._details(unit, principal, row)

    async def release(self, principal: Principal, response_id: str, override_quotas: bool = False) -> ResponseDetails:
        overriding = Overriding(override_quotas=override_quotas)

        async def change(unit: UnitOfWork, row: ResponseRow, form: PublishedForm | None) -> ResponseDetails:
            if form is None:
                raise FormNotFound
            await quarantine.release(unit, principal, row, form.limit, _readmission(form, overriding))
            return await self._details(unit, principal, row)

        return await self._admitting(principal, response_id, change, override_quotas=override_quotas)

    # What a team makes of it.

    async def review(self, principal: Principal, response_id: str, command: PutReview) -> ResponseDetails:
        async with self._changing(principal, response_id) as (unit, row):
            await reviewing.review(unit, principal, row, command)
            return await self._details(unit, principal, row)

    async def assign(self, principal: Principal, response_id: str, command: AssignResponse) -> ResponseDetails:
        async with self._changing(principal, response_id) as (unit, row):
            await reviewing.assign(unit, principal, row, command.user_id)
            return await self._details(unit, principal, row)

    async def change_tags(self, principal: Principal, response_id: str, command: ChangeTags) -> ResponseDetails:
        async with self._changing(principal, response_id) as (unit, row):
            await reviewing.change_tags(unit, principal, row, command)
            return await self._details(unit, principal, row)

    async def list_tags(self, principal: Principal, form_id: str) -> Page[TagCount]:
        async with self._database.read(principal.tenant_id) as unit:
            await require_form(unit, principal, READ, form_id)
            counts = await ResponseTagRepository(unit.session, unit.tenant).counts(form_id, _MOST_TAGS)
        return Page[TagCount](
            data=[TagCount(tag=tag, count=count) for tag, count in counts],
            meta=PageMeta(limit=_MOST_TAGS, next_cursor=None),
        )

    async def list_comments(self, principal: Principal, response_id: str) -> Page[Comment]:
        async with self._database.read(principal.tenant_id) as unit:
            row = await find(unit, principal, READ, response_id)
            rows = await ResponseCommentRepository(unit.session, unit.tenant).of(row.id)
        return Page[Comment](
            data=[to_comment(comment) for comment in rows], meta=PageMeta(limit=MAX_COMMENTS, next_cursor=None)
        )

    async def add_comment(self, principal: Principal, response_id: str, command: PutComment) -> Comment:
        async with self._changing(principal, response_id, READ) as (unit, row):
            return to_comment(await commenting.remark(unit, principal, row, command.text))

    async def edit_comment(
        self, principal: Principal, response_id: str, comment_id: str, command: PutComment
    ) -> Comment:
        async with self._changing(principal, response_id, READ) as (unit, row):
            return to_comment(await commenting.edit(unit, principal, row, comment_id, command.text))

    async def delete_comment(self, principal: Principal, response_id: str, comment_id: str) -> None:
        async with self._changing(principal, response_id, READ) as (unit, row):
            await commenting.delete(unit, principal, row, comment_id)

    # The trash.

    async def delete(self, principal: Principal, response_id: str) -> None:
        async with self._changing(principal, response_id) as (unit, row):
            await trash.put(unit, principal, row)

    async def list_trash(
        self, principal: Principal, form_id: str, cursor: str | None, limit: int
    ) -> Page[TrashedResponse]:
        before = at_moment(cursor, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            await require_form(unit, principal, READ, form_id)
            hidden = await self._personal.hidden(unit, principal, form_id)
            trashed = ResponseTrashRepository(unit.session, unit.tenant)
            rows = await trashed.page(form_id, before, limit + 1, TRASHED_COLUMNS)
        documents = Documents(hidden)
        data = _TRASHED.validate_json(to_json([documents.trashed(row) for row in rows[:limit]]))
        more = None
        if len(rows) > limit:
            more = moment_cursor(form_id, data[-1].deleted_at, data[-1].id)
        return Page[TrashedResponse](data=data, meta=PageMeta(limit=limit, next_cursor=more))

    async def restore(self, principal: Principal, response_id: str, override_quotas: bool = False) -> ResponseDetails:
        overriding = Overriding(override_quotas=override_quotas)

        async def change(unit: UnitOfWork, row: ResponseRow, form: PublishedForm | None) -> ResponseDetails:
            if form is None:
                raise ResponseNotFound
            await trash.restore(unit, principal, row, form.limit, _readmission(form, overriding))
            return await self._details(unit, principal, row)

        return await self._admitting(principal, response_id, change, trashed=True, override_quotas=override_quotas)

    async def purge(self, principal: Principal, response_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            row = await find_trashed(unit, principal, response_id, for_update=True)
            await trash.purge(unit, principal, [row])

    async def start_bulk(
        self, principal: Principal, form_id: str, command: BulkChange, idempotency_key: str | None
    ) -> StartedBulk:
        async with self._database.write(principal.tenant_id) as unit:
            await require_form(unit, principal, WRITE, form_id)
            require_override(principal, form_id, command.override_quotas)
            form = await self._searched.get(unit, form_id)
            hidden = await self._personal.hidden(unit, principal, form_id)
            return await bulk.start(unit, principal, form, command, idempotency_key, hidden)

    @asynccontextmanager
    async def _changing(
        self, principal: Principal, response_id: str, scope: str = WRITE
    ) -> AsyncIterator[tuple[UnitOfWork, ResponseRow]]:
        """A transaction that has the response for itself."""
        async with self._database.write(principal.tenant_id) as unit:
            yield unit, await find(unit, principal, scope, response_id, for_update=True)

    async def _admitting(
        self, principal: Principal, response_id: str, change: _Change, *, trashed: bool = False, override_quotas: bool
    ) -> ResponseDetails:
        """The response after a change that needs to know what its form admits now; None where it is not published."""
        async with self._database.read(principal.tenant_id) as unit:
            row = await (
                find_trashed(unit, principal, response_id) if trashed else find(unit, principal, WRITE, response_id)
            )
        require_override(principal, row.form_id, override_quotas)
        form: PublishedForm | None = None
        with suppress(FormNotFound):
            form = await self._forms.get(principal.tenant_id, form_id=row.form_id)
        for _ in range(_ATTEMPTS):
            try:
                async with self._database.write(principal.tenant_id) as unit:
                    if trashed:
                        row = await find_trashed(unit, principal, response_id, for_update=True)
                    else:
                        row = await find(unit, principal, WRITE, response_id, for_update=True)
                    return await change(unit, row, form)
            except RegimeOutdated:
                form = await self._forms.renewed(principal.tenant_id, row.form_id)
        raise SubmissionConflict

    async def _details(self, unit: UnitOfWork, principal: Principal, row: ResponseRow) -> ResponseDetails:
        await unit.session.flush()
        return ResponseDetails.model_validate_json((await self._written(unit, principal, WRITE, row.id)).content)

    async def _written(self, unit: UnitOfWork, principal: Principal, scope: str, response_id: str) -> WrittenResponse:
        row = await find_row(unit, principal, scope, response_id, _DETAILS)
        hidden = await self._personal.hidden(unit, principal, row.form_id, row.newest_version)
        comments: Sequence[ResponseComment] = ()
        if row.commented:
            comments = await ResponseCommentRepository(unit.session, unit.tenant).of(row.id)
        return WrittenResponse(to_json(Documents(hidden).details(row, comments)), row.revision)


def _readmission(form: PublishedForm | None, command: _Overriding) -> Readmission:
    return Readmission(None if form is None else form.admission, command.override_quotas)


def _keyed(principal: Principal, act: str, response_id: str, key: str | None, command: object) -> KeyedCall:
    return KeyedCall(principal.tenant_id, f"{act}:{response_id}:{principal.subject}", key, fingerprint(command))


def _replayed(details: ResponseDetails) -> ResponseDetails:
    return details.model_copy(update={"replayed": True})
