"""The end of an operation, announced: one declaration, told in every answer and in the API document."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import quote

HEADERS: Final[dict[str, Any]] = {
    "Deprecation": {
        "schema": {"type": "string", "pattern": "^@[0-9]+$"},
        "description": "Since when this operation is deprecated (RFC 9745).",
    },
    "Sunset": {
        "schema": {"type": "string"},
        "description": "From when on this operation may be gone (RFC 8594).",
    },
    "Link": {
        "schema": {"type": "string"},
        "description": "`successor-version`: what to use instead; `deprecation`: how to change over.",
    },
}
"""What an answer of a deprecated operation has besides, as the API document describes it."""


@dataclass(frozen=True)
class Deprecation:
    """An operation that is to go: not used in anything new since `since`, gone from `sunset` on.

    `successor` is the address of what replaces it, with the parameters of its own address, `guide` that of a page about
    changing over; empty for none. An operation is not taken out before its sunset, which is half a year after its
    deprecation or later.
    """

    since: date
    sunset: date
    successor: str = ""
    guide: str = ""

    def __post_init__(self) -> None:
        if (self.sunset - self.since).days < 180:
            raise ValueError("who calls an operation gets half a year to change over")

    def headers(self, path: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """For every answer of the operation, failures too; `path` has the parameters of the request's address."""
        successor = self.successor.format_map({name: quote(value, safe="") for name, value in path.items()})
        links = [(successor, "successor-version"), (self.guide, "deprecation")]
        link = ", ".join(f'<{address}>; rel="{relation}"' for address, relation in links if address)
        return (
            ("deprecation", f"@{int(_midnight(self.since).timestamp())}"),
            ("sunset", format_datetime(_midnight(self.sunset), usegmt=True)),
            *((("link", link),) if link else ()),
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
