"""What is done with a response after it was submitted: versions, review, comments, tags, trash, many at once."""

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.errors import NotFound
from deployments.responses.contracts import ResponseDetails, TrashedResponse
from deployments.responses.life_contracts import (
    AssignResponse,
    BulkChange,
    ChangeTags,
    Comment,
    EditResponse,
    Overriding,
    PutComment,
    PutReview,
    ResponseDiff,
    ResponseVersion,
    RevertResponse,
    StartedBulk,
    TagCount,
)
from serve_app.edge.operations import IDEMPOTENCY_KEY, IF_MATCH, Exchange, Operation, PageQuery, Reply
from serve_app.edge.orders import accepted
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.revisions import entity_tag, revision_of

_TAG = "Responses"
_READ, _WRITE = "responses:read", "responses:write"
_RESPONSE = "/api/v1/responses/{response_id}"
_FORM = "/api/v1/forms/{form_id}/responses"
_REPLAYED = ("idempotent-replayed", "true")


class DiffQuery(Contract):
    """Which revisions are compared."""

    before: int | None = Field(default=None, alias="from", ge=1, description="By default the one before `to`.")
    after: int | None = Field(default=None, alias="to", ge=1, description="By default the current one.")


async def edit_response(x: Exchange) -> Reply:
    command: EditResponse = x.body
    revision = revision_of(x.header("if-match"))
    if revision is not None:
        command = command.model_copy(update={"if_match": revision})
    key = idempotency_key(x.request)
    return _details(await x.apis.responses.edit(x.principal, x.path["response_id"], command, key))


async def revert_response(x: Exchange) -> Reply:
    command: RevertResponse = x.body
    revision = revision_of(x.header("if-match"))
    if revision is not None:
        command = command.model_copy(update={"if_match": revision})
    key = idempotency_key(x.request)
    return _details(await x.apis.responses.revert(x.principal, x.path["response_id"], command, key))


async def list_versions(x: Exchange) -> Reply:
    query: PageQuery = x.query
    responses = x.apis.responses
    return Reply(await responses.list_versions(x.principal, x.path["response_id"], query.cursor, query.limit))


