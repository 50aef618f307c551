"""Asks the models about some answers to one field: heads, finders, encoders, and models that the tenant brought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deployments.inference.brought import told
from deployments.kit.enrichment import VECTOR, BroughtKind
from deployments.kit.errors import Invalid
from deployments.models.contracts import Embeddings, Frame, HeadRef, ModelsApi, Tag

AT_ONCE: Final = 8
"""Texts of one question to a brought model: it has seconds to answer, and one thread."""

_PATIENCE: Final = 2
_FAILED: Final = "model.failed"

Read = Any
"""A response as `EnrichmentRepository.next_tasks` reads it."""
Said = dict[str, Any] | None
"""What a model says of a text; None of one that it could not take."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks under a name: a head, or a model that the tenant brought, of a kind."""

    ref: HeadRef
    brought: BroughtKind | None = None


Speakers = Mapping[str, Speaker]
"""Who speaks under each name that a form's settings give."""


async def asked(
    models: ModelsApi,
    name: str,
    speaker: Speaker | None,
    rows: Sequence[Read],
    places: Sequence[int],
    texts: Sequence[str],
) -> Embeddings | Sequence[Said]:
    """What is said under this name of the texts, which are those of the rows at `places`."""
    if name == VECTOR:
        return await models.embed(texts)
    if speaker is not None and speaker.brought is not None:
        return await _brought(models, speaker.ref, speaker.brought, texts)
    if speaker is None:
        return await _entities(models, rows, places, texts)
    return await _labels(models, speaker.ref, texts)


async def _labels(models: ModelsApi, head: HeadRef, texts: Sequence[str]) -> list[Said]:
    judged = await models.classify(head, texts)
    found: list[Said] = []
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


async def _brought(models: ModelsApi, ref: HeadRef, kind: BroughtKind, texts: Sequence[str]) -> list[Said]:
    """Where it does not answer, each text alone; a model that fails on two of them is not asked any more, since each
    failure takes seconds in which nobody else is served."""
    said: list[Said] = []
    failures = 0
    for start in range(0, len(texts), AT_ONCE):
        part = texts[start : start + AT_ONCE]
        if failures < _PATIENCE and (together := await _answers(models, ref, kind, part)) is not None:
            said += together
            continue
        for text in part:
            alone = await _answers(models, ref, kind, [text]) if failures < _PATIENCE else [None]
            failures += alone is None
            said += alone or [None]
    return said


async def _answers(models: ModelsApi, ref: HeadRef, kind: BroughtKind, texts: Sequence[str]) -> list[Said] | None:
    """None when it took too much time or memory."""
    try:
        applied = await models.apply(ref, texts)
    except Invalid as error:
        if error.code != _FAILED:
            raise
        return None
    answer = told(ref, kind, applied)
    if kind == "sequence":
        return [
            {"model": answer.model, "label": each.label, "confidence": round(each.confidence or 0.0, 4)}
            for each in answer.results
        ]
    return [_named(answer.model, [_entity(tag) for tag in each.entities or ()]) for each in answer.results]


def _entity(tag: Tag) -> dict[str, Any]:
    return {"type": tag.label, **tag.model_dump(exclude={"label"}), "value": None}


async def _entities(models: ModelsApi, rows: Sequence[Read], places: Sequence[int], texts: Sequence[str]) -> list[Said]:
    """Read together where they were written in one language on one day: "tomorrow" means the same then."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, place in enumerate(places):
        row = rows[place]
        language = row.meta.get("language")
        moment = row.submitted_at.replace(hour=0, minute=0, second=0, microsecond=0)
        groups.setdefault((moment, (language,) if isinstance(language, str) else ()), []).append(index)
    found: list[Said] = [None for _ in texts]
    for (moment, languages), indexes in groups.items():
        named = await models.extract([texts[index] for index in indexes], Frame(moment=moment, languages=languages))
        for index, entities in zip(indexes, named.entities, strict=True):
            found[index] = _named(named.model, [entity.model_dump(mode="json") for entity in entities])
    return found


def _named(model: str, entities: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": model, "entities": entities, "types": sorted({each["type"] for each in entities}) or None}
