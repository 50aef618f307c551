"""What an import comes to: documents by collection and outcome, and what was not as it should be."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.imports.legacy.documents import Document

MADE: Final = "made"
LINKED: Final = "linked"
SKIPPED: Final = "skipped"
REFUSED: Final = "refused"
KNOWN: Final = "known"
OUTCOMES: Final = (MADE, LINKED, SKIPPED, REFUSED, KNOWN)

_SAMPLES: Final = 25
_ALL: Final = 1_000


@dataclass(slots=True)
class Report:
    """Counts of everything, and examples: of each code in each collection a few, of what is not made more."""

    read: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)
    quotas: list[str] = field(default_factory=list)

    def count(self, document: Document, outcome: str, notes: Mapping[str, str], *, reason: str = "") -> None:
        """A document came to an outcome, with these codes by pointer; a `reason` is the code of why it is not made."""
        collection = document.collection
        self.read[collection] += 1
        self.outcomes.setdefault(collection, Counter())[outcome] += 1
        if reason:
            self.note(document, "", reason, outcome=outcome)
        for pointer, code in notes.items():
            self.note(document, pointer, code)

    def note(self, document: Document, pointer: str, code: str, detail: str = "", outcome: str = "") -> None:
        """One thing about a document."""
        codes = self.codes.setdefault(document.collection, Counter())
        codes[code] += 1
        if codes[code] <= (_ALL if outcome in (SKIPPED, REFUSED) else _SAMPLES):
            example = {"collection": document.collection, "id": document.source_id, "place": document.place}
            told = {"pointer": pointer, "code": code, "detail": detail, "outcome": outcome}
            self.examples.append(example | {name: value for name, value in told.items() if value})

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "collections": {
                name: {"read": self.read[name], **{each: self.outcomes[name][each] for each in OUTCOMES}}
                for name in self.outcomes
            },
            "codes": {name: dict(sorted(codes.items())) for name, codes in self.codes.items()},
            "not_read": self.unread,
            "quotas": self.quotas,
            "examples": self.examples,
        }
