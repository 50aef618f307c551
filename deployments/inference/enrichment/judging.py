"""Asks the models about many responses of a form at once, and makes rows of what they say."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.repositories.answer_values import Kind as EntryKind
from db.repositories.answer_values import series_of
from db.repositories.enrichment import Enriched
from db.types import utc_now
from deployments.inference.search.vectors import packed
from deployments.kit.enrichment import ENTITIES, VECTOR, EnrichmentPolicy
from deployments.kit.errors import Unavailable
from deployments.kit.vectors import unpacked
from deployments.models.contracts import Embeddings, Frame, HeadRef, ModelsApi

AT_ONCE: Final = 256
"""Texts of one question to a model."""
LONGEST: Final = 20_000
"""Characters of an answer that are looked at: models read some hundred words."""

_MISSING: Final = "model.missing"

Heads = Mapping[str, HeadRef]
"""The head of each name that a form's settings give."""

Read = Any
"""A response as `EnrichmentRepository.next_tasks` reads it."""


def number_of(response_id: str, field: str) -> int:
    """What names an answer in the index of its form."""
    return series_of(response_id, field, EntryKind.WORDS)


async def judge(
    models: ModelsApi,
    form_id: str,
    policy: EnrichmentPolicy,
    heads: Heads,
    rows: Sequence[Read],
) -> tuple[list[Enriched], str | None]:
    """What is said of each of the responses; and which model is missing, when one is: the others speak all the same.
    Raises what the models raise."""
    missing: str | None = None
    said: list[dict[str, dict[str, Any]]] = [{} for _ in rows]
    vectors: list[list[dict[str, Any]]] = [[] for _ in rows]
    for name, _, fields in policy.choices():
        if name not in heads and name not in (VECTOR, ENTITIES):
            missing = f"There is no classifier for {name}."
            continue
        for field in fields:
            there = [(place, text) for place, row in enumerate(rows) if (text := _text(row.answers, field))]
            for start in range(0, len(there), AT_ONCE):
                some = there[start : start + AT_ONCE]
                places, texts = [place for place, _ in some], [text for _, text in some]
                try:
                    answer = await _asked(models, name, heads, rows, places, texts)
                except Unavailable as error:
                    if error.code != _MISSING:
                        raise
                    missing = error.detail
                    break
                if isinstance(answer, Embeddings):
                    bodies = packed(unpacked(answer.vectors, answer.dimensions))
                    for place, body in zip(places, bodies, strict=True):
                        vectors[place].append(
                            {
                                "response_id": rows[place].response_id,
                                "field": field,
                                "form_id": form_id,
                                "number": number_of(rows[place].response_id, field),
                                "revision": rows[place].revision,
                                "model": answer.model,
                                "vector": body,
                            }
                        )
                else:
                    for place, verdict in zip(places, answer, strict=True):
                        said[place].setdefault(field, {})[name] = verdict
    now = utc_now()
    found = [
        Enriched(
            response_id=row.response_id,
            mark=row.mark,
            inference={
                field: {name: {**_NOTHING, **verdict, "revision": row.revision} for name, verdict in verdicts.items()}
                for field, verdicts in said[place].items()
            },
            verdicts=tuple(
                {
                    "response_id": row.response_id,
                    "field": field,
                    "name": name,
                    "revision": row.revision,
                    "model": verdict["model"],
                    "form_id": form_id,
                    "label": verdict.get("label"),
                    "score": verdict.get("confidence"),
                    "result": {key: value for key, value in verdict.items() if key in ("entities", "scores")},
                    "made_at": now,
                }
                for field, verdicts in said[place].items()
                for name, verdict in verdicts.items()
            ),
            vectors=tuple(vectors[place]),
        )
        for place, row in enumerate(rows)
    ]
    return found, missing


async def _asked(
    models: ModelsApi, name: str, heads: Heads, rows: Sequence[Read], places: Sequence[int], texts: Sequence[str]
) -> Embeddings | list[dict[str, Any]]:
    """What the model of this name answers to the texts, which are those of the rows at `places`."""
    if name == VECTOR:
        return await models.embed(texts)
    if name == ENTITIES:
        return await _entities(models, rows, places, texts)
    return await _labels(models, heads[name], texts)


_NOTHING: Final[dict[str, Any]] = {"label": None, "confidence": None, "types": None, "entities": None}


async def _labels(models: ModelsApi, head: HeadRef, texts: Sequence[str]) -> list[dict[str, Any]]:
    judged = await models.classify(head, texts)
    found = []
    for scores in judged.scores:
        best = max(range(len(scores)), key=scores.__getitem__)
        found.append(
            {
                "model": judged.model,
                "label": judged.labels[best] if scores[best] >= judged.threshold else None,
                "confidence": round(float(scores[best]), 4),
            }
        )
    return found


async def _entities(
    models: ModelsApi, rows: Sequence[Read], places: Sequence[int], texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Read together where they were written in one language on one day: "tomorrow" means the same then."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, place in enumerate(places):
        row = rows[place]
        language = row.meta.get("language")
        moment = row.submitted_at.replace(hour=0, minute=0, second=0, microsecond=0)
        groups.setdefault((moment, (language,) if isinstance(language, str) else ()), []).append(index)
    found: list[dict[str, Any]] = [{} for _ in texts]
    for (moment, languages), indexes in groups.items():
        named = await models.extract([texts[index] for index in indexes], Frame(moment=moment, languages=languages))
        for index, entities in zip(indexes, named.entities, strict=True):
            found[index] = {
                "model": named.model,
                "entities": [entity.model_dump(mode="json") for entity in entities],
                "types": sorted({entity.type for entity in entities}) or None,
            }
    return found


def _text(answers: Mapping[str, Any], field: str) -> str:
    answer = answers.get(field)
    return answer.strip()[:LONGEST] if isinstance(answer, str) else ""
