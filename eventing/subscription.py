"""What a consumer is declared by: which events it wants and what it does about them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from db.session import UnitOfWork
from eventing.events.envelope import Event

Handle: TypeAlias = Callable[[UnitOfWork, Sequence[Event]], Awaitable[None]]
Select: TypeAlias = Callable[[UnitOfWork, Sequence[Event]], Awaitable[Sequence[Event]]]


class Poison(Exception):
    """Raised by a handler when no later attempt can succeed: the event becomes a dead letter at once."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A reaction to events. `name` is durable: it identifies the consumer in JetStream and in the inbox.

    `handle` gets events of one tenant, in order, and writes their effects into the unit's transaction, which also
    holds the inbox rows; work that leaves the database belongs into jobs that it enqueues. `select`, when given,
    names those of some events of one tenant that need an effect at all; it only reads, and spares the others every
    write. Both may be called again for the same event when an attempt fails.

    `replayable` says that events which had their effect may be given to `handle` again by a replay: when it makes what
    it makes anew, as a projection does, and not when it tells somebody. `pause_s`
    seconds pass after a batch that was not full, for a handler that does as much for one event as for hundreds.
    """

    name: str
    types: tuple[str, ...]
    handle: Handle
    select: Select | None = None
    replayable: bool = False
    pause_s: float = 0.0
