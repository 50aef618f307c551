"""What models have still to look at, and writing what they said, each of it once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form
from db.models.inference import AnswerVector, EnrichmentTask, EnrichmentTurn, Verdict
from db.models.responses import Response
from db.repositories.answer_sql import sql_of
from db.repositories.responses import COMPLETE, ResponseRepository
from db.repositories.upsert import upsert
from db.types import new_id

# Who judges looks past all that counts as blank, and finds nothing in what is left empty.
_BLANKS: Final = "".join(filter(str.isspace, map(chr, range(0x3001))))


@dataclass(frozen=True, slots=True)
class Judged:
    """A model and how many answers it has judged under a name."""

    field: str
    name: str
    model: str
    count: int


@dataclass(frozen=True, slots=True)
class Enriched:
    """What models said of a response: its new `inference`, and the rows of verdicts and vectors."""

    response_id: str
    mark: str
    inference: dict[str, Any]
    verdicts: tuple[dict[str, Any], ...]
    vectors: tuple[dict[str, Any], ...]


class EnrichmentRepository:
    """The tasks and verdicts of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._sql = sql_of(session.get_bind().dialect.name)

    # What is to be done.

    async def wanting(self, form_ids: Collection[str]) -> set[str]:
        """Those of the forms whose settings name anything for models."""
        statement = select(col(Form.id), col(Form.settings)).where(
            col(Form.tenant_id) == self._tenant_id, col(Form.id).in_(form_ids), col(Form.deleted_at).is_(None)
        )
        return {form_id for form_id, settings in await self._session.execute(statement) if settings.get("ai")}

    async def form(self, form_id: str) -> Row[Any] | None:
        """The settings of a form that is not in the trash, and the kinds of verdicts it has."""
        statement = select(col(Form.settings), col(Form.inferred)).where(
            col(Form.tenant_id) == self._tenant_id, col(Form.id) == form_id, col(Form.deleted_at).is_(None)
        )
        return (await self._session.execute(statement)).one_or_none()

    async def mark(self, form_id: str, response_ids: Collection[str]) -> int:
        """Have models look at these responses of a form, as far as they are complete and there; how many."""
        found = (
            select(literal(self._tenant_id), col(Response.id), literal(form_id), literal(new_id("mrk")))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == form_id,
                self._sql.is_in(col(Response.id), sorted(response_ids)),
                col(Response.deleted_at).is_(None),
                col(Response.status) == COMPLETE,
            )
            # One order, so that two who mark the same do not wait for each other.
            .order_by(col(Response.id))
        )
        made = upsert(self._session, EnrichmentTask).from_select(["tenant_id", "response_id", "form_id", "mark"], found)
        statement = made.on_conflict_do_update(
            index_elements=["tenant_id", "response_id"], set_={"mark": made.excluded.mark, "error": None}
        )
        result: Any = await self._session.execute(statement)
        return int(result.rowcount)

    async def ids(self, form_id: str, after_id: str, limit: int) -> Sequence[str]:
        """Complete responses of a form by id, after `after_id`."""
        statement = (
            select(col(Response.id))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == form_id,
                col(Response.id) > after_id,
                col(Response.deleted_at).is_(None),
                col(Response.status) == COMPLETE,
            )
            .order_by(col(Response.id))
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def next_form(self, after: str) -> str | None:
        """The form after `after` that has anything to be done."""
        statement = select(func.min(col(EnrichmentTask.form_id))).where(
            *self._open(), col(EnrichmentTask.form_id) > after
        )
        return await self._session.scalar(statement)

    async def next_tasks(self, form_id: str, limit: int) -> Sequence[Row[Any]]:
        """What is to be done in a form, with the answers as they are."""
        same = and_(
            col(Response.tenant_id) == col(EnrichmentTask.tenant_id),
            col(Response.id) == col(EnrichmentTask.response_id),
        )
        statement = (
            select(
                col(EnrichmentTask.response_id),
                col(EnrichmentTask.mark),
                col(Response.answers),
                col(Response.meta),
                col(Response.revision),
                col(Response.version),
                col(Response.submitted_at),
                col(Response.status),
                col(Response.deleted_at),
            )
            .join(Response, same)
            .where(*self._open(), col(EnrichmentTask.form_id) == form_id)
            .order_by(col(EnrichmentTask.response_id))
            .limit(limit)
        )
        return (await self._session.execute(statement)).all()

    async def has_tasks(self) -> bool:
        """Whether anything is to be done."""
        return await self._session.scalar(select(literal(1)).where(*self._open()).limit(1)) is not None

    async def drop(self, response_ids: Collection[str]) -> None:
        """Let nothing be to do about these responses."""
        statement = delete(EnrichmentTask).where(
            col(EnrichmentTask.tenant_id) == self._tenant_id,
            self._sql.is_in(col(EnrichmentTask.response_id), sorted(response_ids)),
        )
        await self._session.execute(statement.execution_options(synchronize_session=False))

    async def fail(self, marks: Collection[tuple[str, str]], error: str) -> None:
        """Give these up, by response and mark, until they are ordered again."""
        for response_id, mark in sorted(marks):
            await self._session.execute(
                update(EnrichmentTask)
                .where(
                    col(EnrichmentTask.tenant_id) == self._tenant_id,
                    col(EnrichmentTask.response_id) == response_id,
                    col(EnrichmentTask.mark) == mark,
                )
                .values(error=error)
                .execution_options(synchronize_session=False)
            )

    def _open(self) -> tuple[ColumnElement[bool], ...]:
        return col(EnrichmentTask.tenant_id) == self._tenant_id, col(EnrichmentTask.error).is_(None)

    # The turn.

    async def turn(self) -> EnrichmentTurn:
        """The tenant's turn, locked."""
        made = upsert(self._session, EnrichmentTurn).values(tenant_id=self._tenant_id, turn=0)
        await self._session.execute(made.on_conflict_do_nothing())
        found = await self._session.get(EnrichmentTurn, self._tenant_id, with_for_update=True, populate_existing=True)
        if found is None:
            raise LookupError("the turn was removed")
        return found

    async def see(self, turn: int, now: datetime) -> bool:
        """Say that the job of a turn is alive; whether it is still its turn."""
        mine = col(EnrichmentTurn.tenant_id) == self._tenant_id, col(EnrichmentTurn.turn) == turn
        seen = update(EnrichmentTurn).where(*mine).values(seen_at=now).returning(col(EnrichmentTurn.turn))
        return await self._session.scalar(seen.execution_options(synchronize_session=False)) is not None

    # What was said.

    async def write(
        self, form_id: str, revisions: Mapping[str, int], found: Sequence[Enriched], error: str | None = None
    ) -> list[tuple[Enriched, bool]]:
        """Write what is about the revision that a response is at, and take its task away, or give the task up for the
        `error`; each with whether any of it is new. What is gone, was edited or was ordered again meanwhile is left
        out, and looked at again.

        Who holds a response holds its task, verdicts and vectors: all who write them lock the response first.
        """
        current = await self._locked(form_id, revisions)
        mine = [each for each in found if each.response_id in current]
        done = await self._take(mine, error)
        mine = [each for each in mine if each.response_id in done]
        told = await self._add_verdicts([row for each in mine for row in each.verdicts])
        told |= await self._put_vectors([row for each in mine for row in each.vectors])
        changed = [
            each for each in mine if each.response_id in told or (current[each.response_id] or {}) != each.inference
        ]
        await self._show(form_id, changed)
        return [(each, each.response_id in told) for each in mine]

    async def _locked(self, form_id: str, revisions: Mapping[str, int]) -> dict[str, dict[str, Any] | None]:
        statement = (
            select(col(Response.id), col(Response.revision), col(Response.inference))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == form_id,
                self._sql.is_in(col(Response.id), sorted(revisions)),
                col(Response.deleted_at).is_(None),
                col(Response.status) == COMPLETE,
            )
            .order_by(col(Response.id))
            .with_for_update()
        )
        rows = (await self._session.execute(statement)).all()
        return {row.id: row.inference for row in rows if row.revision == revisions[row.id]}

    async def _take(self, found: Sequence[Enriched], error: str | None) -> set[str]:
        """Take the tasks away, or give them up; whose were still there as they were read."""
        if not found:
            return set()
        marks = {each.response_id: each.mark for each in found}
        change: Any = delete(EnrichmentTask) if error is None else update(EnrichmentTask).values(error=error)
        taken = (
            change.where(
                *self._open(),
                self._sql.is_in(col(EnrichmentTask.response_id), sorted(marks)),
                self._sql.is_in(col(EnrichmentTask.mark), sorted(set(marks.values()))),
            )
            .returning(col(EnrichmentTask.response_id))
            .execution_options(synchronize_session=False)
        )
        return set((await self._session.scalars(taken)).all())

    async def _add_verdicts(self, rows: Sequence[dict[str, Any]]) -> set[str]:
        """The responses of which something is new."""
        if not rows:
            return set()
        added = (
            upsert(self._session, Verdict)
            .values([{"tenant_id": self._tenant_id, **row} for row in rows])
            .on_conflict_do_nothing()
            .returning(col(Verdict.response_id))
        )
        return set((await self._session.scalars(added)).all())

    async def _put_vectors(self, rows: Sequence[dict[str, Any]]) -> set[str]:
        if not rows:
            return set()
        made = upsert(self._session, AnswerVector).values([{"tenant_id": self._tenant_id, **row} for row in rows])
        names = ("revision", "model", "vector")
        is_new = (col(AnswerVector.revision) != made.excluded.revision) | (
            col(AnswerVector.model) != made.excluded.model
        )
        put = made.on_conflict_do_update(
            index_elements=["tenant_id", "response_id", "field"],
            set_={name: getattr(made.excluded, name) for name in names},
            where=is_new,
        ).returning(col(AnswerVector.response_id))
        return set((await self._session.scalars(put)).all())

    async def _show(self, form_id: str, changed: Sequence[Enriched]) -> None:
        """Let readers see it: a change of the response like others."""
        if not changed:
            return
        counted = await ResponseRepository(self._session, self._tenant_id).next_changes(form_id, len(changed))
        statement = (
            update(Response)
            .where(col(Response.tenant_id) == self._tenant_id, col(Response.id) == bindparam("response"))
            .values(inference=bindparam("said"), change=bindparam("number"))
        )
        rows = [
            {"response": each.response_id, "said": each.inference or None, "number": number}
            for number, each in enumerate(changed, counted.last - len(changed) + 1)
        ]
        await (await self._session.connection()).execute(statement, rows)

    async def know(self, form_id: str, kinds: Sequence[tuple[str, str]]) -> None:
        """Remember kinds of verdicts, as field and name: new ones are columns after those that are known."""
        statement = select(col(Form.inferred)).where(col(Form.tenant_id) == self._tenant_id, col(Form.id) == form_id)
        wanted = [[field, name] for field, name in kinds]
        known = await self._session.scalar(statement) or []
        if all(kind in known for kind in wanted):
            return
        # Submissions refer to the form: they go on.
        known = list(await self._session.scalar(statement.with_for_update(key_share=True)) or ())
        new = [kind for kind in wanted if kind not in known]
        if new:
            mine = col(Form.tenant_id) == self._tenant_id, col(Form.id) == form_id
            changed = update(Form).where(*mine).values(inferred=[*known, *new])
            await self._session.execute(changed.execution_options(synchronize_session=False))

    # How far it is.

    async def counts(self, form_id: str) -> tuple[int, int, int]:
        """How many complete responses a form has; how many are to be looked at; how many were given up."""
        mine = col(Response.tenant_id) == self._tenant_id, col(Response.form_id) == form_id
        total = select(func.count()).where(*mine, col(Response.deleted_at).is_(None), col(Response.status) == COMPLETE)
        tasks = select(func.count(), func.count(col(EnrichmentTask.error))).where(
            col(EnrichmentTask.tenant_id) == self._tenant_id, col(EnrichmentTask.form_id) == form_id
        )
        waiting, failed = (await self._session.execute(tasks)).one()
        return await self._session.scalar(total) or 0, waiting - failed, failed

    async def unseen(self, form_id: str, judged: Sequence[tuple[str, str]], embedded: Sequence[str]) -> int:
        """How many complete responses nobody is to look at although something was not said of the revision that they
        are at: of a text in one of the fields that are `judged` under a name, or `embedded`."""
        if not judged and not embedded:
            return 0
        mine = col(Response.tenant_id) == self._tenant_id, col(Response.form_id) == form_id
        has_task = select(literal(1)).where(
            col(EnrichmentTask.tenant_id) == self._tenant_id, col(EnrichmentTask.response_id) == col(Response.id)
        )
        statement = select(func.count()).where(
            *mine,
            col(Response.deleted_at).is_(None),
            col(Response.status) == COMPLETE,
            ~has_task.exists(),
            or_(
                *(self._is_unsaid(Verdict, field, col(Verdict.name) == name) for field, name in judged),
                *(self._is_unsaid(AnswerVector, field) for field in embedded),
            ),
        )
        return await self._session.scalar(statement) or 0

    def _is_unsaid(self, table: Any, field: str, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        said = select(literal(1)).where(
            table.tenant_id == self._tenant_id,
            table.response_id == col(Response.id),
            table.field == field,
            table.revision == col(Response.revision),
            *conditions,
        )
        text = func.trim(self._sql.text(col(Response.answers), (field,)), _BLANKS)
        return and_(func.coalesce(text, "") != "", ~said.exists())

    async def failures(self, form_id: str) -> dict[str, int]:
        """Why responses were given up, and how many."""
        statement = (
            select(col(EnrichmentTask.error), func.count())
            .where(
                col(EnrichmentTask.tenant_id) == self._tenant_id,
                col(EnrichmentTask.form_id) == form_id,
                col(EnrichmentTask.error).is_not(None),
            )
            .group_by(col(EnrichmentTask.error))
        )
        return {str(error): count for error, count in await self._session.execute(statement)}

    async def versions(self, form_id: str) -> list[Judged]:
        """The models whose verdicts there are, earlier revisions included, and those of the vectors."""
        verdicts = (
            select(col(Verdict.field), col(Verdict.name), col(Verdict.model), func.count())
            .where(col(Verdict.tenant_id) == self._tenant_id, col(Verdict.form_id) == form_id)
            .group_by(col(Verdict.field), col(Verdict.name), col(Verdict.model))
        )
        vectors = (
            select(col(AnswerVector.field), literal("vector"), col(AnswerVector.model), func.count())
            .where(col(AnswerVector.tenant_id) == self._tenant_id, col(AnswerVector.form_id) == form_id)
            .group_by(col(AnswerVector.field), col(AnswerVector.model))
        )
        rows = [*(await self._session.execute(verdicts)), *(await self._session.execute(vectors))]
        return sorted((Judged(*row) for row in rows), key=lambda each: (each.field, each.name, each.model))
