"""Going on with a partial response, by its token alone."""

from deployments.responses.life_contracts import PartialResponse, SavePartial
from serve_app.edge.operations import IDEMPOTENCY_KEY, Access, Body, Exchange, Operation, Reply
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.screening import saved

_PATH = "/api/v1/public/responses/{resume_token}"


async def resume(x: Exchange) -> Reply:
    return Reply(await x.apis.responses.resume(x.principal, x.path["resume_token"]))


async def save(x: Exchange) -> Reply:
    kept = await saved(x, x.path["resume_token"], x.body, idempotency_key(x.request))
    return Reply(kept, headers=(("idempotent-replayed", "true"),) if kept.replayed else ())


OPERATIONS = (
    Operation(
        id="resume_response",
        method="GET",
        path=_PATH,
        summary="What was saved of a response",
        description="With the definition of the version that was begun. 409 once the response is submitted.",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit",
        handler=resume,
        response=PartialResponse,
        errors=(403, 404, 409),
    ),
    Operation(
        id="save_partial_response",
        method="PATCH",
        path=_PATH,
        summary="Save more of a response, or submit it",
        description="Answers are merged field by field, null removes one. `complete` checks everything and counts; "
        "the same call again gets the same answer.",
        tag="Public",
        scope=Access.PUBLIC,
        rate="submit",
        handler=save,
        request=SavePartial,
        body=Body.RAW_JSON,
        response=PartialResponse,
        headers=(IDEMPOTENCY_KEY,),
        errors=(403, 404, 409),
        example={"answers": {"name": "Ada"}, "status": "partial"},
    ),
)
