"""Taking, reading and exporting responses."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.responses.contracts import (
    MAX_LIMIT,
    ListResponses,
    Receipt,
    Response,
    ResponseDetails,
    SubmissionBody,
    SubmitResponse,
    SubmittedResponse,
)
from serve_app.edge.operations import IDEMPOTENCY_KEY, Access, Body, Exchange, Operation, Reply
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.revisions import entity_tag

_REPLAYED = (("idempotent-replayed", "true"),)
_EXAMPLE = {"answers": {"name": "Ada", "email": "ada@example.com"}, "meta": {}}


class ResponsesQuery(Contract):
    """Which responses, in which order."""

    sort: str = Field(
        default="-submitted_at", pattern="^-?submitted_at$", description="By time of submission; `-`: newest first."
    )
    cursor: str | None = Field(default=None, max_length=1024, description="`meta.next_cursor` of the page before.")
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT, description="Most entries in the page.")
    include_total: bool = Field(default=False, description="Count all matches into `meta.total`.")


async def submit_public(x: Exchange) -> Reply:
    command = SubmitResponse(body=x.body, slug=x.path["slug"], idempotency_key=idempotency_key(x.request))
    return _receipt(await x.apis.responses.submit(x.principal, command))


async def submit_as_member(x: Exchange) -> Reply:
    command = SubmitResponse(body=x.body, slug=x.path["slug"], idempotency_key=idempotency_key(x.request))
    return _receipt(await x.apis.responses.submit(x.principal, command))


async def submit(x: Exchange) -> Reply:
    command = SubmitResponse(body=x.body, form_id=x.path["form_id"], idempotency_key=idempotency_key(x.request))
    return _receipt(await x.apis.responses.submit(x.principal, command))


def _receipt(submitted: SubmittedResponse) -> Reply:
    document: dict[str, Any] = {
        "id": submitted.id,
        "status": submitted.status,
        "version": submitted.version,
        "submitted_at": submitted.submitted_at,
    }
    if submitted.status == "partial":
        document |= {"resume_token": submitted.resume_token, "expires_at": submitted.expires_at}
    headers = _REPLAYED if submitted.replayed else ()
    return Reply(orjson.dumps(document, option=orjson.OPT_UTC_Z), headers=headers)


async def list_responses(x: Exchange) -> Reply:
    query: ResponsesQuery = x.query
    wanted = ListResponses(form_id=x.path["form_id"], **query.model_dump())
    return Reply(await x.apis.responses.list_responses(x.principal, wanted))


async def get_response(x: Exchange) -> Reply:
    response = await x.apis.responses.get(x.principal, x.path["response_id"])
    return Reply(response, headers=(("etag", entity_tag(response.revision)),))


async def delete_response(x: Exchange) -> Reply:
    await x.apis.responses.delete(x.principal, x.path["response_id"])
    return Reply()


async def export_csv(x: Exchange) -> Reply:
    form_id = x.path["form_id"]
    return Reply(
        stream=_chunks(x, form_id),
        media_type="text/csv; charset=utf-8",
        headers=(("content-disposition", f'attachment; filename="responses-{form_id}.csv"'),),
    )


async def _chunks(x: Exchange, form_id: str) -> AsyncIterator[bytes]:
    cursor: str | None = None
    while True:
        chunk = await x.apis.responses.export_csv(x.principal, form_id, cursor)
        yield chunk.content
        cursor = chunk.next_cursor
        if cursor is None:
            return


def _submission(operation_id: str, path: str, summary: str, description: str = "") -> Operation:
    return Operation(
        id=operation_id,
        method="POST",
        path=path,
        summary=summary,
        description=description,
        tag="Responses",
        scope="responses:write",
        handler=submit,
        request=SubmissionBody,
        body=Body.RAW_JSON,
        response=Receipt,
        status=201,
        headers=(IDEMPOTENCY_KEY,),
        errors=(409,),
        example=_EXAMPLE,
    )


OPERATIONS = (
    Operation(
        id="submit_public_response",
        method="POST",
        path="/api/v1/public/{tenant}/{slug}/responses",
        summary="Submit a response as a visitor",
        description="Answered after the response is stored. With an `Idempotency-Key` it is stored once. "
        "A partial one gets a `resume_token` to go on with.",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit",
        handler=submit_public,
        request=SubmissionBody,
        body=Body.RAW_JSON,
        response=Receipt,
        status=201,
        headers=(IDEMPOTENCY_KEY,),
        errors=(403, 404, 409),
        example=_EXAMPLE,
    ),
    Operation(
        id="submit_own_response",
        method="POST",
        path="/api/v1/me/forms/{slug}/responses",
        summary="Submit a response as a member of the tenant",
        description="For everybody who is logged in, whatever their role; the response names them.",
        tag="Responses",
        scope=Access.SIGNED_IN,
        rate="submit",
        handler=submit_as_member,
        request=SubmissionBody,
        body=Body.RAW_JSON,
        response=Receipt,
        status=201,
        headers=(IDEMPOTENCY_KEY,),
        errors=(403, 404, 409),
        example=_EXAMPLE,
    ),
    _submission("submit_response", "/api/v1/forms/{form_id}/responses", "Submit a response"),
    _submission("submit_response_old", "/api/v1/forms/{form_id}/submit", "Submit a response", "Kept for old clients."),
    Operation(
        id="list_responses",
        method="GET",
        path="/api/v1/forms/{form_id}/responses",
        summary="The responses to a form",
        tag="Responses",
        scope="responses:read",
        handler=list_responses,
        query=ResponsesQuery,
        response=Page[Response],
    ),
    Operation(
        id="export_responses_csv",
        method="GET",
        path="/api/v1/forms/{form_id}/responses.csv",
        summary="The responses to a form as CSV",
        description="Streamed, oldest first. A connection that breaks before the end means an incomplete file.",
        tag="Responses",
        scope="responses:read",
        rate="export",
        handler=export_csv,
        response=str,
        response_media_type="text/csv",
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
