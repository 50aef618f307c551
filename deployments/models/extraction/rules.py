"""A rule: a pattern, what must stand around it, and what is made of a match. Patterns are RE2, so that the time that
they take grows with the text's length and no faster."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import re2  # type: ignore[import-untyped]

from deployments.models.contracts import EntityType
from deployments.models.extraction.findings import MAX_FINDINGS, Finding
from deployments.models.extraction.reading import Reading

_AROUND: Final = 32

Groups = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a match means."""

    type: EntityType
    value: str | None
    confidence: float = 1.0


Reader = TypeVar("Reader")


class Rule(Generic[Reader]):
    """A pattern over shadows, and what a reader, who knows the frame, makes of a match.

    The span is the group `s` where there is one. `before`, `after` and `not_before` look at what stands next to it and
    take nothing away from other matches. The group `capital` must be in capitals, which the shadow does not tell.
    """

    def __init__(
        self,
        pattern: str,
        make: Callable[[Reader, Groups], Meaning | None],
        *,
        before: str = "",
        after: str = "",
        not_before: str = "",
        capital: str = "",
    ) -> None:
        self._pattern: Any = re2.compile(pattern.encode())
        self._before: Any = re2.compile(f"(?:{before})$".encode()) if before else None
        self._after: Any = re2.compile(f"^(?:{after})".encode()) if after else None
        self._not_before: Any = re2.compile(f"(?:{not_before})$".encode()) if not_before else None
        self._capital = capital
        self._make = make
        self._groups: dict[str, int] = {name.decode(): place for name, place in self._pattern.groupindex.items()}
        self._span = self._groups.pop("s", 0)

    def findings(self, reading: Reading, reader: Reader) -> Iterator[Finding]:
        """What the pattern finds, as far as it means something."""
        shadow = reading.shadow
        for match in islice(self._pattern.finditer(shadow), MAX_FINDINGS):
            start, end = match.span(self._span)
            end -= len(shadow[start:end]) - len(shadow[start:end].rstrip())
            if self._before is not None and not self._before.search(shadow[max(0, start - _AROUND) : start]):
                continue
            if self._not_before is not None and self._not_before.search(shadow[max(0, start - _AROUND) : start]):
                continue
            if self._after is not None and not self._after.search(shadow[end : end + _AROUND]):
                continue
            if self._capital and not _is_capital(reading.text, *match.span(self._groups[self._capital])):
                continue
            found = {name: match.group(place) for name, place in self._groups.items()}
            groups = {name: each.decode() for name, each in found.items() if each is not None}
            if (meaning := self._make(reader, groups)) is not None:
                yield Finding(meaning.type, start, end, meaning.value, meaning.confidence)


def _is_capital(text: str, start: int, end: int) -> bool:
    return text[start:end].isupper()
