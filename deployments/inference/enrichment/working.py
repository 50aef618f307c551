"""The job that has models look at the marked responses of a tenant, many at once, and writes what they say once."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import structlog

from db.repositories.enrichment import Enriched
from db.repositories.outbox import EventLogRepository
from db.repositories.responses import COMPLETE
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.inference.brought import served
from deployments.inference.classifiers.service import classifiers_of, head_of
from deployments.inference.enrichment.asking import Read, Speaker, Speakers
from deployments.inference.enrichment.judging import judge
from deployments.inference.enrichment.marking import ENRICH, QUEUE, begin_turn, tasks_of
from deployments.inference.errors import ClassifierUntrained
from deployments.kit.enrichment import VECTOR, EnrichmentPolicy
from deployments.kit.errors import DomainError, Unavailable
from deployments.kit.features import is_enabled, settings_of
from deployments.models.contracts import HeadRef, ModelsApi
from eventing.events.envelope import Origin
from eventing.events.inference import InferenceCompleted
from eventing.jobs import Done, JobKind, JobRun, Retry
from eventing.outbox import EVENTS_TOPIC, make_event, row_of

_ACTOR: Final = "system:inference"
_SHIFT_S: Final = 20.0
_READ: Final = 256
# Where a model was brought, which may take seconds for a few texts.
_READ_SLOW: Final = 32
_SOON_S: Final = 15.0
_DELAYS: Final = (15.0, 60.0, 300.0, 900.0)

FindHead: TypeAlias = Callable[[UnitOfWork, str], Awaitable[HeadRef | None]]
"""The head of a tenant's classifier as it is served now, by the classifier's id."""

_log = structlog.get_logger(__name__)


async def served_head(unit: UnitOfWork, classifier_id: str) -> HeadRef | None:
    """The head of a tenant's classifier; None for one that is gone or was never trained."""
    row = await classifiers_of(unit).find(classifier_id)
    try:
        return None if row is None else await head_of(unit, row)
    except ClassifierUntrained:
        return None


