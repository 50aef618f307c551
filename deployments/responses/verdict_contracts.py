"""What models say about a response, as its readers see it."""

from deployments.kit.contract import Contract


class NamedEntity(Contract):
    """Something that an answer names: where it stands (characters, from 0), and what is meant, where that is clear."""

    type: str
    text: str
    start: int
    end: int
    value: str | None = None
    confidence: float = 1.0


class Verdict(Contract):
    """What a version of a model says about an answer as it was at a revision: a label with its probability, no label
    when the model is not sure; or what the answer names, and of which types that is (null for nothing)."""

    model: str
    revision: int
    label: str | None = None
    confidence: float | None = None
    types: list[str] | None = None
    entities: list[NamedEntity] | None = None
