"""What models look at in each response of a form (A5): part of the form's settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

BuiltInHead = Literal["spam", "sentiment", "language", "toxicity"]
BroughtKind = Literal["sequence", "token"]
"""What a model that a tenant brought labels: texts, or parts of them."""
ModelId = Annotated[str, StringConstraints(pattern=r"^mdl_[0-9a-f]{1,64}$")]
FieldId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Fields = Annotated[list[FieldId], Field(min_length=1, max_length=MAX_FIELDS)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Classification(Contract):
    """What judges the answers to some fields: a built-in head, a classifier of the tenant, a model that it brought."""

    head: BuiltInHead | None = None
    classifier_id: str | None = Field(default=None, pattern=r"^[a-z]+_[0-9a-f]{1,64}$")
    model_id: ModelId | None = Field(default=None, description="A brought model that labels texts.")
    name: Name | None = Field(
        default=None, description="What its verdicts are called, in filters and columns; null for the head, or the id."
    )
    fields: Fields

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if [self.head, self.classifier_id, self.model_id].count(None) != 2:
            raise ValueError("one of head, classifier_id and model_id says who judges")
        if self.name in _TAKEN:
            raise ValueError(f"{self.name} means something else")
        return self

    @property
    def called(self) -> str:
        """What its verdicts are called."""
        return self.name or self.head or self.classifier_id or self.model_id or ""


class FieldChoice(Contract):
    """Some fields."""

    fields: Fields


class Finding(FieldChoice):
    """Some fields, and who finds what they name."""

    model_id: ModelId | None = Field(
        default=None, description="A brought model that labels parts of texts; null for the built-in one."
    )


@dataclass(frozen=True, slots=True)
class BroughtChoice:
    """A model that a tenant brought, under which name it speaks, where that stands, and what it must label."""

    name: str
    place: str
    model_id: str
    kind: BroughtKind


class EnrichmentPolicy(Contract):
    """What models look at, after a response was submitted or changed. Nobody waits for it."""

    classify: Annotated[list[Classification], Field(max_length=10)] = Field(default_factory=list)
    extract: Finding | None = Field(default=None, description="Find what is named: people, places, amounts.")
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

    def brought(self) -> Iterator[BroughtChoice]:
        """The models of the tenant's own among them."""
        for index, each in enumerate(self.classify):
            if each.model_id is not None:
                yield BroughtChoice(each.called, f"classify/{index}", each.model_id, "sequence")
        if self.extract is not None and self.extract.model_id is not None:
            yield BroughtChoice(ENTITIES, "extract", self.extract.model_id, "token")
