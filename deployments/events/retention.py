"""How long events are kept, as the operator wants it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MARGIN: Final = timedelta(days=7)
"""How much longer an inbox remembers an event than the stream may deliver it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept. `stream` is how long JetStream may deliver an event; the log is kept longer, since lost
    streams and replays are made from it."""

    stream: timedelta
    log: timedelta
    dead_letters: timedelta

    def __post_init__(self) -> None:
        if self.log < self.stream + MARGIN:
            raise ValueError("events must be kept longer than the stream may deliver them")
