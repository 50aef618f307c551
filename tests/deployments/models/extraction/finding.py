"""Asking an extractor, and reading what it says in short."""

from datetime import UTC, datetime
from functools import cache

from deployments.models.contracts import Entity, Frame
from deployments.models.extraction.extractor import Extractor

MOMENT = datetime(2026, 3, 27, 9, tzinfo=UTC)  # a Friday; clocks change two days later in Europe

Found = list[tuple[str, str, str | None]]


@cache
def _extractor() -> Extractor:
    return Extractor()


def entities(
    text: str, *, moment: datetime = MOMENT, languages: tuple[str, ...] = (), country: str | None = None
) -> tuple[Entity, ...]:
    frame = Frame(moment=moment, languages=languages, country=country)
    return _extractor().extract([text], frame).entities[0]


def found(
    text: str,
    *types: str,
    moment: datetime = MOMENT,
    languages: tuple[str, ...] = (),
    country: str | None = None,
) -> Found:
    """Type, text and value of what is found, of these types or of all that rules find."""
    every = entities(text, moment=moment, languages=languages, country=country)
    wanted = types or tuple({"email", "phone", "url", "money", "date", "time", "datetime", "quantity", "order_number"})
    return [(each.type, each.text, each.value) for each in every if each.type in wanted]
