"""Who may use a single form."""

from deployments.identity.invitation_contracts import FormGrant, PutFormGrant
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_SHARE = "forms:share"
_GRANT = "/api/v1/forms/{form_id}/grants/{user_id}"


async def list_grants(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.identity.list_form_grants(x.principal, x.path["form_id"], query.cursor, query.limit))


async def put_grant(x: Exchange) -> Reply:
    path = x.path
    return Reply(await x.apis.identity.put_form_grant(x.principal, path["form_id"], path["user_id"], x.body))


async def delete_grant(x: Exchange) -> Reply:
    await x.apis.identity.delete_form_grant(x.principal, x.path["form_id"], x.path["user_id"])
    return Reply()


OPERATIONS = (
    Operation(
        id="list_form_grants",
        method="GET",
        path="/api/v1/forms/{form_id}/grants",
        summary="Who may use the form beside those whose role lets them",
        tag="Access",
        scope=_SHARE,
        handler=list_grants,
        query=PageQuery,
        response=Page[FormGrant],
    ),
    Operation(
        id="put_form_grant",
        method="PUT",
        path=_GRANT,
        summary="Let a person use the form",
        description="A guest may use nothing but the forms that were granted; others get more rights for this form.",
        tag="Access",
        scope=_SHARE,
        handler=put_grant,
        request=PutFormGrant,
        response=FormGrant,
        errors=(409,),
        example={"role": "editor"},
    ),
    Operation(
        id="delete_form_grant",
        method="DELETE",
        path=_GRANT,
        summary="Take a grant back",
        description="It stops working within a second.",
        tag="Access",
        scope=_SHARE,
        handler=delete_grant,
        status=204,
    ),
)
