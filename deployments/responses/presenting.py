"""Responses as their readers see them: JSON, written from rows of plain columns without an object for each."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import orjson
from pydantic import TypeAdapter

from db.models import response_life
from db.repositories.response_filters import TAGS_BETWEEN
from deployments.responses.life_contracts import Comment, ResponseVersion
from deployments.responses.masking import masked, seen_verdicts
from deployments.responses.settings import TRASH_LIFE
from deployments.responses.suspicion import Suspicion
from deployments.responses.verdict_contracts import Verdict

Plain: TypeAlias = Any
"""A row with the columns of a response that were asked for, see `Filtering.picked`."""

COLUMNS: Final = (
    *(
        "id",
        "form_id",
        "version",
        "status",
        "answers",
        "meta",
        "submitted_by",
        "submitted_at",
        "revision",
        "updated_at",
    ),
    *("started_at", "seconds", "timings", "review", "reviewed_by", "reviewed_at", "assignee", "tags", "suspicion"),
    "inference",
)
"""What a document is written from."""
TRASHED_COLUMNS: Final = (*COLUMNS, "deleted_at", "deleted_by")

_VERDICTS: Final = TypeAdapter(dict[str, dict[str, Verdict]])
_COMMENTS: Final = TypeAdapter(list[Comment])


def to_json(document: Any) -> bytes:
    """The text of documents."""
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)


class Documents:
    """The documents of responses for a reader who does not see the `hidden` fields; of the others, those that are
    `chosen`."""

    def __init__(self, hidden: Collection[str], chosen: Collection[str] | None = None) -> None:
        self._hidden = hidden
        self._chosen = chosen
        self._is_whole = not hidden and chosen is None

    def of(self, row: Plain) -> dict[str, Any]:
        """The document of a `Response`, to be made JSON by `to_json`."""
        answers, names = self._answers(row)
        suspicion = Suspicion.read(row.suspicion)
        return {
            "id": row.id,
            "form_id": row.form_id,
            "version": row.version,
            "status": row.status,
            "answers": answers,
            "meta": orjson.Fragment(row.meta),
            "submitted_by": row.submitted_by,
            "submitted_at": row.submitted_at,
            "revision": row.revision,
            "updated_at": row.updated_at,
            "started_at": row.started_at,
            "seconds": row.seconds,
            "timings": None if row.timings is None else orjson.Fragment(row.timings),
            "review": row.review or "none",
            "reviewed_by": row.reviewed_by,
            "reviewed_at": row.reviewed_at,
            "assignee": row.assignee,
            "tags": tags_of(row),
            "suspicion": suspicion.signs,
            "spam_score": suspicion.score,
            "masked": names,
            "inference": {} if row.inference is None else self._verdicts(row.inference),
        }

    def details(self, row: Plain, comments: Sequence[response_life.ResponseComment]) -> dict[str, Any]:
        """The same of a `ResponseDetails`."""
        said = _COMMENTS.dump_json([to_comment(comment) for comment in comments])
        return self.of(row) | {"comments": orjson.Fragment(said)}

    def trashed(self, row: Plain) -> dict[str, Any]:
        """The same of a `TrashedResponse`."""
        deleted_at: datetime = row.deleted_at
        gone = {"deleted_at": deleted_at, "deleted_by": row.deleted_by or "", "purge_at": deleted_at + TRASH_LIFE}
        return self.of(row) | gone

    def _answers(self, row: Plain) -> tuple[Any, list[str]]:
        if self._is_whole:
            return orjson.Fragment(row.answers), []
        answers, names = masked(orjson.loads(row.answers), self._hidden)
        return self._picked(answers), names

    def _verdicts(self, inference: str) -> Any:
        seen = self._picked(seen_verdicts(orjson.loads(inference), self._hidden))
        return orjson.Fragment(_VERDICTS.dump_json(_VERDICTS.validate_python(seen)))

    def _picked(self, by_field: dict[str, Any]) -> dict[str, Any]:
        if self._chosen is None:
            return by_field
        return {name: value for name, value in by_field.items() if name in self._chosen}


def tags_of(row: Plain) -> list[str]:
    """The tags of a response, sorted."""
    return sorted(row.tags.split(TAGS_BETWEEN)) if row.tags else []


def to_version(row: response_life.ResponseVersion, hidden: Collection[str]) -> ResponseVersion:
    """One version of a response's answers."""
    answers, names = masked(row.answers, hidden)
    return ResponseVersion(
        revision=row.revision,
        version=row.form_version,
        answers=answers,
        made_by=row.made_by,
        made_at=row.made_at,
        reason=row.reason,
        masked=names,
    )


def to_comment(row: response_life.ResponseComment) -> Comment:
    """A comment."""
    return Comment(
        id=row.id,
        author=row.author,
        text=row.text,
        review=row.review,  # type: ignore[arg-type]  # checked by the contract
        created_at=row.created_at,
        edited_at=row.edited_at,
    )
