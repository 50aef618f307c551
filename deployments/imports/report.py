"""What an import tells its owner: numbers, and a bounded list of what could not be taken."""

from dataclasses import dataclass, field
from typing import Any, Final

from deployments.imports.notices import Notices
from deployments.imports.source import Source
from deployments.responses.contracts import RejectedRow

MAX_ERRORS: Final = 1_000
MAX_SAMPLE: Final = 100
"""The most errors that a dry run lists."""

_TITLE: Final = 200


@dataclass(slots=True)
class Tally:
    """The rows so far: taken, known before, refused. At most `most` of the refused are kept."""

    most: int = MAX_ERRORS
    imported: int = 0
    skipped: int = 0
    refused: int = 0
    unasked: int = 0
    first_unasked: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.imported + self.skipped + self.refused

    def refuse(self, row: RejectedRow) -> None:
        self.refused += 1
        if len(self.errors) < self.most:
            self.errors.append({"line": row.line, "detail": row.detail})

    def set_aside(self, line: int) -> None:
        """Count a row some of whose answers the form's logic does not ask for."""
        self.unasked += 1
        self.first_unasked = self.first_unasked or line


def outcome(form_id: str, source: Source, tally: Tally) -> dict[str, Any]:
    """The result of an import."""
    return {
        "form_id": form_id,
        "imported": tally.imported,
        "skipped": tally.skipped,
        "errors": sorted(tally.errors, key=lambda error: error["line"]),
        "errors_total": tally.refused,
        **_warnings(None, source, tally),
    }


def preview(form_id: str | None, conflict: str | None, source: Source, tally: Tally) -> dict[str, Any]:
    """The result of a dry run: what an import would do. `form_id` is the form that responses would be added to."""
    document = source.form.definition.document()
    return {
        "dry_run": True,
        "form_id": form_id,
        "rows": tally.imported,
        "errors": tally.errors,
        "errors_total": tally.refused,
        **_warnings(conflict, source, tally),
        "questions": [
            {
                "id": element["id"],
                "type": element["type"],
                "title": element["title"][:_TITLE],
                "options": len(element.get("options", element.get("columns", ()))),
            }
            for page in document["pages"]
            for element in page["elements"]
        ],
        **source.details(),
    }


def _warnings(conflict: str | None, source: Source, tally: Tally) -> dict[str, Any]:
    notices = Notices()
    if conflict:
        notices.add("", "import.form_differs", conflict)
    for notice in source.warnings():
        notices.add(notice.where, notice.code, notice.detail)
    if tally.unasked:
        detail = (
            f"{tally.unasked} responses have answers to questions that the form's logic does not ask them. "
            "They are kept in the response's meta as hidden_answers."
        )
        notices.add(f"line {tally.first_unasked}", "answers.hidden", detail)
    return {"warnings": notices.documents(), "warnings_total": notices.total}
