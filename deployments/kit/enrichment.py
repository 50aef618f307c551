"""What models look at in each response of a form (A5): part of the form's settings."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from deployments.kit.contract import Contract

MAX_FIELDS: Final = 20
TEXT_TYPES: Final = frozenset({"short_text", "long_text"})
"""The types of fields whose answers models read."""

VERDICTS: Final = "ai."
"""What the names of fields and columns begin with that models fill."""
ENTITIES: Final = "entities"
ENTITY_TYPES: Final = ".types"
"""What the name of the column ends with that lists the types of entities; without it, the column tells them all."""
VECTOR: Final = "vector"
_TAKEN: Final = frozenset({ENTITIES, VECTOR, "confidence"})

BuiltInHead = Literal["spam", "sentiment", "language"]
FieldId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Fields = Annotated[list[FieldId], Field(min_length=1, max_length=MAX_FIELDS)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Classification(Contract):
    """A head that judges the answers to some fields: a built-in one, or a classifier of the tenant."""

    head: BuiltInHead | None = None
    classifier_id: str | None = Field(default=None, pattern=r"^[a-z]+_[0-9a-f]{1,64}$")
    name: Name | None = Field(
        default=None, description="What its verdicts are called, in filters and columns; null for the head, or the id."
    )
    fields: Fields

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.head is None) == (self.classifier_id is None):
            raise ValueError("either head or classifier_id says who judges")
        if self.name in _TAKEN:
            raise ValueError(f"{self.name} means something else")
        return self

    @property
    def called(self) -> str:
        """What its verdicts are called."""
        return self.name or self.head or self.classifier_id or ""


class FieldChoice(Contract):
    """Some fields."""

    fields: Fields


class EnrichmentPolicy(Contract):
    """What models look at, after a response was submitted or changed. Nobody waits for it."""

    classify: Annotated[list[Classification], Field(max_length=10)] = Field(default_factory=list)
    extract: FieldChoice | None = Field(default=None, description="Find what is named: people, places, amounts.")
    embed: FieldChoice | None = Field(default=None, description="Keep directions, for the search by meaning.")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "EnrichmentPolicy | None":
        """The policy in the stored settings of a form; None where they have none that is understood."""
        try:
            return cls.model_validate(settings["ai"]) if settings.get("ai") else None
        except ValidationError:
            return None

    def choices(self) -> Iterator[tuple[str, str, list[str]]]:
        """What is done under which name (that of a head, `entities`, `vector`), where it stands, and its fields."""
        for index, each in enumerate(self.classify):
            yield each.called, f"classify/{index}", each.fields
        if self.extract is not None:
            yield ENTITIES, "extract", self.extract.fields
        if self.embed is not None:
            yield VECTOR, "embed", self.embed.fields
