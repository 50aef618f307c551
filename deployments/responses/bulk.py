"""One change to many responses, as a job: each response once, however often the job is taken up again (R7)."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from db.models.responses import Response
from db.repositories.bulk_runs import BulkRunRepository, advanced
from db.repositories.jobs import JobRepository
from db.repositories.response_tags import ResponseTagRepository
from db.repositories.responses import COMPLETE, ResponseRepository, Selection
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.errors import FormNotFound, IdempotencyMismatch
from deployments.responses.finding import WRITE, require_form
from deployments.responses.life_contracts import MAX_TAGS, BulkChange, StartedBulk
from deployments.responses.published import PublishedForms
from deployments.responses.reviewing import assigned, require_reader, reviewed, tagged
from deployments.responses.trash import brought_back
from eventing.events.envelope import EventData, Origin
from eventing.events.responses import ResponseDeleted, ResponseRestored
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, enqueue
from eventing.outbox import record

BULK: Final = "responses.bulk"

_BATCH: Final = 100
_MOST_ERRORS: Final = 1_000
_NO_TALLY: Final = {"changed": 0, "unchanged": 0, "failed": 0}

Outcome: TypeAlias = Literal["changed", "unchanged", "failed"]


async def start(
    unit: UnitOfWork, principal: Principal, form_id: str, command: BulkChange, key: str | None
) -> StartedBulk:
    """Order the job. Raises Forbidden, FormNotFound, InvalidChange, IdempotencyMismatch."""
    await require_form(unit, principal, WRITE, form_id)
    if command.action == "assign":
        await require_reader(unit, form_id, command.user_id)
    order = {"form_id": form_id, "change": command.model_dump(mode="json")}
    payload = {**order, "ordered_at": utc_now().isoformat()}
    unique_key = None if key is None else f"{BULK}:{form_id}:{principal.subject}:{key}"
    job_id = await enqueue(unit, JobSpec(BULK, payload, created_by=principal.subject, unique_key=unique_key))
    if unique_key is None:
        return StartedBulk(job_id=job_id)
    job = await JobRepository(unit.session, unit.tenant).find(job_id)
    if job is None or {name: job.payload.get(name) for name in order} != order:
        raise IdempotencyMismatch
    return StartedBulk(job_id=job_id, replayed=job.payload != payload)


@dataclass(slots=True)
class _Batch:
    """What becomes of some responses of a form."""

    tally: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, response_id: str, code: str, detail: str) -> None:
        self.tally["failed"] += 1
        self.errors.append({"id": response_id, "code": code, "detail": detail})


class BulkJob:
    """Changes the responses in the order of their ids. Where it is, is kept in the transaction of the changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forms = PublishedForms(database)

    async def run(self, job: JobRun) -> Done:
        """Make the change. Raises GiveUp when the form is gone."""
        form_id: str = job.payload["form_id"]
        command = BulkChange.model_validate(job.payload["change"])
        ordered_at = datetime.fromisoformat(job.payload["ordered_at"])
        total = await self._begin(job, form_id, command, ordered_at)
        done: int | None = 0
        while done is not None:
            await job.progress(done, total)
            try:
                form = await self._forms.get(job.tenant_id, form_id=form_id)
            except FormNotFound as error:
                raise GiveUp("the form is gone") from error
            async with self._database.write(job.tenant_id) as unit:
                done = await self._step(unit, job, form_id, command, ordered_at, form.limit)
        async with self._database.read(job.tenant_id) as unit:
            run = await BulkRunRepository(unit.session, unit.tenant).find(job.id)
        tally = dict(_NO_TALLY) if run is None else run.tally
        await job.progress(sum(tally.values()), total)

        async def effect(unit: UnitOfWork) -> None:
            await BulkRunRepository(unit.session, unit.tenant).end(job.id)

        errors = [] if run is None else run.errors
        return Done({"form_id": form_id, "action": command.action, **tally, "errors": errors}, effect)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job."""
        return (JobKind(BULK, "default", self.run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),)

    async def _begin(self, job: JobRun, form_id: str, command: BulkChange, ordered_at: datetime) -> int:
        async with self._database.write(job.tenant_id) as unit:
            runs = BulkRunRepository(unit.session, unit.tenant)
            known = await runs.find(job.id)
            if known is not None:
                return known.total
            if command.ids is not None:
                total = len(set(command.ids))
            else:
                responses = ResponseRepository(unit.session, unit.tenant)
                total = await responses.count_matching(form_id, _selection(command, ordered_at))
            await runs.begin(job.id, total, _NO_TALLY)
            return total

    async def _step(
        self,
        unit: UnitOfWork,
        job: JobRun,
        form_id: str,
        command: BulkChange,
        ordered_at: datetime,
        limit: int | None,
    ) -> int | None:
        """Change the next few; how many are done now, None when there are no more."""
        # The lock keeps a worker that was taken for dead from changing the same ones.
        run = await BulkRunRepository(unit.session, unit.tenant).find(job.id, for_update=True)
        if run is None:
            return None
        ids = await _next_ids(unit, form_id, command, ordered_at, run.after_id)
        if not ids:
            return None
        batch = _Batch()
        rows = await ResponseRepository(unit.session, unit.tenant).chosen(form_id, ids)
        for missing in sorted(set(ids) - {row.id for row in rows}):
            batch.fail(missing, "response.not_found", "There is no such response.")
        facts = await _change(unit, command, rows, job.created_by, limit, batch)
        for fact in facts:
            record(unit, fact, actor=job.created_by, origin=Origin())
        room = max(0, _MOST_ERRORS - len(run.errors))
        advanced(run, ids[-1], batch.tally, batch.errors[:room])
        return sum(run.tally.values())


async def _next_ids(
    unit: UnitOfWork, form_id: str, command: BulkChange, ordered_at: datetime, after_id: str
) -> Sequence[str]:
    if command.ids is not None:
        return sorted(id_ for id_ in set(command.ids) if id_ > after_id)[:_BATCH]
    selection = _selection(command, ordered_at)
    responses = ResponseRepository(unit.session, unit.tenant)
    return await responses.ids(form_id, selection, after_id=after_id, limit=_BATCH)


def _selection(command: BulkChange, ordered_at: datetime) -> Selection:
    """What the filter means, of the responses that were there when the job was ordered."""
    wanted = command.filter
    if wanted is None:
        raise ValueError("the responses are chosen by their ids")
    before = ordered_at if wanted.submitted_before is None else min(ordered_at, wanted.submitted_before)
    return Selection(
        trashed=command.action == "restore",
        status=wanted.status,
        tag=wanted.tag,
        submitted_from=wanted.submitted_from,
        submitted_before=before,
    )


async def _change(
    unit: UnitOfWork, command: BulkChange, rows: Sequence[Response], by: str, limit: int | None, batch: _Batch
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
        there = await _fitting(unit, there, limit, batch)
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
    complete = sum(row.status == COMPLETE for row in rows)
    more = {"trash": -complete, "restore": complete}.get(command.action, 0)
    counted = await ResponseRepository(unit.session, unit.tenant).next_changes(rows[0].form_id, len(rows), more=more)
    now = utc_now()
    for change, row in enumerate(rows, counted.last - len(rows) + 1):
        row.change, row.updated_at = change, now
