"""The responses of a file, one by one, each under a key that stays the same when the file comes again."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from deployments.imports.inference import Plan
from deployments.imports.layout import Layout
from deployments.imports.metadata import parse_moment
from deployments.responses.contracts import ImportRow, RejectedRow

_LONGEST_KEY: Final = 100


When = Callable[[Sequence[str]], datetime | None]
"""When a response was given, by the cells of its row."""


def read_rows(
    path: Path, layout: Layout, plan: Plan, source: str = "surveymonkey_csv", when: When | None = None
) -> Iterator[ImportRow | RejectedRow]:
    """Every response of the file, and every line that is none, in their order.

    The key is the respondent's id; for a row without one, or with one that an earlier row has, it is made of the row's
    text and of how often that text came before.
    """
    respondents: set[bytes] = set()
    texts: Counter[bytes] = Counter()
    for record in layout.rows(path):
        if record.problem:
            yield RejectedRow(line=record.line, detail=record.problem)
            continue
        cells = [*record.cells[: layout.width], *[""] * (layout.width - len(record.cells))]
        key = "" if plan.key is None else cells[plan.key].strip()
        if not key or len(key) > _LONGEST_KEY or (digest := _digest(key)[:8]) in respondents:
            digest = _digest(cells)
            texts[digest] += 1
            key = f"sha256:{digest.hex()}:{texts[digest]}"
        else:
            respondents.add(digest)
        answers = {question.element["id"]: question.read(cells) for question in plan.questions}
        yield ImportRow(
            key=key,
            line=record.line,
            answers={name: answer for name, answer in answers.items() if answer is not None},
            meta={"source": source, "line": record.line},
            submitted_at=_submitted_at(cells, plan) if when is None else when(cells),
        )


def _digest(value: object) -> bytes:
    return hashlib.sha256(orjson.dumps(value)).digest()


def _submitted_at(cells: Sequence[str], plan: Plan) -> datetime | None:
    for index, form in plan.submitted:
        if moment := parse_moment(cells[index], form):
            return moment
    return None


def batches(
    rows: Iterator[ImportRow | RejectedRow], most_rows: int, most_bytes: int
) -> Iterator[list[ImportRow | RejectedRow]]:
    """The rows in lists of at most `most_rows`; a list ends when its answers exceed `most_bytes` of JSON."""
    batch: list[ImportRow | RejectedRow] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(orjson.dumps(row.answers)) if isinstance(row, ImportRow) else 0
        if len(batch) >= most_rows or size > most_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