async def get_version(x: Exchange) -> Reply:
    number = x.path["revision"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound
    return Reply(await x.apis.responses.get_version(x.principal, x.path["response_id"], int(number)))


async def diff(x: Exchange) -> Reply:
    query: DiffQuery = x.query
    return Reply(await x.apis.responses.diff(x.principal, x.path["response_id"], query.before, query.after))


async def quarantine(x: Exchange) -> Reply:
    return _details(await x.apis.responses.quarantine(x.principal, x.path["response_id"]))


async def release(x: Exchange) -> Reply:
    override = x.query.override_quotas
    return _details(await x.apis.responses.release(x.principal, x.path["response_id"], override))


async def review(x: Exchange) -> Reply:
    return _details(await x.apis.responses.review(x.principal, x.path["response_id"], x.body))


async def assign(x: Exchange) -> Reply:
    return _details(await x.apis.responses.assign(x.principal, x.path["response_id"], x.body))


async def change_tags(x: Exchange) -> Reply:
    return _details(await x.apis.responses.change_tags(x.principal, x.path["response_id"], x.body))


async def list_tags(x: Exchange) -> Reply:
    return Reply(await x.apis.responses.list_tags(x.principal, x.path["form_id"]))


async def list_comments(x: Exchange) -> Reply:
    return Reply(await x.apis.responses.list_comments(x.principal, x.path["response_id"]))


async def add_comment(x: Exchange) -> Reply:
    return Reply(await x.apis.responses.add_comment(x.principal, x.path["response_id"], x.body))


async def edit_comment(x: Exchange) -> Reply:
    path = x.path
    return Reply(await x.apis.responses.edit_comment(x.principal, path["response_id"], path["comment_id"], x.body))


async def delete_comment(x: Exchange) -> Reply:
    await x.apis.responses.delete_comment(x.principal, x.path["response_id"], x.path["comment_id"])
    return Reply()


async def list_trash(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.responses.list_trash(x.principal, x.path["form_id"], query.cursor, query.limit))


async def restore(x: Exchange) -> Reply:
    override = x.query.override_quotas
    return _details(await x.apis.responses.restore(x.principal, x.path["response_id"], override))


async def purge(x: Exchange) -> Reply:
    await x.apis.responses.purge(x.principal, x.path["response_id"])
    return Reply()


async def start_bulk(x: Exchange) -> Reply:
    key = idempotency_key(x.request)
    return accepted(await x.apis.responses.start_bulk(x.principal, x.path["form_id"], x.body, key))


def _details(response: ResponseDetails) -> Reply:
    tag = ("etag", entity_tag(response.revision))
    return Reply(response, headers=(tag, _REPLAYED) if response.replayed else (tag,))


OPERATIONS = (
    Operation(
        id="edit_response",
        per_form=True,
        method="PATCH",
        path=_RESPONSE,
        summary="Change answers of a response",
        description="Merged field by field, null removes an answer. The version before is kept.",
        tag=_TAG,
        scope=_WRITE,
        handler=edit_response,
        request=EditResponse,
        response=ResponseDetails,
        headers=(IF_MATCH, IDEMPOTENCY_KEY),
        errors=(409, 412),
        example={"answers": {"name": "Ada Lovelace"}, "reason": "misspelt"},
    ),
    Operation(
        id="revert_response",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/revert",
        summary="Let the answers of an earlier revision hold again",
        description="As a new revision: nothing is lost.",
        tag=_TAG,
        scope=_WRITE,
        handler=revert_response,
        request=RevertResponse,
        response=ResponseDetails,
        headers=(IF_MATCH, IDEMPOTENCY_KEY),
        errors=(409, 412),
    ),
    Operation(
        id="list_response_versions",
        per_form=True,
        method="GET",
        path=f"{_RESPONSE}/versions",
        summary="Every version of a response's answers, newest first",
        tag=_TAG,
        scope=_READ,
        handler=list_versions,
        query=PageQuery,
        response=Page[ResponseVersion],
    ),
    Operation(
        id="get_response_version",
        per_form=True,
        method="GET",
        path=f"{_RESPONSE}/versions/{{revision}}",
        summary="A version of a response's answers",
        tag=_TAG,
        scope=_READ,
        handler=get_version,
        response=ResponseVersion,
    ),
    Operation(
        id="diff_response",
        per_form=True,
        method="GET",
        path=f"{_RESPONSE}/diff",
        summary="What changed between two revisions",
        tag=_TAG,
        scope=_READ,
        handler=diff,
        query=DiffQuery,
        response=ResponseDiff,
    ),
    Operation(
        id="quarantine_response",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/quarantine",
        summary="Take a response for spam",
        description="It is kept apart: lists and exports leave it out, and it takes no place in the form's limit.",
        tag=_TAG,
        scope=_WRITE,
        handler=quarantine,
        response=ResponseDetails,
        errors=(409,),
    ),
    Operation(
        id="release_response",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/release",
        summary="Release a response that was taken for spam",
        description="What follows a submission, mails and webhooks, follows now.",
        tag=_TAG,
        scope=_WRITE,
        handler=release,
        query=Overriding,
        response=ResponseDetails,
        errors=(403, 409),
    ),
    Operation(
        id="review_response",
        per_form=True,
        method="PUT",
        path=f"{_RESPONSE}/review",
        summary="Decide about a response",
        tag=_TAG,
        scope=_WRITE,
        handler=review,
        request=PutReview,
        response=ResponseDetails,
        errors=(409,),
        example={"state": "has_issues", "comment": "The date is missing."},
    ),
    Operation(
        id="assign_response",
        per_form=True,
        method="PUT",
        path=f"{_RESPONSE}/assignee",
        summary="Give a response to a person who may read it",
        tag=_TAG,
        scope=_WRITE,
        handler=assign,
        request=AssignResponse,
        response=ResponseDetails,
        example={"user_id": None},
    ),
    Operation(
        id="change_response_tags",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/tags",
        summary="Add tags to a response, and remove some",
        tag=_TAG,
        scope=_WRITE,
        handler=change_tags,
        request=ChangeTags,
        response=ResponseDetails,
        example={"add": ["urgent"], "remove": []},
    ),
    Operation(
        id="list_response_tags",
        method="GET",
        path=f"{_FORM}/tags",
        summary="The tags of a form's responses, most used first",
        tag=_TAG,
        scope=_READ,
        handler=list_tags,
        response=Page[TagCount],
    ),
    Operation(
        id="list_response_comments",
        per_form=True,
        method="GET",
        path=f"{_RESPONSE}/comments",
        summary="What was said about a response, oldest first",
        tag=_TAG,
        scope=_READ,
        handler=list_comments,
        response=Page[Comment],
    ),
    Operation(
        id="add_response_comment",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/comments",
        summary="Say something about a response",
        tag=_TAG,
        scope=_READ,
        handler=add_comment,
        request=PutComment,
        response=Comment,
        status=201,
        errors=(409,),
    ),
    Operation(
        id="edit_response_comment",
        per_form=True,
        method="PATCH",
        path=f"{_RESPONSE}/comments/{{comment_id}}",
        summary="Change one's own comment",
        tag=_TAG,
        scope=_READ,
        handler=edit_comment,
        request=PutComment,
        response=Comment,
        errors=(409,),
    ),
    Operation(
        id="delete_response_comment",
        per_form=True,
        method="DELETE",
        path=f"{_RESPONSE}/comments/{{comment_id}}",
        summary="Remove one's own comment",
        description="Those who may change responses remove anybody's. The remark of a decision stays.",
        tag=_TAG,
        scope=_READ,
        handler=delete_comment,
        status=204,
        errors=(409,),
    ),
    Operation(
        id="list_trashed_responses",
        method="GET",
        path=f"{_FORM}/trash",
        summary="The responses of a form that are in the trash, latest first",
        tag=_TAG,
        scope=_READ,
        handler=list_trash,
        query=PageQuery,
        response=Page[TrashedResponse],
    ),
    Operation(
        id="restore_response",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/restore",
        summary="Take a response out of the trash",
        description="It takes its places in the form's limit and quotas again.",
        tag=_TAG,
        scope=_WRITE,
        handler=restore,
        query=Overriding,
        response=ResponseDetails,
        errors=(403, 409),
    ),
    Operation(
        id="purge_response",
        per_form=True,
        method="POST",
        path=f"{_RESPONSE}/purge",
        summary="Remove a response in the trash for good",
        description="It happens by itself thirty days after it went there.",
        tag=_TAG,
        scope=_WRITE,
        handler=purge,
        status=204,
    ),
    Operation(
        id="change_responses",
        method="POST",
        path=f"{_FORM}/bulk",
        summary="Change many responses",
        description="By a job, whose address is in `Location`; its result counts what became of each and lists errors.",
        tag=_TAG,
        scope=_WRITE,
        handler=start_bulk,
        request=BulkChange,
        response=StartedBulk,
        status=202,
        headers=(IDEMPOTENCY_KEY,),
        example={"action": "tag", "filter": {"status": "partial"}, "tags": ["unfinished"]},
    ),
)