class Enrich:
    """Does the tasks of a tenant. After a crash the rest is done by whoever takes the job up; nothing is told twice."""

    def __init__(
        self,
        database: Database,
        models: ModelsApi,
        find_head: FindHead = served_head,
        *,
        shift_s: float = _SHIFT_S,
        at_once: int = _READ,
        piece: int | None = None,
    ) -> None:
        """`shift_s`: so long one tenant works before others get their turn. `at_once`: responses that are judged
        together. `piece`: those in one transaction, by default few, since submissions wait for it: on PostgreSQL those
        to the same form, on SQLite all."""
        self._database = database
        self._models = models
        self._find_head = find_head
        self._shift_s = shift_s
        self._at_once = at_once
        self._piece = piece or (32 if database.is_sqlite else 64)

    async def run(self, job: JobRun) -> Done | None:
        """Work until nothing is to be done, or others are to have their turn. Raises Retry while models are away."""
        turn, ends, done, form_id = job.payload["turn"], time.monotonic() + self._shift_s, 0, ""
        while time.monotonic() < ends:
            async with self._database.write(job.tenant_id) as unit:
                if not await tasks_of(unit).see(turn, utc_now()):
                    return None
            async with self._database.read(job.tenant_id) as unit:
                if not is_enabled(await settings_of(unit), "ai"):
                    break
                found = await tasks_of(unit).next_form(form_id)
            if found is None and not form_id:
                break
            form_id = found or ""
            while form_id and (count := await self._some(job.tenant_id, form_id)):
                done += count
                await job.progress(done)
                if time.monotonic() >= ends:
                    break
        return Done({"responses": done}, lambda unit: self._leave(unit, turn))

    async def _leave(self, unit: UnitOfWork, turn: int) -> None:
        """End the turn, or begin the next when something is left."""
        tasks = tasks_of(unit)
        mine = await tasks.turn()
        if mine.turn != turn:
            return
        if is_enabled(await settings_of(unit), "ai") and await tasks.has_tasks():
            await begin_turn(unit)
        else:
            mine.seen_at = None

    async def _some(self, tenant_id: str, form_id: str) -> int:
        """Do some tasks of a form; how many, 0 when there are none."""
        async with self._database.read(tenant_id) as unit:
            tasks = tasks_of(unit)
            form = await tasks.form(form_id)
            policy = EnrichmentPolicy.of(form.settings) if form is not None else None
            is_slow = policy is not None and any(policy.brought())
            rows = await tasks.next_tasks(form_id, min(self._at_once, _READ_SLOW) if is_slow else self._at_once)
            speakers, problems = await self._speakers(unit, policy) if policy is not None else ({}, {})
        if not rows:
            return 0
        # What went to the trash while it was marked is nobody's any more.
        gone = [row for row in rows if policy is None or row.deleted_at is not None or row.status != COMPLETE]
        if gone:
            async with self._database.write(tenant_id) as unit:
                await tasks_of(unit).drop([row.response_id for row in gone])
            rows = [row for row in rows if row not in gone]
        if policy is None or not rows:
            return len(gone)
        for fault, enriched in self._pieces(await self._judged(tenant_id, form_id, policy, speakers, problems, rows)):
            await self._write(tenant_id, form_id, policy, rows, enriched, fault)
        return len(rows)

    async def _speakers(self, unit: UnitOfWork, policy: EnrichmentPolicy) -> tuple[dict[str, Speaker], dict[str, str]]:
        """Who speaks under the names of verdicts, and why nobody does under the others."""
        speakers: dict[str, Speaker] = {}
        problems: dict[str, str] = {}
        for each in policy.classify:
            if each.head is not None:
                speakers[each.called] = Speaker(HeadRef(name=each.head))
            elif each.classifier_id is not None:
                found = await self._find_head(unit, each.classifier_id)
                if found is not None:
                    speakers[each.called] = Speaker(found)
                else:
                    problems[each.called] = f"There is no classifier for {each.called}."
        for choice in policy.brought():
            try:
                speakers[choice.name] = Speaker(await served(unit, choice.model_id, choice.kind), choice.kind)
            except DomainError as error:
                problems[choice.name] = f"The model for {choice.name}: {error.detail}."
        return speakers, problems

    async def _judged(
        self,
        tenant_id: str,
        form_id: str,
        policy: EnrichmentPolicy,
        speakers: Speakers,
        problems: Mapping[str, str],
        rows: Sequence[Read],
    ) -> list[tuple[Enriched, str | None]]:
        """What the models say, and why one says nothing. A response that they cannot take is given up alone."""
        try:
            return await judge(self._models, form_id, policy, speakers, problems, rows)
        except Unavailable as error:
            raise Retry("The models are not available.", error.retry_after or _SOON_S) from error
        except Exception as error:  # noqa: BLE001 - what a model raises has no common type
            if len(rows) == 1:
                _log.warning("a response could not be enriched", form_id=form_id, error=type(error).__name__)
                await self._fail(tenant_id, rows, "A model failed on this response.")
                return []
            half = len(rows) // 2
            parts = [
                await self._judged(tenant_id, form_id, policy, speakers, problems, part)
                for part in (rows[:half], rows[half:])
            ]
            return [each for part in parts for each in part]

    def _pieces(self, found: Sequence[tuple[Enriched, str | None]]) -> Iterator[tuple[str | None, list[Enriched]]]:
        """What is written together: it has one fault, or none."""
        by_fault: dict[str | None, list[Enriched]] = defaultdict(list)
        for enriched, fault in found:
            by_fault[fault].append(enriched)
        for fault, mine in by_fault.items():
            for start in range(0, len(mine), self._piece):
                yield fault, mine[start : start + self._piece]

    async def _fail(self, tenant_id: str, rows: Sequence[Read], error: str) -> None:
        async with self._database.write(tenant_id) as unit:
            await tasks_of(unit).fail([(row.response_id, row.mark) for row in rows], error)

    async def _write(
        self,
        tenant_id: str,
        form_id: str,
        policy: EnrichmentPolicy,
        rows: Sequence[Read],
        found: Sequence[Enriched],
        fault: str | None,
    ) -> None:
        read = {row.response_id: row for row in rows}
        kinds = [(field, name) for name, _, fields in policy.choices() if name != VECTOR for field in fields]
        async with self._database.write(tenant_id) as unit:
            tasks = tasks_of(unit)
            await tasks.know(form_id, kinds)
            revisions = {each.response_id: read[each.response_id].revision for each in found}
            written = await tasks.write(form_id, revisions, found, fault)
            events = [
                make_event(
                    _fact(form_id, read[each.response_id], each), tenant_id=tenant_id, actor=_ACTOR, origin=Origin()
                )
                for each, is_new in written
                if is_new
            ]
            if events:
                await EventLogRepository(unit.session, tenant_id).add_all([row_of(event) for event in events])
                unit.announce(EVENTS_TOPIC)
        # Submissions on SQLite wait for their turn to write: let them have it.
        await asyncio.sleep(0)


def _fact(form_id: str, row: Read, found: Enriched) -> InferenceCompleted:
    results: dict[str, Any] = {field: dict(verdicts) for field, verdicts in found.inference.items()}
    for vector in found.vectors:
        kept = {"model": vector["model"], "revision": vector["revision"]}
        results.setdefault(vector["field"], {})[VECTOR] = kept
    return InferenceCompleted(
        response_id=row.response_id, form_id=form_id, form_version=row.version, revision=row.revision, results=results
    )


def job_kinds(database: Database, models: ModelsApi) -> tuple[JobKind, ...]:
    """The job of this work."""
    return (JobKind(ENRICH, QUEUE, Enrich(database, models).run, max_attempts=50, delays=_DELAYS),)
