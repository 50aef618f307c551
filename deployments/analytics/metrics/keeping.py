"""Keeping the figures: counts changed responses piece by piece, for whoever heard or looked that there are any.

State decides and not events: a piece is everything after the last change that was counted, and takes away what its
responses added before. So whoever is told twice, late or in another order counts the same. See
docs/decisions/0033-live-metrics.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from db.models.metrics import MetricState
from db.repositories.metrics import FormMetricsRepository, MetricDirectory, MetricPiece, MetricRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.analytics.metrics.counted import CountedVersions, part_of
from deployments.analytics.metrics.parts import NOTHING, RULES, CountedVersion, unpacked
from deployments.analytics.metrics.tally import Tally
from eventing.duty import PAGE, Duty
from eventing.events.envelope import Event
from eventing.subscription import Subscription

KEEPER: Final = "analytics-metrics"

_TYPES: Final = (
    "response.deleted",
    "response.purged",
    "response.quarantined",
    "response.released",
    "response.restored",
    "response.started",
    "response.submitted",
    "response.updated",
)
_ROWS: Final = 2_000
_PAUSE_S: Final = 0.25


class Counting:
    """Brings the figures of a form on by one piece. `piece`: responses in one transaction, by default few on SQLite,
    where submissions wait for it."""

    def __init__(self, database: Database, *, piece: int | None = None) -> None:
        self._database = database
        self._versions = CountedVersions()
        self._piece = piece or (200 if database.is_sqlite else 1_000)

    async def advance(self, tenant_id: str, form_id: str) -> bool:
        """One piece of each generation of the form's figures; whether there was anything to do. A generation that has
        come as far as the form is shown, and what was shown before is deleted."""
        try:
            async with self._database.read(tenant_id) as unit:
                states = await _figures(unit, form_id).states()
            if not any(state.rules == RULES for state in states):
                async with self._database.write(tenant_id) as unit:
                    await _figures(unit, form_id).begin(RULES)
                    states = await _figures(unit, form_id).states()
            work = [await self._advance(tenant_id, form_id, each) for each in _worth_counting(states)]
            return any(work) or await self._forget(tenant_id, form_id, states)
        except IntegrityError:
            return False  # the form was deleted meanwhile

    async def within(self, unit: UnitOfWork, form_id: str) -> None:
        """The next piece of the figures that are shown, in the transaction of the unit."""
        figures = _figures(unit, form_id)
        await figures.begin(RULES)
        # Under its lock nobody else moves it.
        states = await figures.states(for_update=True)
        for state in states:
            if state.is_shown:
                piece = await figures.read(state.generation, self._piece)
                if piece is not None and piece.is_needed:
                    await _write(figures, piece, await self._versions.of(unit, form_id, piece.responses))

    async def _advance(self, tenant_id: str, form_id: str, state: MetricState) -> bool:
        async with self._database.read(tenant_id) as unit:
            piece = await _figures(unit, form_id).read(state.generation, self._piece)
            versions = {} if piece is None else await self._versions.of(unit, form_id, piece.responses)
        if piece is None:
            return False
        if piece.is_needed:
            counted = await asyncio.to_thread(_counted, piece, versions)
            async with self._database.write(tenant_id) as unit:
                await _figures(unit, form_id).write(piece, *counted, utc_now())
        if not state.is_shown and piece.ends >= piece.changes:
            async with self._database.write(tenant_id) as unit:
                await _figures(unit, form_id).show(state.generation)
            return True
        return piece.is_needed

    async def _forget(self, tenant_id: str, form_id: str, states: Sequence[MetricState]) -> bool:
        """Delete some of what was shown before, or was given up."""
        shown = [state.generation for state in states if state.is_shown]
        gone = [state.generation for state in states if not state.is_shown and state not in _worth_counting(states)]
        if not shown or not gone:
            return False
        async with self._database.write(tenant_id) as unit:
            await _figures(unit, form_id).forget(gone[0], _ROWS)
        return True


def _worth_counting(states: Sequence[MetricState]) -> list[MetricState]:
    """What is shown, and the newest of what is to be."""
    shown = [state for state in states if state.is_shown]
    newer = [state for state in states if not state.is_shown and state.generation > _last(shown)]
    return [*shown, *newer[-1:]]


def _last(states: Sequence[MetricState]) -> int:
    return max((state.generation for state in states), default=0)


def _figures(unit: UnitOfWork, form_id: str) -> MetricRepository:
    return MetricRepository(unit.session, unit.tenant, form_id)


async def _write(figures: MetricRepository, piece: MetricPiece, versions: Mapping[int, CountedVersion]) -> bool:
    return await figures.write(piece, *await asyncio.to_thread(_counted, piece, versions), utc_now())


def _counted(
    piece: MetricPiece, versions: Mapping[int, CountedVersion]
) -> tuple[list[tuple[int, str, int]], dict[str, bytes], dict[str, Any]]:
    """What a piece changes: counts, what its responses add now where they add anything, and sums."""
    tally, parts = Tally(), dict[str, bytes]()
    for row in piece.responses:
        earlier = piece.earlier.get(row.id)
        if earlier is not None:
            tally.take(unpacked(earlier))
        part = part_of(versions, row)
        if part is not NOTHING:
            tally.add(part)
            parts[row.id] = part.packed()
    return tally.changes(), parts, tally.added_to(piece.sums)


class Nudges:
    """The consumer: an event says that a form's responses have changed, and nothing more is taken from it."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    async def select(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """The last event of each form whose figures are behind: one will do."""
        last = {event.form_id: event for event in events if event.form_id}
        behind = await FormMetricsRepository(unit.session, unit.tenant).behind(sorted(last), RULES)
        return [last[form_id] for form_id in sorted(behind)]

    async def on_events(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        """Count a piece of each form."""
        for form_id in sorted({event.form_id for event in events if event.form_id}):
            await self._counting.within(unit, form_id)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What it listens to."""
        return (
            Subscription("analytics", _TYPES, self.on_events, select=self.select, replayable=True, pause_s=_PAUSE_S),
        )


class MetricKeeper(Duty):
    """Looks for figures that are behind, about once a second: what no event tells of, and what is counted anew."""

    def __init__(self, database: Database, *, piece: int | None = None) -> None:
        super().__init__(database, KEEPER)
        self._counting = Counting(database, piece=piece)

    async def round(self) -> bool:
        """One piece of each form that is behind; whether there was any."""
        return await self._each_form(self._behind, self._counting.advance)

    async def _behind(self, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            return await MetricDirectory(unit.session).behind(RULES, PAGE, after)
