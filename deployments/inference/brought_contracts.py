"""What crosses the door about models that tenants bring."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from deployments.kit.contract import Contract
from deployments.kit.enrichment import BroughtKind
from deployments.models.contracts import Tag

MAX_MODELS = 20
MAX_APPLIED = 64


class RegisterModel(Contract):
    """`file` is the object store's key of the uploaded archive, `sha256` its checksum in hexadecimal."""

    file: str
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    size: int
    sha256: str


class RegisteredModel(Contract):
    """A model that the tenant brought. It serves when its `state` is `ready`; `problem` and `reason` tell why it was
    refused."""

    id: str
    name: str
    state: Literal["checking", "ready", "refused"]
    kind: BroughtKind | None
    labels: list[str]
    problem: str | None
    reason: str | None
    size: int
    sha256: str
    created_by: str
    created_at: datetime


class ApplyModel(Contract):
    """Texts for a brought model; what is beyond 512 tokens of a text does not count."""

    texts: Annotated[list[Annotated[str, Field(max_length=20_000)]], Field(min_length=1, max_length=MAX_APPLIED)]


class AppliedText(Contract):
    """What a model says of a text: the best label with its probability and those of all, or what is in the text."""

    label: str | None = None
    confidence: float | None = None
    scores: dict[str, float] | None = None
    entities: list[Tag] | None = None


class AppliedModel(Contract):
    """A result for each text, and the model."""

    model: str
    results: list[AppliedText]
