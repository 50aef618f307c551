"""What is asked of the work on responses, and of the search by meaning."""

from typing import Any

from pydantic import Field

from deployments.kit.contract import Contract
from deployments.responses.contracts import Response

MAX_HITS = 100
MAX_AMONG = 10_000


class JudgedBy(Contract):
    """How many answers to a field a version of a model has judged under a name, those of earlier revisions too."""

    field: str
    name: str
    model: str
    answers: int


class Enrichment(Contract):
    """How far models are with the responses of a form."""

    total: int = Field(description="Complete responses.")
    done: int = Field(description="Those of which everything is said that the settings name.")
    waiting: int = Field(description="Those that are going to be looked at.")
    failed: int = Field(description="Given up until they are ordered again.")
    unseen: int = Field(
        description="Those of which not everything is said that the settings name: they came a moment ago, or before "
        "the settings named it, and are looked at when they are ordered."
    )
    errors: dict[str, int] = Field(description="Why, and how many of them.")
    versions: list[JudgedBy]


class OrderEnrichment(Contract):
    """Which responses are to be looked at again, all without a filter. See docs/reference/query.md."""

    filter: dict[str, Any] = Field(default_factory=dict)
    where: str | None = None


class OrderedEnrichment(Contract):
    """The job that marks the responses; the progress of the work itself is that of the form."""

    job_id: str


class SearchResponses(Contract):
    """What answers are to mean, and among which responses."""

    query: str = Field(min_length=1, max_length=2_000)
    filter: dict[str, Any] = Field(default_factory=dict)
    where: str | None = None
    field: str | None = Field(default=None, max_length=64, description="Only in this field.")
    limit: int = Field(default=10, ge=1, le=MAX_HITS)


class Hit(Contract):
    """A response that was found, by which of its answers, and the cosine of the two directions."""

    response: Response
    field: str
    score: float


class Hits(Contract):
    """What was found, the nearest first. `exact`: all answers were compared, and not most likely ones only."""

    data: list[Hit]
    model: str | None = None
    exact: bool = True


class Duplicate(Contract):
    """One of several answers that say nearly the same."""

    response_id: str
    field: str


class DuplicateGroup(Contract):
    """Answers that are near to each other, the earliest first, and how near those that were joined are
    at least."""

    answers: list[Duplicate]
    score: float


class Duplicates(Contract):
    """Groups of near-duplicates, the largest first. `compared`: the latest answers, each compared with all others."""

    data: list[DuplicateGroup]
    compared: int
