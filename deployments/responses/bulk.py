"""One change to many responses, as a job: each response once, however often the job is taken up again (R7)."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, Self, TypeAlias

from db.models.responses import Response
from db.repositories.admission import RegimeOutdated
from db.repositories.bulk_runs import BulkRunRepository, advanced
from db.repositories.jobs import JobRepository
from db.repositories.response_filters import Column, Every, Search, Test
from db.repositories.response_query import IndexBehind, Position, ResponseQueryRepository
from db.repositories.response_statements import Order
from db.repositories.response_tags import ResponseTagRepository
from db.repositories.response_trash import ResponseTrashRepository
from db.repositories.responses import COMPLETE, ResponseRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import Selection
from deployments.responses.errors import FormNotFound, IdempotencyMismatch, InvalidChange
from deployments.responses.life_contracts import MAX_TAGS, BulkChange, StartedBulk
from deployments.responses.published import PublishedForm, PublishedForms
from deployments.responses.query.forms import SearchedForm, SearchedForms
from deployments.responses.query.listing import search_of
from deployments.responses.readmission import Readmission
from deployments.responses.reviewing import assigned, require_reader, reviewed, tagged
from deployments.responses.trash import brought_back, forget_verdicts
from eventing.events.envelope import EventData, Origin
from eventing.events.responses import ResponseDeleted, ResponseRestored
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue
from eventing.outbox import record

BULK: Final = "responses.bulk"

_BATCH: Final = 100
_READ_S: Final = 300.0
_BEHIND_S: Final = 15.0
_OLDEST_FIRST: Final = Order()
_PLACE: Final = ("id", "submitted_at")
_SHORT: Final = {
    "tag": ("tags", "all"),
    "submitted_from": ("submitted_at", "gte"),
    "submitted_before": ("submitted_at", "lt"),
}
_MOST_ERRORS: Final = 1_000
_NO_TALLY: Final = {"changed": 0, "unchanged": 0, "failed": 0}

Outcome: TypeAlias = Literal["changed", "unchanged", "failed"]


async def start(
    unit: UnitOfWork,
    principal: Principal,
    form: SearchedForm,
    command: BulkChange,
    key: str | None,
    hidden: Collection[str],
) -> StartedBulk:
    """Order the job, by a principal who does not see the `hidden` fields. Raises Invalid, InvalidChange,
    IdempotencyMismatch."""
    if command.action == "assign":
        await require_reader(unit, form.form_id, command.user_id)
    if command.ids is None:
        _search(form, command, hidden)
    order = {"form_id": form.form_id, "change": command.model_dump(mode="json")}
    through = await ResponseRepository(unit.session, unit.tenant).last_change(form.form_id)
    payload = {**order, "through": through, "ordered_at": utc_now().isoformat()}
    unique_key = None if key is None else f"{BULK}:{form.form_id}:{principal.subject}:{key}"
    job_id = await enqueue(unit, JobSpec(BULK, payload, created_by=principal.subject, unique_key=unique_key))
    if unique_key is None:
        return StartedBulk(job_id=job_id)
    job = await JobRepository(unit.session, unit.tenant).find(job_id)
    if job is None or {name: job.payload.get(name) for name in order} != order:
        raise IdempotencyMismatch
    return StartedBulk(job_id=job_id, replayed=job.payload["ordered_at"] != payload["ordered_at"])


@dataclass(frozen=True, slots=True)
class _Order:
    """What a job is to do. `through` is the number of the form's last change when it was ordered."""

    form_id: str
    command: BulkChange
    through: int

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        return cls(payload["form_id"], BulkChange.model_validate(payload["change"]), payload["through"])

    def search(self, form: SearchedForm) -> Search:
        """What the job is about, as it was when it was ordered: each of its own changes has a higher number."""
        found = _search(form, self.command, ())
        frozen = Test(Column("change"), "lte", (float(self.through),))
        return replace(found, condition=Every((*found.condition.parts, frozen)))


@dataclass(slots=True)
class _Batch:
    """What becomes of some responses of a form."""

    tally: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, response_id: str, code: str, detail: str) -> None:
        self.tally["failed"] += 1
        self.errors.append({"id": response_id, "code": code, "detail": detail})


