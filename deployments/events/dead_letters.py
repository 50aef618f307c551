"""The rules of dead letters: who may see them, and what becomes of one or many."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from db.models.events import DeadLetter
from db.repositories.bulk_runs import BulkRunRepository, advanced
from db.repositories.dead_letters import DeadLetterRepository, Letters
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.events.errors import DeadLetterNotFound, InvalidChoice, NotRedrivable
from deployments.events.recovery_contracts import ChooseDeadLetters, FindDeadLetters
from deployments.kit.audit import audit
from deployments.kit.principal import Principal
from eventing.jobs import Done, JobKind, JobRun, JobSpec, enqueue
from eventing.relay import RELAY
from eventing.turns import redrive

Action: TypeAlias = Literal["redrive", "discard"]

WRITE: Final = "events:write"
MANY: Final = "events.dead_letters"

_BATCH: Final = 100
_MOST_ERRORS: Final = 1_000
_NO_TALLY: Final = {"done": 0, "failed": 0}
_DONE: Final = {"redrive": "dead_letter.redriven", "discard": "dead_letter.discarded"}


def letters_of(unit: UnitOfWork) -> DeadLetterRepository:
    return DeadLetterRepository(unit.session, unit.tenant)


def chosen(query: FindDeadLetters, *, before: datetime | None = None) -> Letters:
    """What a query means, of the letters that were there `before`."""
    limits = [moment for moment in (query.until, before) if moment is not None]
    ids = query.ids if isinstance(query, ChooseDeadLetters) else None
    return Letters(
        consumer=query.consumer,
        event_type=query.type,
        since=query.since,
        before=min(limits, default=None),
        ids=None if ids is None else tuple(ids),
    )


async def act(
    unit: UnitOfWork, principal: Principal, consumers: Mapping[str, bool], letter_id: str, action: Action
) -> None:
    """Redrive or discard one letter. Raises Forbidden, DeadLetterNotFound, NotRedrivable."""
    principal.require(WRITE)
    letter = await letters_of(unit).find(letter_id, for_update=True)
    if letter is None or not await _act(unit, consumers, letter, action):
        raise DeadLetterNotFound if letter is None else NotRedrivable
    _note(unit, principal, letter, action)


async def order(unit: UnitOfWork, principal: Principal, command: ChooseDeadLetters, action: Action) -> str:
    """The id of the job that does it to many. Raises Forbidden, InvalidChoice."""
    principal.require(WRITE)
    if not command.model_dump(exclude_none=True):
        raise InvalidChoice.at("", "choice.missing", "say which: by ids, consumer, type, since or until")
    choice = command.model_dump(mode="json", exclude_none=True)
    payload = {"action": action, "choice": choice, "ordered_at": utc_now().isoformat()}
    job_id = await enqueue(unit, JobSpec(MANY, payload, created_by=principal.subject))
    audit(unit, principal, f"dead_letters.{action}", job_id, **choice)
    return job_id


class ManyDeadLetters:
    """Redrives or discards letters in the order of their ids. Where it is, is kept in the transaction of what it does,
    so a new attempt goes on there."""

    def __init__(self, database: Database, consumers: Mapping[str, bool]) -> None:
        self._database = database
        self._consumers = consumers

    async def run(self, job: JobRun) -> Done:
        """Do it to every letter that was there when it was ordered, and report those for which it cannot be done."""
        action: Action = job.payload["action"]
        before = datetime.fromisoformat(job.payload["ordered_at"])
        letters = chosen(ChooseDeadLetters.model_validate(job.payload["choice"]), before=before)
        async with self._database.write(job.tenant_id) as unit:
            runs = BulkRunRepository(unit.session, unit.tenant)
            if await runs.find(job.id) is None:
                await runs.begin(job.id, await letters_of(unit).count(letters), _NO_TALLY)
        more = True
        while more:
            async with self._database.write(job.tenant_id) as unit:
                more, tally, errors, total = await self._step(unit, job, letters, action)
            await job.progress(sum(tally.values()), total)

        async def effect(unit: UnitOfWork) -> None:
            await BulkRunRepository(unit.session, unit.tenant).end(job.id)

        return Done({"action": action, **tally, "errors": errors}, effect)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job."""
        return (JobKind(MANY, "default", self.run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),)

    async def _step(
        self, unit: UnitOfWork, job: JobRun, letters: Letters, action: Action
    ) -> tuple[bool, dict[str, int], list[dict[str, Any]], int]:
        """Do it to the next few; whether there may be more, and how far the run is."""
        # The lock keeps a worker that was taken for dead from doing the same.
        run = await BulkRunRepository(unit.session, unit.tenant).find(job.id, for_update=True)
        if run is None:
            return False, dict(_NO_TALLY), [], 0
        batch = await letters_of(unit).next(letters, run.after_id, _BATCH)
        principal = Principal(unit.tenant, job.created_by, "system")
        failed: list[dict[str, Any]] = []
        for letter in batch:
            if await _act(unit, self._consumers, letter, action):
                _note(unit, principal, letter, action)
            else:
                failed.append({"id": letter.id, "code": NotRedrivable.code, "detail": NotRedrivable.title})
        if batch:
            outcomes = {"done": len(batch) - len(failed), "failed": len(failed)}
            advanced(run, batch[-1].id, outcomes, failed[: max(0, _MOST_ERRORS - len(run.errors))])
        return len(batch) == _BATCH, run.tally, run.errors, run.total


async def _act(unit: UnitOfWork, consumers: Mapping[str, bool], letter: DeadLetter, action: Action) -> bool:
    if action == "discard":
        return await letters_of(unit).remove(letter.id)
    return letter.consumer in {*consumers, RELAY} and await redrive(unit, letter)


def _note(unit: UnitOfWork, principal: Principal, letter: DeadLetter, action: Action) -> None:
    audit(unit, principal, _DONE[action], letter.id, consumer=letter.consumer, event_id=letter.event_id)
