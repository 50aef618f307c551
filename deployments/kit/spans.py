"""What leaves the platform, as part of the trace that it belongs to. Who traces is decided where processes are put
together; without it the client's own trace context is handed on as it came (W3C Trace Context, 3.3)."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

Fact: TypeAlias = str | int | float | bool


class Span(Protocol):
    """A piece of work. `traceparent` is what is sent on with it, "" for nothing."""

    @property
    def traceparent(self) -> str: ...

    def note(self, **facts: Fact) -> None:
        """Add what was found out. No answers, addresses or secrets: traces are kept elsewhere."""
        ...

    def fail(self, reason: str) -> None:
        """It did not work out."""
        ...


class Tracing(Protocol):
    """Opens the span of an effect, in the trace that `traceparent` tells of."""

    def __call__(self, name: str, traceparent: str, facts: Mapping[str, Fact], /) -> AbstractContextManager[Span]: ...


class _Unseen:
    """Nobody looks."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def note(self, **_: Fact) -> None:
        pass

    def fail(self, _: str) -> None:
        pass


@contextmanager
def untraced(_name: str, traceparent: str, _facts: Mapping[str, Fact]) -> Iterator[Span]:
    """Tracing that is off."""
    yield _Unseen(traceparent)