class BulkJob:
    """Changes the responses in one order. Where it is, is kept in the transaction of the changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forms = PublishedForms(database)
        self._searched = SearchedForms()

    async def run(self, job: JobRun) -> Done:
        """Make the change. Raises GiveUp when the form is gone."""
        order = _Order.of(job.payload)
        try:
            total = await self._begin(job, order)
            done: int | None = 0
            while done is not None:
                await job.progress(done, total)
                form = await self._forms.get(job.tenant_id, form_id=order.form_id)
                try:
                    done = await self._step(job, order, form)
                except RegimeOutdated:
                    await self._forms.renewed(job.tenant_id, order.form_id)
        except FormNotFound as error:
            raise GiveUp("the form is gone") from error
        async with self._database.read(job.tenant_id) as unit:
            run = await BulkRunRepository(unit.session, unit.tenant).find(job.id)
        tally = dict(_NO_TALLY) if run is None else run.tally
        # Somebody has changed the others since the job began.
        tally["unchanged"] += max(0, total - sum(tally.values()))
        await job.progress(total, total)

        async def effect(unit: UnitOfWork) -> None:
            await BulkRunRepository(unit.session, unit.tenant).end(job.id)

        errors = [] if run is None else run.errors
        return Done({"form_id": order.form_id, "action": order.command.action, **tally, "errors": errors}, effect)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job."""
        return (JobKind(BULK, "default", self.run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),)

    async def _begin(self, job: JobRun, order: _Order) -> int:
        async with self._database.read(job.tenant_id) as unit:
            known = await BulkRunRepository(unit.session, unit.tenant).find(job.id)
        if known is not None:
            return known.total
        total = await self._count(job, order)
        async with self._database.write(job.tenant_id) as unit:
            runs = BulkRunRepository(unit.session, unit.tenant)
            await runs.begin(job.id, total, _NO_TALLY)
            begun = await runs.find(job.id)
            return total if begun is None else begun.total

    async def _step(self, job: JobRun, order: _Order, form: PublishedForm) -> int | None:
        """Change the next few; how many are done now, None when there are no more."""
        async with self._database.read(job.tenant_id) as unit:
            begun = await BulkRunRepository(unit.session, unit.tenant).find(job.id)
        if begun is None:
            return None
        # Read before the transaction that writes: on SQLite everybody waits for that one.
        ids, ends = await self._next(job, order, begun.after_id)
        if not ids:
            return None
        async with self._database.write(job.tenant_id) as unit:
            # The lock keeps a worker that was taken for dead from changing the same ones.
            run = await BulkRunRepository(unit.session, unit.tenant).find(job.id, for_update=True)
            if run is None:
                return None
            if run.after_id != begun.after_id:
                return sum(run.tally.values())
            batch = _Batch()
            rows = await ResponseRepository(unit.session, unit.tenant).chosen(order.form_id, ids)
            if order.command.ids is None:
                rows = [row for row in rows if row.change <= order.through]
            else:
                for missing in sorted(set(ids) - {row.id for row in rows}):
                    batch.fail(missing, "response.not_found", "There is no such response.")
            facts = await _change(unit, order.command, rows, job.created_by, form, batch)
            for fact in facts:
                record(unit, fact, actor=job.created_by, origin=Origin())
            room = max(0, _MOST_ERRORS - len(run.errors))
            advanced(run, ends, batch.tally, batch.errors[:room])
            return sum(run.tally.values())

    async def _count(self, job: JobRun, order: _Order) -> int:
        if order.command.ids is not None:
            return len(set(order.command.ids))
        async with self._reading(job) as unit:
            form = await self._searched.get(unit, order.form_id)
            search = order.search(form)
            if order.command.action == "restore":
                trash = ResponseTrashRepository(unit.session, unit.tenant)
                return await trash.count_matching(order.form_id, search.condition)
            return await ResponseQueryRepository(unit.connection, unit.tenant, order.form_id, form.rules).count(search)

    async def _next(self, job: JobRun, order: _Order, after: str) -> tuple[Sequence[str], str]:
        """The ids of the next responses, and where the job is after them."""
        if order.command.ids is not None:
            ids = sorted(id_ for id_ in set(order.command.ids) if id_ > after)[:_BATCH]
            return ids, ids[-1] if ids else after
        async with self._reading(job) as unit:
            form = await self._searched.get(unit, order.form_id)
            search = order.search(form)
            if order.command.action == "restore":
                trash = ResponseTrashRepository(unit.session, unit.tenant)
                found = await trash.ids(order.form_id, search.condition, after_id=after, limit=_BATCH)
                return found, found[-1] if found else after
            responses = ResponseQueryRepository(unit.connection, unit.tenant, order.form_id, form.rules)
            rows = await responses.page(search, _OLDEST_FIRST, _position(after), _BATCH, _PLACE)
        return [
            row.id for row, _ in rows
        ], f"{rows[-1][1].submitted_at.isoformat()} {rows[-1][1].id}" if rows else after

    @asynccontextmanager
    async def _reading(self, job: JobRun) -> AsyncIterator[UnitOfWork]:
        """A view to search in. Raises Retry while the index is behind, as it may be by the job's own changes."""
        try:
            async with self._database.snapshot(job.tenant_id, limit_s=_READ_S) as unit:
                yield unit
        except IndexBehind as error:
            raise Retry("the index of answers is behind", _BEHIND_S) from error


def _position(text: str) -> Position | None:
    if not text:
        return None
    at, _, last_id = text.partition(" ")
    return Position(None, datetime.fromisoformat(at), last_id)


