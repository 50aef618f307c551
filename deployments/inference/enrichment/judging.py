"""Asks the models about many responses of a form at once, and makes rows of what they say."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from db.repositories.answer_values import Kind as EntryKind
from db.repositories.answer_values import series_of
from db.repositories.enrichment import Enriched
from db.types import utc_now
from deployments.inference.enrichment.asking import Read, Said, Speakers, asked
from deployments.inference.search.vectors import packed
from deployments.kit.enrichment import EnrichmentPolicy
from deployments.kit.errors import Unavailable
from deployments.kit.vectors import unpacked
from deployments.models.contracts import Embeddings, ModelsApi

AT_ONCE: Final = 256
"""Texts of one question to a model."""
LONGEST: Final = 20_000
"""Characters of an answer that are looked at: models read some hundred words."""

# Waiting would not help: something has to be done first.
_SILENT: Final = frozenset({"model.missing", "head.damaged", "head.outdated"})
_NOTHING: Final[dict[str, Any]] = {"label": None, "confidence": None, "types": None, "entities": None}


def number_of(response_id: str, field: str) -> int:
    """What names an answer in the index of its form."""
    return series_of(response_id, field, EntryKind.WORDS)


async def judge(
    models: ModelsApi,
    form_id: str,
    policy: EnrichmentPolicy,
    speakers: Speakers,
    problems: Mapping[str, str],
    rows: Sequence[Read],
) -> list[tuple[Enriched, str | None]]:
    """What is said of each of the responses; and why a model says nothing of it, when one does not: the others speak
    all the same. `problems` are those of names that nobody speaks under. Raises what the models raise."""
    notes = _Notes(form_id, rows)
    for name, _, fields in policy.choices():
        if name in problems:
            notes.fault(problems[name])
            continue
        for field in fields:
            there = [(place, text) for place, row in enumerate(rows) if (text := _text(row.answers, field))]
            for start in range(0, len(there), AT_ONCE):
                some = there[start : start + AT_ONCE]
                places, texts = [place for place, _ in some], [text for _, text in some]
                try:
                    answer = await asked(models, name, speakers.get(name), rows, places, texts)
                except Unavailable as error:
                    if error.code not in _SILENT:
                        raise
                    notes.fault(error.detail)
                    break
                notes.add(field, name, places, answer)
    return notes.enriched()


class _Notes:
    """What was said so far of each of some responses of a form."""

    def __init__(self, form_id: str, rows: Sequence[Read]) -> None:
        self._form_id = form_id
        self._rows = rows
        self._said: list[dict[str, dict[str, Any]]] = [{} for _ in rows]
        self._vectors: list[list[dict[str, Any]]] = [[] for _ in rows]
        self._faults: list[str | None] = [None] * len(rows)

    def fault(self, sentence: str) -> None:
        """A model says nothing of any of them."""
        self._faults = [sentence] * len(self._rows)

    def add(self, field: str, name: str, places: Sequence[int], answer: Embeddings | Sequence[Said]) -> None:
        """What was said under a name of the answers to a field of the responses at `places`."""
        if isinstance(answer, Embeddings):
            bodies = packed(unpacked(answer.vectors, answer.dimensions))
            for place, body in zip(places, bodies, strict=True):
                self._vectors[place].append(self._vector(self._rows[place], field, answer.model, body))
            return
        for place, verdict in zip(places, answer, strict=True):
            if verdict is None:
                self._faults[place] = f"The model for {name} took too much time or memory."
            else:
                self._said[place].setdefault(field, {})[name] = verdict

    def enriched(self) -> list[tuple[Enriched, str | None]]:
        """All of it as it is written, with why something is not there."""
        now = utc_now()
        return [
            (
                Enriched(
                    response_id=row.response_id,
                    mark=row.mark,
                    inference={
                        field: {
                            name: {**_NOTHING, **verdict, "revision": row.revision}
                            for name, verdict in verdicts.items()
                        }
                        for field, verdicts in self._said[place].items()
                    },
                    verdicts=tuple(
                        self._verdict(row, field, name, verdict, now)
                        for field, verdicts in self._said[place].items()
                        for name, verdict in verdicts.items()
                    ),
                    vectors=tuple(self._vectors[place]),
                ),
                self._faults[place],
            )
            for place, row in enumerate(self._rows)
        ]

    def _verdict(self, row: Read, field: str, name: str, verdict: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        return {
            "response_id": row.response_id,
            "field": field,
            "name": name,
            "revision": row.revision,
            "model": verdict["model"],
            "form_id": self._form_id,
            "label": verdict.get("label"),
            "score": verdict.get("confidence"),
            "result": {key: value for key, value in verdict.items() if key in ("entities", "scores")},
            "made_at": now,
        }

    def _vector(self, row: Read, field: str, model: str, body: bytes) -> dict[str, Any]:
        return {
            "response_id": row.response_id,
            "field": field,
            "form_id": self._form_id,
            "number": number_of(row.response_id, field),
            "revision": row.revision,
            "model": model,
            "vector": body,
        }


def _text(answers: Mapping[str, Any], field: str) -> str:
    answer = answers.get(field)
    return answer.strip()[:LONGEST] if isinstance(answer, str) else ""
