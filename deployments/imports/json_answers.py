"""Responses that come as JSON records: kept on disk as they are read, and turned into rows one by one."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import orjson

from deployments.imports.notices import Notice, Notices
from deployments.imports.source import Row
from deployments.kit.engine import CompiledForm
from deployments.responses.contracts import ImportRow, RejectedRow

_LONGEST_KEY: Final = 100
_LONGEST_KEPT: Final = 20_000


class Misfit(ValueError):
    """A record is no response; the message says why."""


@dataclass(slots=True)
class Taken:
    """What a record says: answers, what is no answer to a question of the form, its own id, and when it was given."""

    answers: dict[str, Any] = field(default_factory=dict)
    unmapped: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    submitted_at: datetime | None = None


class Records:
    """The records of a file, in the order in which they came; a context in which they are added."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "records.jsonl"
        self._file = self._path.open("wb")
        self.total = 0

    def add(self, record: Any) -> None:
        self._file.write(orjson.dumps(record) + b"\n")
        self.total += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        with self._path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)


@dataclass(slots=True)
class AnsweredForm:
    """A form with records of its responses; `take` reads one and raises Misfit. Rows are numbered from 1."""

    form: CompiledForm
    records: Records
    take: Callable[[Any], Taken]
    notices: Notices
    source: str

    @property
    def total(self) -> int:
        return self.records.total

    def rows(self) -> Iterator[Row]:
        """Every record as a row. A record without an id is known by its content, and by how often that came before."""
        seen: set[bytes] = set()
        contents: Counter[bytes] = Counter()
        for line, record in enumerate(self.records, 1):
            try:
                taken = self.take(record)
            except Misfit as error:
                yield RejectedRow(line=line, detail=str(error)[:1000])
                continue
            key = taken.key
            if not key or len(key) > _LONGEST_KEY or (digest := _digest(key)[:8]) in seen:
                digest = _digest(record)
                contents[digest] += 1
                key = f"sha256:{digest.hex()}:{contents[digest]}"
            else:
                seen.add(digest)
            meta: dict[str, Any] = {"source": self.source, "line": line}
            if taken.unmapped:
                meta["unmapped"] = {name: self._kept(name, value, line) for name, value in taken.unmapped.items()}
                self._tell(taken.unmapped)
            answers = {name: answer for name, answer in taken.answers.items() if answer not in (None, "", [], {})}
            yield ImportRow(key=key, line=line, answers=answers, meta=meta, submitted_at=taken.submitted_at)

    def _kept(self, name: str, value: Any, line: int) -> Any:
        if len(orjson.dumps(value)) <= _LONGEST_KEPT:
            return value
        detail = "What is no answer to a question of the form is kept only up to a length."
        self.notices.add(f"line {line}, {name}"[:200], "answers.cut", detail)
        return str(value)[:_LONGEST_KEPT]

    def _tell(self, unmapped: dict[str, Any]) -> None:
        for name in unmapped:
            detail = "Responses say something that is no question of the form. It is kept in their meta as unmapped."
            self.notices.add(name[:200], "answers.unmapped", detail)

    def warnings(self) -> Sequence[Notice]:
        return tuple(self.notices)

    def details(self) -> dict[str, Any]:
        return {}


def _digest(value: Any) -> bytes:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()


def moment(value: Any) -> datetime | None:
    """The moment that a text says (ISO 8601), in UTC unless it says otherwise; None when it says none."""
    if isinstance(value, str) and len(value) <= 40:
        with suppress(ValueError):
            found = datetime.fromisoformat(value.strip().replace(" UTC", "+00:00"))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def text_of(value: Any) -> str:
    """The text of a plain value. Raises Misfit for a list or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise Misfit("A text is expected.")


def number_of(value: Any) -> Any:
    """The number that a value says; the value itself when it says none, for the form to refuse."""
    if isinstance(value, str):
        with suppress(ValueError):
            number = float(value)
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return value
