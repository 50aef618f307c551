"""The wire between a caller and a deployment: many calls travel as one message, each with its own outcome.

`answer` is the receiving half; the sending half decides which calls travel together. Both ends are ours and
run the same code, so the messages are pickles; nothing a customer sends is ever unpickled.
"""

import asyncio
import pickle
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import structlog

from deployments.kit.errors import DeadlineExceeded, DomainError, Unavailable
from deployments.kit.principal import Principal

# For callers, which look no further right than the kit.
from eventing.caller import CALLER as CALLER
from eventing.events.envelope import Origin as Origin

log = structlog.get_logger(__name__)

PROTOCOL = pickle.HIGHEST_PROTOCOL


class Call(NamedTuple):
    """One method call: `arguments` is the pickled tuple of positional arguments, `timeout_s` the time it has."""

    context: str
    method: str
    arguments: bytes
    timeout_s: float


class Done(NamedTuple):
    """The call returned."""

    value: Any


class Failed(NamedTuple):
    """The call raised, or was not made."""

    error: DomainError


Outcome: TypeAlias = Done | Failed
Translate: TypeAlias = Callable[[Exception], DomainError | None]
"""What an exception of a lower room means to a caller; None when it has no meaning and is a defect."""


class InFlight(Protocol):
    """A gauge of calls that run now, as prometheus_client's Gauge."""

    def inc(self, amount: float = 1) -> None: ...

    def dec(self, amount: float = 1) -> None: ...


def untranslated(error: Exception) -> DomainError | None:
    """Give no exception of a lower room a meaning."""
    return None


async def answer(
    batch: bytes,
    targets: Mapping[str, object],
    in_flight: InFlight | None = None,
    translate: Translate = untranslated,
) -> bytes:
    """Run every call of a pickled `list[Call]` on its target, concurrently; return the pickled `list[Outcome]`.

    Outcomes are in the order of the calls. Each call has its own deadline and its own failure: an exception
    that is neither a DomainError nor known to `translate` is logged and becomes a plain "internal" failure,
    so that no detail leaves the process. Cancelling this cancels every call.
    """
    calls: list[Call] = pickle.loads(batch)  # noqa: S301 - written by our own dispatcher
    if in_flight is not None:
        in_flight.inc(len(calls))
    try:
        if len(calls) == 1:
            outcomes: list[Outcome] = [await _run(calls[0], targets, translate)]
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_run(call, targets, translate)) for call in calls]
            outcomes = [task.result() for task in tasks]
    finally:
        if in_flight is not None:
            in_flight.dec(len(calls))
    try:
        return pickle.dumps(outcomes, PROTOCOL)
    except Exception:  # noqa: BLE001 - pickling raises whatever the objects' own methods raise
        return pickle.dumps([_portable(outcome) for outcome in outcomes], PROTOCOL)


async def _run(call: Call, targets: Mapping[str, object], translate: Translate) -> Outcome:
    target = targets.get(call.context)
    method = None if call.method.startswith("_") else getattr(target, call.method, None)
    if method is None:
        log.error("unknown call", context=call.context, method=call.method)
        return Failed(Unavailable(retry_after=1.0))
    try:
        arguments: tuple[Any, ...] = pickle.loads(call.arguments)  # noqa: S301
        if arguments and isinstance(arguments[0], Principal | Origin):
            CALLER.set(arguments[0])
        async with asyncio.timeout(call.timeout_s) as deadline:
            return Done(await method(*arguments))
    except DomainError as error:
        return Failed(_bare(error))
    except Exception as error:
        if isinstance(error, TimeoutError) and deadline.expired():
            return Failed(DeadlineExceeded())
        meaning = translate(error)
        if meaning is None:
            log.exception("call failed", context=call.context, method=call.method)
            meaning = DomainError()
        return Failed(_bare(meaning))


def _bare(error: DomainError) -> DomainError:
    """The error without the frames and causes that it holds alive."""
    return error.with_traceback(None)


def _portable(outcome: Outcome) -> Outcome:
    try:
        pickle.dumps(outcome, PROTOCOL)
    except Exception:
        log.exception("outcome cannot be sent")
        return Failed(DomainError())
    return outcome
