"""What extraction takes and gives."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from deployments.kit.contract import Contract
from deployments.models.contracts import Entity, EntityType

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


# As many and as long as every AI operation takes; this file is imported by the one that says so for the others.
Texts = Annotated[list[Annotated[str, Field(max_length=20_000)]], Field(min_length=1, max_length=256)]


class ExtractEntities(Contract):
    """Texts, and what they are read against. What is not told: `moment` is now, `languages` are all that are read, and
    without a `country` phone numbers count only with + and a country's code."""

    texts: Texts
    moment: AwareDatetime | None = Field(default=None, description='When the texts were written, for "tomorrow".')
    languages: list[Language] = Field(default=[], max_length=8, description="BCP 47, the most likely first.")
    country: Country | None = Field(default=None, description="ISO 3166, for phone numbers, money and 3/4/2026.")
    types: list[EntityType] | None = Field(default=None, min_length=1, max_length=12, description="Only these.")


class ExtractedEntities(Contract):
    """What a text names, in the order of the text."""

    entities: list[Entity]


class Extraction(Contract):
    """The entities of each text, and the version of what found them."""

    model: str
    results: list[ExtractedEntities]
