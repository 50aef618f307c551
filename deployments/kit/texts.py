"""Texts that a tenant writes for visitors: one for everybody, or one for each language."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field, StringConstraints

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$")]
"""A language tag (RFC 5646)."""

_Plain = StringConstraints(min_length=1, pattern=r"^[^\x00]*$")

Line: TypeAlias = (
    Annotated[str, _Plain, Field(max_length=300)]
    | Annotated[
        dict[Language, Annotated[str, _Plain, Field(max_length=300)]],
        Field(min_length=1, max_length=50, title="By language"),
    ]
)
"""At most 300 characters: a text for everybody, or an object with a text for each language tag."""

Passage: TypeAlias = (
    Annotated[str, _Plain, Field(max_length=10_000)]
    | Annotated[
        dict[Language, Annotated[str, _Plain, Field(max_length=10_000)]],
        Field(min_length=1, max_length=50, title="By language"),
    ]
)
"""The same for texts of at most 10,000 characters."""


def text_in(text: str | Mapping[str, str], wanted: Sequence[str]) -> str:
    """The text in the first of the languages `wanted` that there is one for, else the first text.

    `de-AT` is content with `de`.
    """
    if isinstance(text, str):
        return text
    for language in wanted:
        for tag in (language, language.partition("-")[0]):
            if tag in text:
                return text[tag]
    return next(iter(text.values()))


def languages_of(text: Any) -> tuple[str, ...]:
    """The languages that a text is written in; none for one that is for everybody, or for no text."""
    return tuple(text) if isinstance(text, Mapping) else ()
