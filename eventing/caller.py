"""Who the running work is for: where it was asked for, for logs, jobs and traces."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol, TypeAlias

from eventing.events.envelope import Origin


class Acting(Protocol):
    """Somebody whose request is carried out."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def origin(self) -> Origin: ...


Caller: TypeAlias = Acting | Origin

CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)
"""Who the running call is for; log lines take the tenant and the request id from it."""

_NOBODY: Final = Origin()


def current_origin() -> Origin:
    """The circumstances of the request behind the running work; empty ones when there is none."""
    caller = CALLER.get()
    if caller is None:
        return _NOBODY
    return caller if isinstance(caller, Origin) else caller.origin


@contextmanager
def acting_for(origin: Origin | None) -> Iterator[None]:
    """Let what follows be for that request; for nobody when there is none."""
    token = CALLER.set(origin)
    try:
        yield
    finally:
        CALLER.reset(token)
