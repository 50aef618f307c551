"""answer: every call of a batch on its own."""

import asyncio
import pickle
from typing import Any

import pytest
from structlog.testing import capture_logs

from deployments.kit.calls import CALLER, Call, Done, Failed, Outcome, answer
from deployments.kit.errors import Conflict, DomainError, Fault, Unavailable
from deployments.kit.principal import Principal


class DriverGone(Exception):
    pass


class Target:
    async def double(self, value: int) -> int:
        return 2 * value

    async def refuse(self) -> None:
        raise Conflict("taken", faults=(Fault("/slug", "taken", "is taken"),))

    async def break_down(self) -> None:
        raise ValueError("secret detail")

    async def lose_the_database(self) -> None:
        raise DriverGone

    async def hang(self) -> None:
        await asyncio.Event().wait()

    async def time_out_inside(self) -> None:
        raise TimeoutError("of something else")

    async def give_something_unsendable(self) -> Any:
        return lambda: None

    async def who(self, principal: Principal) -> str:
        caller = CALLER.get()
        assert isinstance(caller, Principal)
        return caller.tenant_id

    async def _private(self) -> int:
        return 1


async def _answer(*calls: tuple[str, tuple[Any, ...]], timeout_s: float = 1.0, **options: Any) -> list[Outcome]:
    batch = [Call("target", method, pickle.dumps(args), timeout_s) for method, args in calls]
    outcomes: list[Outcome] = pickle.loads(await answer(pickle.dumps(batch), {"target": Target()}, **options))  # noqa: S301
    return outcomes


def _error(outcome: Outcome) -> DomainError:
    assert isinstance(outcome, Failed)
    return outcome.error


async def test_one_failure_costs_no_neighbour() -> None:
    with capture_logs() as logs:
        outcomes = await _answer(("double", (2,)), ("refuse", ()), ("break_down", ()), ("double", (3,)))
    assert (outcomes[0], outcomes[3]) == (Done(4), Done(6))
    refused = _error(outcomes[1])
    assert (refused.status, refused.detail, refused.faults[0].pointer) == (409, "taken", "/slug")
    broken = _error(outcomes[2])
    assert broken.status == 500
    assert "secret" not in repr(broken)
    assert [(log["event"], log["method"]) for log in logs] == [("call failed", "break_down")]


async def test_a_call_that_hangs_ends_at_its_own_deadline() -> None:
    outcomes = await _answer(("hang", ()), ("double", (1,)), timeout_s=0.02)
    assert _error(outcomes[0]).status == 504
    assert outcomes[1] == Done(2)


async def test_a_timeout_of_the_callee_is_not_the_deadline() -> None:
    with capture_logs():
        [outcome] = await _answer(("time_out_inside", ()))
    assert _error(outcome).status == 500


async def test_failures_of_lower_rooms_are_translated() -> None:
    def translate(error: Exception) -> DomainError | None:
        return Unavailable(retry_after=3.0) if isinstance(error, DriverGone) else None

    [outcome] = await _answer(("lose_the_database", ()), translate=translate)
    assert (_error(outcome).status, _error(outcome).retry_after) == (503, 3.0)


async def test_a_value_that_cannot_be_sent_fails_alone() -> None:
    with capture_logs():
        outcomes = await _answer(("give_something_unsendable", ()), ("double", (1,)))
    assert _error(outcomes[0]).status == 500
    assert outcomes[1] == Done(2)


@pytest.mark.parametrize("method", ["missing", "_private", "__class__"])
async def test_only_public_methods_are_called(method: str) -> None:
    with capture_logs():
        [outcome] = await _answer((method, ()))
    assert _error(outcome).status == 503


async def test_the_caller_is_known_for_the_length_of_its_call() -> None:
    callers = [Principal("acme", "a", "user"), Principal("globex", "b", "user")]
    outcomes = await _answer(*(("who", (caller,)) for caller in callers))
    assert outcomes == [Done("acme"), Done("globex")]
    assert CALLER.get() is None


async def test_calls_in_flight_are_counted() -> None:
    class Gauge:
        value = 0.0
        peak = 0.0

        def inc(self, amount: float = 1) -> None:
            self.value += amount
            self.peak = max(self.peak, self.value)

        def dec(self, amount: float = 1) -> None:
            self.value -= amount

    gauge = Gauge()
    await _answer(("double", (1,)), ("double", (2,)), in_flight=gauge)
    assert (gauge.value, gauge.peak) == (0, 2)
