"""What an import tells its owner: numbers, and a bounded list of what could not be taken."""

from dataclasses import dataclass, field
from typing import Any, Final

from deployments.imports.survey import Survey
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
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.imported + self.skipped + self.refused

    def refuse(self, row: RejectedRow) -> None:
        self.refused += 1
        if len(self.errors) < self.most:
            self.errors.append({"line": row.line, "detail": row.detail})


def outcome(form_id: str, survey: Survey, tally: Tally) -> dict[str, Any]:
    """The result of an import."""
    return {
        "form_id": form_id,
        "imported": tally.imported,
        "skipped": tally.skipped,
        "errors": sorted(tally.errors, key=lambda error: error["line"]),
        "errors_total": tally.refused,
        "warnings": survey.warnings(),
    }


def preview(form_id: str | None, conflict: str | None, survey: Survey, tally: Tally) -> dict[str, Any]:
    """The result of a dry run: what an import would do. `form_id` is the form that responses would be added to."""
    elements = survey.plan.definition["pages"][0]["elements"]
    return {
        "dry_run": True,
        "form_id": form_id,
        "rows": tally.imported,
        "errors": tally.errors,
        "errors_total": tally.refused,
        "warnings": [*([conflict] if conflict else []), *survey.warnings()],
        "questions": [
            {
                "id": element["id"],
                "type": element["type"],
                "title": element["title"][:_TITLE],
                "options": len(element.get("options", element.get("columns", ()))),
            }
            for element in elements
        ],
        "encoding": survey.decoding.encoding,
        "header_rows": survey.layout.header_rows,
        "delimiter": survey.layout.dialect.delimiter,
    }
