"""Counting a form's figures anew, and comparing those that are kept with a recount."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from db.models.metrics import MetricState
from db.repositories.metrics import MetricRepository
from db.repositories.published_forms import PublishedFormRepository
from db.session import Database
from deployments.analytics.metrics.counted import CountedVersions, part_of
from deployments.analytics.metrics.keeping import Counting
from deployments.analytics.metrics.parts import RULES, CountedVersion
from deployments.analytics.metrics.tally import Tally
from eventing.jobs import Done, GiveUp, JobKind, JobRun

RECOUNT: Final = "analytics.recount"
QUEUE: Final = "batch"

Report = Callable[[int, int], Awaitable[None]]

_PIECE: Final = 1_000
_SOFT_S: Final = 3_300.0
_HARD_S: Final = 3_600.0


class Verified(NamedTuple):
    """How the figures of a form compare with a recount. `wrong` names up to ten counts that differ."""

    form_id: str
    responses: int
    counts: int
    wrong: tuple[str, ...]


class Recounting:
    """Counts anew. What was counted before is shown until the new figures have come as far as the form."""

    def __init__(self, database: Database, *, piece: int | None = None) -> None:
        self._database = database
        self._counting = Counting(database, piece=piece)

    async def run(self, job: JobRun) -> Done:
        """Count the figures of one form anew; taken up again it begins again. Raises GiveUp when it is gone."""
        changes = await self.recount(job.tenant_id, job.payload["form_id"], job.progress)
        if changes is None:
            raise GiveUp("The form is not there any more.")
        return Done({"changes": changes})

    async def recount(self, tenant_id: str, form_id: str, report: Report) -> int | None:
        """Count a form's figures anew, telling how far it has come; the number of changes that were counted, None when
        there is no such form."""
        async with self._database.write(tenant_id) as unit:
            if not await PublishedFormRepository(unit.session, tenant_id).exists(form_id):
                return None
            generation = await MetricRepository(unit.session, tenant_id, form_id).begin_anew(RULES)
        while True:
            moved = await self._counting.advance(tenant_id, form_id)
            async with self._database.read(tenant_id) as unit:
                figures = MetricRepository(unit.session, tenant_id, form_id)
                states = {state.generation: state for state in await figures.states()}
                changes = await figures.changes()
            state = states.get(generation)
            await report(state.change if state is not None else changes, changes)
            # Given up for another that was begun since, or shown, and what was shown before is deleted.
            if state is None or (not moved and state.is_shown):
                return changes

    async def verify(self, tenant_id: str, form_id: str) -> Verified:
        """Compare the figures of a form with a recount of its responses, in one snapshot. What is behind is counted
        before; while responses keep changing the comparison waits for a moment in which none does."""
        while True:
            while await self._counting.advance(tenant_id, form_id):
                pass
            async with self._database.snapshot(tenant_id, limit_s=600.0) as unit:
                figures = MetricRepository(unit.session, tenant_id, form_id)
                state = await figures.shown()
                if state is None or state.change == await figures.changes():
                    return await self._compared(figures, CountedVersions(), unit, form_id, state)

    async def _compared(
        self, figures: MetricRepository, versions: CountedVersions, unit: Any, form_id: str, state: MetricState | None
    ) -> Verified:
        tally, seen, after = Tally(), 0, ""
        while rows := await figures.responses(after, _PIECE):
            await asyncio.to_thread(_add, tally, await versions.of(unit, form_id, rows), rows)
            seen, after = seen + len(rows), rows[-1].id
        kept = {} if state is None else {(m, n): c for m, n, c in await figures.every_count(state.generation)}
        right = {(moment, name): count for moment, name, count in tally.changes()}
        wrong = [f"{n} at {m}" for m, n in sorted(kept.keys() | right.keys()) if kept.get((m, n)) != right.get((m, n))]
        sums = tally.added_to({})
        wrong += [name for name, value in sums.items() if state is None or state.sums.get(name) != value]
        if state is not None:
            wrong += [name for name in state.sums if name not in sums]
        return Verified(form_id, seen, len(right), tuple(wrong[:10]))


def _add(tally: Tally, versions: Mapping[int, CountedVersion], rows: Any) -> None:
    for row in rows:
        tally.add(part_of(versions, row))


def job_kinds(database: Database) -> tuple[JobKind, ...]:
    """The job that counts anew."""
    run = Recounting(database).run
    return (JobKind(RECOUNT, QUEUE, run, soft_limit_s=_SOFT_S, hard_limit_s=_HARD_S),)
