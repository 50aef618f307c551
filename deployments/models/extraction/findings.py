"""What is found in a text, and which of two that overlap counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deployments.models.contracts import EntityType

MAX_FINDINGS: Final = 1_000

# Of two that are equally long the type that stands first counts: the more it takes to look like one, the earlier.
PRIORITY: Final[tuple[EntityType, ...]] = (
    "email",
    "url",
    "order_number",
    "phone",
    "datetime",
    "date",
    "time",
    "money",
    "quantity",
    "person",
    "organisation",
    "place",
)
LEARNED: Final = frozenset({"person", "organisation", "place"})
_RANK: Final = {kind: rank for rank, kind in enumerate(PRIORITY)}


@dataclass(frozen=True, slots=True)
class Finding:
    """A span of a text, by code points, and what it means."""

    type: EntityType
    start: int
    end: int
    value: str | None = None
    confidence: float = 1.0


def resolved(findings: Iterable[Finding]) -> list[Finding]:
    """Those that count, in the order of the text, no two of them overlapping.

    What rules find counts before what was learned. Then the longest counts; of equally long ones the type that stands
    first in PRIORITY; then the one that begins first. A finding that overlaps one that counts does not, also where it
    lies within it or around it. At most MAX_FINDINGS, the first.
    """
    kept: list[Finding] = []
    taken = bytearray()
    for each in sorted(findings, key=_order):
        if len(taken) < each.end:
            taken.extend(bytes(each.end - len(taken)))
        if not any(taken[each.start : each.end]):
            taken[each.start : each.end] = b"\x01" * (each.end - each.start)
            kept.append(each)
    return sorted(kept, key=lambda one: one.start)[:MAX_FINDINGS]


def _order(one: Finding) -> tuple[bool, int, int, int, float]:
    return one.type in LEARNED, one.start - one.end, _RANK[one.type], one.start, -one.confidence