def _search(form: SearchedForm, command: BulkChange, hidden: Collection[str]) -> Search:
    """What a command looks for. Raises Invalid."""
    if command.action == "restore" and command.q is not None:
        raise InvalidChange.at("/q", "search.trashed", "What is in the trash cannot be searched by words.")
    wanted = {name: value for name, value in (command.filter or {}).items() if value is not None}
    known = Selection(filter={}, where=command.where, q=command.q)
    for name, (long, operator) in _SHORT.items():
        if name in wanted:
            value, tests = wanted.pop(name), wanted.get(long, {})
            wanted[long] = {**(tests if isinstance(tests, dict) else {"": tests}), operator: value}
    return search_of(form, known.model_copy(update={"filter": wanted}), hidden)


async def _change(
    unit: UnitOfWork, command: BulkChange, rows: Sequence[Response], by: str, form: PublishedForm, batch: _Batch
) -> list[EventData]:
    """Change locked rows; what happened to them."""
    wants_trashed = command.action == "restore"
    there: list[Response] = []
    for row in rows:
        if (row.deleted_at is not None) == wants_trashed:
            there.append(row)
        elif command.action in ("trash", "restore"):
            batch.tally["unchanged"] += 1
        else:
            batch.fail(row.id, "response.not_found", "The response is in the trash.")
    if not there:
        return []
    if command.action == "restore":
        there = await _fitting(unit, there, form.limit, batch)
        there = await _admitted(unit, there, Readmission(form.admission, command.override_quotas), batch)
    tags = await ResponseTagRepository(unit.session, unit.tenant).of([row.id for row in there])
    changed: list[tuple[Response, EventData]] = []
    for row in there:
        present = frozenset(tags.get(row.id, ()))
        if command.action == "tag" and len(present | set(command.tags)) > MAX_TAGS:
            batch.fail(row.id, "length.max", f"A response has at most {MAX_TAGS} tags.")
        elif (fact := _act(command, row, by, present)) is None:
            batch.tally["unchanged"] += 1
        else:
            batch.tally["changed"] += 1
            changed.append((row, fact))
    await _store(unit, command, changed)
    return [fact for _, fact in changed]


async def _fitting(unit: UnitOfWork, rows: list[Response], limit: int | None, batch: _Batch) -> list[Response]:
    """Those of the rows for which the form has room; the counter stays locked, so that it still has it later."""
    counted = await ResponseRepository(unit.session, unit.tenant).next_changes(rows[0].form_id, 0)
    room = len(rows) if limit is None else max(0, limit - counted.responses)
    fitting: list[Response] = []
    for row in rows:
        if row.status != COMPLETE:
            fitting.append(row)
        elif room:
            room -= 1
            fitting.append(row)
        else:
            batch.fail(row.id, "quota.responses", "The form holds as many responses as it may.")
    return fitting


async def _admitted(unit: UnitOfWork, rows: list[Response], readmission: Readmission, batch: _Batch) -> list[Response]:
    """Those of the rows that the form's quotas and unique answers allow, one after the other."""
    counting = [row for row in rows if row.status == COMPLETE]
    found = await readmission.refusals(unit, [(row, row.answers, None) for row in counting])
    refused = set()
    for row, error in zip(counting, found, strict=True):
        if error is not None:
            refused.add(row.id)
            code = error.faults[0].code if isinstance(error, Invalid) else error.code
            batch.fail(row.id, code, str(error))
    return [row for row in rows if row.id not in refused]


def _act(command: BulkChange, row: Response, by: str, present: Collection[str]) -> EventData | None:
    match command.action:
        case "trash":
            row.deleted_at, row.deleted_by = utc_now(), by
            return ResponseDeleted(response_id=row.id, form_id=row.form_id)
        case "restore":
            brought_back(row)
            return ResponseRestored(response_id=row.id, form_id=row.form_id)
        case "review":
            return reviewed(row, command.review or "none", by, utc_now())
        case "assign":
            return assigned(row, command.user_id)
        case "tag":
            return tagged(row, set(command.tags) - set(present), ())
        case "untag":
            return tagged(row, (), set(command.tags) & set(present))


async def _store(unit: UnitOfWork, command: BulkChange, changed: list[tuple[Response, EventData]]) -> None:
    if not changed:
        return
    rows = [row for row, _ in changed]
    tags = ResponseTagRepository(unit.session, unit.tenant)
    if command.action == "tag":
        present = await tags.of([row.id for row in rows])
        missing = [(row.id, tag) for row in rows for tag in command.tags if tag not in present.get(row.id, ())]
        await tags.add(rows[0].form_id, missing)
    elif command.action == "untag":
        await tags.remove([row.id for row in rows], command.tags)
    elif command.action == "trash":
        await forget_verdicts(unit, rows)
    complete = sum(row.status == COMPLETE for row in rows)
    more = {"trash": -complete, "restore": complete}.get(command.action, 0)
    counted = await ResponseRepository(unit.session, unit.tenant).next_changes(rows[0].form_id, len(rows), more=more)
    now = utc_now()
    for change, row in enumerate(rows, counted.last - len(rows) + 1):
        row.change, row.updated_at = change, now
