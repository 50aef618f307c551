"""Taking and reading responses."""

from dataclasses import replace
from datetime import date
from typing import Any

import orjson
from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.responses.contracts import (
    MAX_LIMIT,
    Changes,
    ListResponses,
    Receipt,
    Response,
    ResponseDetails,
    SubmissionBody,
    SubmitResponse,
    SubmittedResponse,
)
from serve_app.edge.deprecation import Deprecation
from serve_app.edge.operations import IDEMPOTENCY_KEY, Access, Body, Exchange, Operation, Reply
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.revisions import entity_tag
from serve_app.edge.screening import submitted

_REPLAYED = (("idempotent-replayed", "true"),)
_EXAMPLE = {"answers": {"name": "Ada", "email": "ada@example.com"}, "meta": {}}


class SelectionQuery(Contract):
    """Which responses."""

    filter: dict[str, str | dict[str, str]] = Field(
        default={},
        description="`filter[field][operator]=value`, for metadata and answers; all must hold. Lists are separated by "
        "commas. The grammar is in docs/reference/query.md.",
    )
    where: str | None = Field(
        default=None, max_length=2000, description="The text form of a filter, with `and`, `or` and `not`."
    )
    q: str | None = Field(default=None, max_length=500, description="Words that the texts of the answers have.")
    status: str | None = Field(default=None, max_length=20, description="`complete`, `partial` or `quarantined`.")
    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="Version of the form.")


class ResponsesQuery(SelectionQuery):
    """Which responses, in which order."""

    sort: str = Field(
        default="-submitted_at",
        pattern="^-?[a-z][A-Za-z0-9_.-]{0,199}$",
        description="Metadata or an answer with one value; `-`: descending. Without a value they come last.",
    )
    fields: str | None = Field(
        default=None, max_length=2000, description="Answers to give, ids of fields separated by commas; all by default."
    )
    cursor: str | None = Field(default=None, max_length=1024, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT, description="Most entries in the page.")
    include_total: bool = Field(default=False, description="Count all matches into `meta.total`.")


class ChangesQuery(Contract):
    """Which changes."""

    after: str | None = Field(default=None, max_length=1024, description="`next_cursor` of the page before.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Most entries in the page.")


async def submit_by_slug(x: Exchange) -> Reply:
    command = SubmitResponse(body=x.body, slug=x.path["slug"], idempotency_key=idempotency_key(x.request))
    return _receipt(await submitted(x, command))


async def submit(x: Exchange) -> Reply:
    command = SubmitResponse(body=x.body, form_id=x.path["form_id"], idempotency_key=idempotency_key(x.request))
    return _receipt(await submitted(x, command))


def _receipt(stored: SubmittedResponse) -> Reply:
    document: dict[str, Any] = {
        "id": stored.id,
        "status": stored.status,
        "version": stored.version,
        "submitted_at": stored.submitted_at,
    }
    if stored.status == "partial":
        document |= {"resume_token": stored.resume_token, "expires_at": stored.expires_at}
    headers = _REPLAYED if stored.replayed else ()
    return Reply(orjson.dumps(document, option=orjson.OPT_UTC_Z), headers=headers)


async def list_responses(x: Exchange) -> Reply:
    query: ResponsesQuery = x.query
    asked = {**query.model_dump(), "fields": _names(query.fields)}
    wanted = ListResponses(form_id=x.path["form_id"], **asked)
    return Reply(await x.apis.responses.list_as_json(x.principal, wanted))


async def list_changes(x: Exchange) -> Reply:
    query: ChangesQuery = x.query
    return Reply(await x.apis.responses.changes_as_json(x.principal, x.path["form_id"], query.after, query.limit))


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name for name in text.split(",") if name]


async def get_response(x: Exchange) -> Reply:
    response = await x.apis.responses.get_as_json(x.principal, x.path["response_id"])
    return Reply(response.content, headers=(("etag", entity_tag(response.revision)),))


async def delete_response(x: Exchange) -> Reply:
    await x.apis.responses.delete(x.principal, x.path["response_id"])
    return Reply()


_PUBLIC_SUBMISSION = Operation(
    id="submit_public_response",
    method="POST",
    path="/api/v1/public/{tenant}/{slug}/responses",
    summary="Submit a response as a visitor",
    description="Answered after the response is stored. With an `Idempotency-Key` it is stored once. "
    "A partial one gets a `resume_token` to go on with.",
    tag="Public",
    scope=Access.PUBLIC,
    rate="submit",
    handler=submit_by_slug,
    request=SubmissionBody,
    body=Body.RAW_JSON,
    response=Receipt,
    status=201,
    headers=(IDEMPOTENCY_KEY,),
    errors=(401, 403, 404, 409),
    example=_EXAMPLE,
)
_SUBMISSION = replace(
    _PUBLIC_SUBMISSION,
    id="submit_response",
    path="/api/v1/forms/{form_id}/responses",
    summary="Submit a response",
    description="",
    tag="Responses",
    scope="responses:write",
    rate="api",
    handler=submit,
    errors=(409,),
)


OPERATIONS = (
    _PUBLIC_SUBMISSION,
    replace(
        _PUBLIC_SUBMISSION,
        id="submit_own_response",
        path="/api/v1/me/forms/{slug}/responses",
        summary="Submit a response as a member of the tenant",
        description="For everybody who is logged in, whatever their role; the response names them.",
        tag="Responses",
        scope=Access.SIGNED_IN,
    ),
    _SUBMISSION,
    replace(
        _SUBMISSION,
        id="submit_response_old",
        path="/api/v1/forms/{form_id}/submit",
        description="Kept for old clients.",
        deprecated=Deprecation(
            since=date(2026, 12, 1), sunset=date(2027, 12, 1), successor="/api/v1/forms/{form_id}/responses"
        ),
    ),
    Operation(
        id="list_responses",
        method="GET",
        path="/api/v1/forms/{form_id}/responses",
        summary="The responses to a form",
        description="Filtered by typed answers and metadata, in any order, page by page.",
        tag="Responses",
        scope="responses:read",
        handler=list_responses,
        query=ResponsesQuery,
        response=Page[Response],
    ),
    Operation(
        id="list_response_changes",
        method="GET",
        path="/api/v1/forms/{form_id}/responses/changes",
        summary="What changed among the responses to a form",
        description="Each response once, by its last change, deleted ones without content. Ask again with "
        "`next_cursor`, at once while `has_more`, later for what comes then: no change is missed.",
        tag="Responses",
        scope="responses:read",
        handler=list_changes,
        query=ChangesQuery,
        response=Changes,
    ),
    Operation(
        id="get_response",
        per_form=True,
        method="GET",
        path="/api/v1/responses/{response_id}",
        summary="A response, with what was said about it",
        tag="Responses",
        scope="responses:read",
        handler=get_response,
        response=ResponseDetails,
    ),
    Operation(
        id="delete_response",
        per_form=True,
        method="DELETE",
        path="/api/v1/responses/{response_id}",
        summary="Put a response in the trash",
        tag="Responses",
        scope="responses:write",
        handler=delete_response,
        status=204,
    ),
)
