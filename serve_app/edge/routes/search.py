"""What models did with the responses of a form, and looking for responses by what they mean."""

from typing import Any, Literal, Self

from pydantic import Field, RootModel, model_validator

from deployments.inference.enrichment_contracts import (
    MAX_AMONG,
    MAX_HITS,
    Duplicates,
    Enrichment,
    Hits,
    OrderedEnrichment,
    OrderEnrichment,
    SearchResponses,
)
from deployments.kit.contract import Contract, Page
from deployments.responses.contracts import MAX_LIMIT, ListResponses, Response
from serve_app.edge.operations import Exchange, Operation, Reply

_TAG = "ai"
_READ, _WRITE = "responses:read", "responses:write"
_FORM = "/api/v1/forms/{form_id}"


class SearchBody(Contract):
    """What to look for: words in the texts of the answers (`text`), or answers that mean the same (`semantic`)."""

    query: str = Field(min_length=1, max_length=500)
    mode: Literal["semantic", "text"] = "text"
    filter: dict[str, Any] = Field(default={}, description="`{field: {operator: value}}`, as in the list.")
    where: str | None = Field(default=None, description="The text form of a filter.")
    field: str | None = Field(default=None, max_length=64, description="Only in this field; for `semantic`.")
    cursor: str | None = Field(default=None, max_length=1024, description="For `text`.")
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT, description=f"At most {MAX_HITS} for `semantic`.")

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        if self.mode == "semantic" and (self.cursor is not None or self.limit > MAX_HITS):
            raise ValueError(f"a semantic search has no cursor and a limit of at most {MAX_HITS}")
        if self.mode == "text" and self.field is not None:
            raise ValueError("only a semantic search can be in one field")
        return self


class SearchAnswer(RootModel[Page[Response] | Hits]):
    """A page of responses when words were looked for, hits when meanings were."""


class SimilarQuery(Contract):
    """How many near responses, and by which of the answers; all of them when none is named."""

    field: str | None = Field(default=None, max_length=64)
    limit: int = Field(default=10, ge=1, le=MAX_HITS)


class DuplicatesQuery(Contract):
    """Which answers are near-duplicates: those to one field, or to each, whose cosine is `at_least` so much. The latest
    `among` are compared with all."""

    field: str | None = Field(default=None, max_length=64)
    at_least: float = Field(default=0.95, ge=0.5, le=1.0)
    among: int = Field(default=2_000, ge=2, le=MAX_AMONG)
    limit: int = Field(default=20, ge=1, le=MAX_HITS)


async def enrichment(x: Exchange) -> Reply:
    return Reply(await x.apis.inference.enrichment(x.principal, x.path["form_id"]))


async def order(x: Exchange) -> Reply:
    ordered = await x.apis.inference.order_enrichment(x.principal, x.path["form_id"], x.body)
    return Reply(ordered, headers=(("Location", f"/api/v1/jobs/{ordered.job_id}"),))


async def search(x: Exchange) -> Reply:
    body: SearchBody = x.body
    form_id = x.path["form_id"]
    if body.mode == "semantic":
        meant = SearchResponses(**body.model_dump(include={"query", "filter", "where", "field", "limit"}))
        return Reply(await x.apis.inference.search(x.principal, form_id, meant))
    among = body.model_dump(include={"filter", "where", "cursor", "limit"})
    wanted = ListResponses(form_id=form_id, q=body.query, **among)
    return Reply(await x.apis.responses.list_as_json(x.principal, wanted))


async def similar(x: Exchange) -> Reply:
    query = x.query
    return Reply(await x.apis.inference.similar(x.principal, x.path["response_id"], query.field, query.limit))


async def duplicates(x: Exchange) -> Reply:
    query = x.query
    found = await x.apis.inference.duplicates(
        x.principal, x.path["form_id"], query.field, query.at_least, query.among, query.limit
    )
    return Reply(found)


OPERATIONS = (
    Operation(
        id="get_enrichment",
        method="GET",
        path=f"{_FORM}/enrichment",
        summary="How far models are with the responses of a form",
        tag=_TAG,
        scope=_READ,
        handler=enrichment,
        response=Enrichment,
    ),
    Operation(
        id="order_enrichment",
        method="POST",
        path=f"{_FORM}/enrichment",
        summary="Have models look at responses again",
        description="By a job, whose address is in `Location`. What a version of a model says of a revision is kept "
        "once, so that only what is new is told.",
        tag=_TAG,
        scope=_WRITE,
        handler=order,
        request=OrderEnrichment,
        optional_body=True,
        response=OrderedEnrichment,
        status=202,
        errors=(409,),
        example={"filter": {"ai.sentiment": {"eq": "negative"}}},
    ),
    Operation(
        id="search_responses",
        method="POST",
        path=f"{_FORM}/search",
        summary="Responses with words in their texts, or with texts that mean the same",
        description="`text`: the newest first. All words must be there; `word*` stands for all that begin so. "
        "`semantic`: the nearest answers of fields that the form's settings have embedded, each with its score.",
        tag=_TAG,
        scope=_READ,
        handler=search,
        request=SearchBody,
        response=SearchAnswer,
        errors=(503,),
        example={"query": "late deliver*", "mode": "text"},
    ),
    Operation(
        id="list_similar_responses",
        per_form=True,
        method="GET",
        path="/api/v1/responses/{response_id}/similar",
        summary="Responses whose answers are near to those of one",
        tag=_TAG,
        scope=_READ,
        handler=similar,
        query=SimilarQuery,
        response=Hits,
        errors=(503,),
    ),
    Operation(
        id="list_duplicate_answers",
        method="GET",
        path=f"{_FORM}/duplicates",
        summary="Answers that say nearly the same",
        tag=_TAG,
        scope=_READ,
        handler=duplicates,
        query=DuplicatesQuery,
        response=Duplicates,
        errors=(503,),
    ),
)
