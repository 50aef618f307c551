"""What models say of responses: in the index, and as columns of the form's table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from db.repositories.answer_values import Kind, series_of, text_of
from deployments.kit.engine import Column
from deployments.kit.engine.columns import list_column
from deployments.kit.enrichment import ENTITIES, ENTITY_TYPES, VERDICTS

INFERENCE: Final = "@inference"
"""What models say is under this name among the answers that columns read. No field has it."""

_NONE: Final[Mapping[str, Any]] = {}


def verdicts_of(form_id: str, inference: Mapping[str, Any] | None) -> Iterable[tuple[int, str]]:
    """What the index holds of what models say about a response, whatever its form wants of them by now."""
    for field, verdicts in (inference or _NONE).items():
        for name, verdict in verdicts.items():
            key = f"{VERDICTS}{field}.{name}"
            for each in verdict.get("types") or ():
                yield series_of(form_id, key, Kind.SET), text_of(each)
            if verdict.get("label") is not None:
                yield series_of(form_id, key, Kind.TEXT), text_of(verdict["label"])
            if verdict.get("confidence") is not None:
                yield series_of(form_id, f"{key}.confidence", Kind.NUMBER), text_of(float(verdict["confidence"]))


def verdict_columns(
    inferred: Sequence[tuple[str, str]], titles: Mapping[str, str], *, lists: bool
) -> tuple[Column, ...]:
    """The columns of verdicts, by their kinds as field and name; they stand after those of the answers. With `lists`,
    types of entities have one of their own."""
    return tuple(
        column
        for field, name in inferred
        for column in _columns(field, name, f"{titles.get(field, field)} - {name}", lists)
    )


def _columns(field: str, name: str, title: str, lists: bool) -> Iterable[Column]:
    key = f"{VERDICTS}{field}.{name}"

    def verdict(answers: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = answers.get(INFERENCE, _NONE).get(field, _NONE).get(name, _NONE)
        return found

    def label(answers: Mapping[str, Any]) -> str:
        return verdict(answers).get("label") or ""

    def confidence(answers: Mapping[str, Any]) -> str:
        value = verdict(answers).get("confidence")
        return "" if value is None else str(value)

    def entities(answers: Mapping[str, Any]) -> str:
        return "; ".join(f"{each['type']}: {each['text']}" for each in verdict(answers).get("entities") or ())

    def types(answers: Mapping[str, Any]) -> Sequence[str]:
        return verdict(answers).get("types") or ()

    if name == ENTITIES:
        yield Column(key, title, field, entities)
        if lists:
            yield list_column(f"{key}{ENTITY_TYPES}", f"{title} - types", field, types)
    else:
        yield Column(key, title, field, label)
        yield Column(f"{key}.confidence", f"{title} - confidence", field, confidence, "number")
