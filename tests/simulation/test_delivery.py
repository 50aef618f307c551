"""E2, E3, R1, R9, Z5: whatever order of submissions, crashes, partitions, repetitions and jumps of the clock Hypothesis
thinks of, nothing that was acknowledged is lost, and nothing happens twice.

A failing run is shrunk to a short program and printed with the line that repeats it (`@reproduce_failure`).
FORMSTREAM_SIMULATION_RUNS makes it look further, with runs of its own each time.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final, TypeVar

import orjson
import pytest
import time_machine
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection, func, select

from db.errors import DatabaseUnavailable
from db.models.events import DeadLetter, FailedEvent
from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.models.responses import Response
from db.session import Database, UnitOfWork
from db.settings import DatabaseSettings
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.jobs import JobSpec, enqueue_all
from eventing.pace import Pace
from eventing.relay import Relay
from eventing.settings import EventingSettings
from eventing.subscription import Poison, Subscription
from tests.factories import ANSWERS, make_form, make_tenant, owner
from tests.simulation.stream import Link, SimulatedClient, SimulatedStream

Result = TypeVar("Result")

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EFFECT = "simulated.effect"
SETTINGS = EventingSettings(nats_url="nats://simulated", max_attempts=4, retry_delays_s=(5.0, 60.0), relay_batch=8)
RUNS = int(os.environ.get("FORMSTREAM_SIMULATION_RUNS", "0"))


_LINKS: Final[list[Link]] = ["works", "works", "loses messages", "loses answers", "is down"]


class Crash(BaseException):
    """The process is gone in the middle of what it did."""


class FaultyDatabase(Database):
    """A database that is lost right before or right after the commit of the next hot transaction."""

    fault = ""

    async def transact(self, work: Callable[[Connection], Result]) -> Result:
        fault, self.fault = self.fault, ""
        if fault == "before the commit":
            raise DatabaseUnavailable(fault)
        result = await super().transact(work)
        if fault == "after the commit":
            raise DatabaseUnavailable(fault)
        return result


@dataclass
class Attempted:
    """A submission that a client began. `receipt` is the id that it was told, None while it knows nothing."""

    key: str
    body: bytes
    receipt: str | None = None


class Delivery(RuleBasedStateMachine):
    """The platform between a client and its effects."""

    template: ClassVar[bytes]
    form_id: ClassVar[str]

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "formstream.db"
        path.write_bytes(self.template)
        self.clock = time_machine.travel(START, tick=True)
        self.time = self.clock.start()
        self.database = FaultyDatabase(DatabaseSettings(url=f"sqlite:///{path}"))
        self.responses = Responses(self.database)
        self.stream = SimulatedStream(SETTINGS.duplicate_window_s)
        self.relays = [self._new_relay(), self._new_relay()]
        self.attempted: list[Attempted] = []
        self.failures: dict[str, int] = {}
        self.poisonous: set[str] = set()
        self.crash_inside = False
        # Entities of which a crash left an event unacknowledged: a later one may overtake it then.
        self.shaken: set[str] = set()
        self.effects = Effects(self.database, Subscription("simulated", _TYPES, self._handle), SETTINGS)

    # What clients do.

    @rule(number=st.integers(0, 999), fault=st.sampled_from(["", "", "before the commit", "after the commit"]))
    def submit(self, number: int, fault: str) -> None:
        body = orjson.dumps({"answers": {**ANSWERS, "name": f"Person {number}"}})
        self.attempted.append(Attempted(f"key-{len(self.attempted)}", body))
        self._send(self.attempted[-1], fault)

    @precondition(lambda self: self.attempted)
    @rule(data=st.data(), fault=st.sampled_from(["", "after the commit"]))
    def submit_again(self, data: st.DataObject, fault: str) -> None:
        self._send(data.draw(st.sampled_from(self.attempted)), fault)

    @precondition(lambda self: any(each.receipt for each in self.attempted))
    @rule(data=st.data(), score=st.integers(0, 10))
    def edit(self, data: st.DataObject, score: int) -> None:
        chosen = data.draw(st.sampled_from([each.receipt for each in self.attempted if each.receipt]))
        self._run(self.responses.edit(owner(), chosen, EditResponse(answers={"score": score}), None))

    # What the relay goes through.

    @rule(which=st.integers(0, 1), link=st.sampled_from(_LINKS))
    def relay(self, which: int, link: Link) -> None:
        self.stream.link = link
        self._turn(self.relays[which])
        self.stream.link = "works"

    @rule()
    def the_store_is_lost(self) -> None:
        self.stream.lose_everything()
        # What was on its way to the consumer comes again with everything else, in an order of its own.
        self.shaken |= {event.entity_id for event in self._recorded()}

    @rule(which=st.integers(0, 1))
    def relay_dies_before_it_marks(self, which: int) -> None:
        self.database.fault = "before the commit"
        self._turn(self.relays[which])
        self.database.fault = ""
        self.relays[which] = self._new_relay()

    # What the consumer goes through.

    @rule(most=st.integers(1, 6), end=st.sampled_from(["", "", "before", "inside", "after"]))
    def consume(self, most: int, end: str) -> None:
        numbers = self.stream.pull(most)
        events = [Event.decode(self.stream.messages[number]) for number in numbers]
        if end != "before":
            self.crash_inside = end == "inside"
            with suppress(Crash):
                self._run(self.effects.apply(events))
            self.crash_inside = False
        if end:
            self.shaken |= {event.entity_id for event in events}
        else:
            self.stream.acknowledge(numbers)

    @rule()
    def acknowledgements_are_missed(self) -> None:
        self.stream.silence()

    @precondition(lambda self: self.stream.messages)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        self.stream.repeat(data.draw(st.integers(0, len(self.stream.messages) - 1)))

    @precondition(lambda self: self.stream.waiting)
    @rule(data=st.data(), failures=st.integers(1, 5))
    def fail_next(self, data: st.DataObject, failures: int) -> None:
        number = data.draw(st.sampled_from(self.stream.waiting))
        self.failures.setdefault(Event.decode(self.stream.messages[number]).id, failures)

    @precondition(lambda self: self.stream.waiting)
    @rule(data=st.data())
    def poison(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.stream.waiting))
        self.poisonous.add(Event.decode(self.stream.messages[number]).id)

    @rule()
    def retry(self) -> None:
        self._run(self.effects.retry_due())

    # What time does.

    @rule(seconds=st.sampled_from([-600, -1, 1, 6, 61, 601, 86_400]))
    def clock_jumps(self, seconds: int) -> None:
        self.time.shift(timedelta(seconds=seconds))

    # And in the end.

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self._drain()
            self._check()
        finally:
            self._run(self.database.close())
            self.clock.stop()
            self.folder.cleanup()
            self.loop.close()

    def _drain(self) -> None:
        """Every fault is over; everything must come to its end in a bounded number of rounds (I6)."""
        for attempt in self.attempted:
            self._send(attempt, "")
        for _ in range(200):
            self.time.shift(timedelta(hours=1))
            for relay in self.relays:
                relay._leadership._ask_again_at = 0.0
                self._turn(relay)
            self.stream.silence()
            while numbers := self.stream.pull(8):
                events = [Event.decode(self.stream.messages[number]) for number in numbers]
                self._run(self.effects.apply(events))
                self.stream.acknowledge(numbers)
            self._run(self.effects.retry_due())
            if not self._count(EventRow, EventRow.published_at.is_(None)) and not self._count(FailedEvent):  # type: ignore[union-attr]
                return
        raise AssertionError("what waits does not get less")

    def _check(self) -> None:
        receipts = [attempt.receipt for attempt in self.attempted]
        assert None not in receipts
        stored = self._all(select(Response.id))
        assert sorted(stored) == sorted(receipts), "I1: each acknowledged submission is stored, once"  # type: ignore[type-var]

        wanted = [event for event in self._recorded() if event.type in _TYPES]
        effects = self._all(select(Job.payload).where(Job.kind == EFFECT).order_by(Job.id))
        done = [effect["event_id"] for effect in effects]
        dead = self._all(select(DeadLetter.event_id))
        assert len(done) == len(set(done)), "I3: each effect happens once"
        assert sorted([*done, *dead]) == sorted(event.id for event in wanted), "I2: each has its effect or is dead"
        hopeless = {event_id for event_id, failures in self.failures.items() if failures >= SETTINGS.max_attempts}
        assert set(dead) <= hopeless | self.poisonous, "I2: nothing is given up without a reason"

        order = {event.id: number for number, event in enumerate(wanted)}
        latest: dict[str, int] = {}
        for effect in effects:
            entity, number = effect["entity_id"], order[effect["event_id"]]
            assert entity in self.shaken or latest.get(entity, -1) < number, "E3: order is kept per entity"
            latest[entity] = number

    # How it is done.

    def _new_relay(self) -> Relay:
        client: Any = SimulatedClient(self.stream)
        return Relay(self.database, client, SETTINGS)

    def _turn(self, relay: Relay) -> None:
        relay._observed_at = float("-inf")
        self._run(relay._turn(Pace(0.001, first_backoff_s=0.0)))  # nobody waits for a simulated server

    def _send(self, attempt: Attempted, fault: str) -> None:
        self.database.fault = fault
        try:
            command = SubmitResponse(body=attempt.body, form_id=self.form_id, idempotency_key=attempt.key)
            answer = self._run(self.responses.submit(owner(), command))
        except DatabaseUnavailable:
            return
        finally:
            self.database.fault = ""
        assert attempt.receipt in (None, answer.id), "R1: a repeated submission is answered as the first was"
        attempt.receipt = answer.id

    async def _handle(self, unit: UnitOfWork, events: Any) -> None:
        for event in events:
            if event.id in self.poisonous:
                raise Poison("simulated")
            if self.failures.get(event.id, 0) > 0:
                self.failures[event.id] -= 1
                raise ConnectionError("simulated")
        payloads = [{"event_id": event.id, "entity_id": event.entity_id} for event in events]
        await enqueue_all(unit, [JobSpec(EFFECT, payload, created_by="system:test") for payload in payloads])
        if self.crash_inside:
            raise Crash

    def _recorded(self) -> list[Event]:
        return [Event.decode(text) for text in self._all(select(EventRow.envelope).order_by(EventRow.id))]

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    def _all(self, statement: Any) -> list[Any]:
        async def read() -> list[Any]:
            async with self.database.unscoped_read() as unit:
                return list(await unit.session.scalars(statement))

        return self._run(read())

    def _count(self, table: type[Any], *conditions: Any) -> int:
        return int(self._all(select(func.count()).select_from(table).where(*conditions))[0])


_TYPES = ("response.submitted", "response.updated")


async def _prepared(path: Path) -> str:
    database = Database(DatabaseSettings(url=f"sqlite:///{path}"))
    form = await make_form(database, await make_tenant(database))
    async with database.unscoped_write() as unit:
        await unit.session.execute(EventRow.__table__.delete())  # type: ignore[attr-defined]
        await unit.session.execute(Job.__table__.delete())  # type: ignore[attr-defined]
    await database.close()
    return form.id


def test_nothing_is_lost_and_nothing_happens_twice(sqlite_settings: DatabaseSettings, tmp_path: Path) -> None:
    path = tmp_path / "formstream.db"
    Delivery.form_id = asyncio.run(_prepared(path))
    Delivery.template = path.read_bytes()

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Delivery,
        settings=settings(
            max_examples=RUNS or 15,
            stateful_step_count=30,
            derandomize=not RUNS,
            database=None,
            deadline=None,
            print_blob=True,
            # Making a failure short takes minutes, which is for whoever looks for one.
            phases=[Phase.generate, Phase.shrink] if RUNS else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("link", ["loses messages", "loses answers"])
async def test_the_simulated_stream_is_as_forgetful_as_the_real_one(link: Link) -> None:
    """What the simulation rests on: a lost answer leaves a message behind, a lost message does not."""
    stream = SimulatedStream(600, link)
    client = SimulatedClient(stream)
    with pytest.raises(TimeoutError):
        await client.jetstream(1).publish("events.acme.x", b"{}", headers={"Nats-Msg-Id": "evt_1"})
    assert len(stream.messages) == (link == "loses answers")
    assert stream.knows({"Nats-Msg-Id": "evt_1"}) is (link == "loses answers")
