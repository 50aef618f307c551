"""Invitations to a tenant and to single forms."""

from deployments.identity.contracts import Session
from deployments.identity.invitation_contracts import (
    AcceptInvitation,
    CreateInvitation,
    FormGrant,
    Invitation,
    InvitationDetails,
    JoinForm,
    LookUpInvitation,
)
from deployments.kit.contract import Page
from serve_app.edge.operations import Access, Exchange, Operation, PageQuery, Reply
from serve_app.edge.sessions import begin

_TAG = "Invitations"
_SHARE = "forms:share"
_INVITATION = "/api/v1/invitations/{invitation_id}"


async def create_invitation(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.create_invitation(x.principal, x.body))


async def list_invitations(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_invitations(x.principal, x.query.cursor, x.query.limit))


async def resend_invitation(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.resend_invitation(x.principal, x.path["invitation_id"]))


async def revoke_invitation(x: Exchange) -> Reply:
    await x.apis.identity.revoke_invitation(x.principal, x.path["invitation_id"])
    return Reply()


async def look_up_invitation(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.look_up_invitation(x.body))


async def accept_invitation(x: Exchange) -> Reply:
    return await begin(x, lambda: x.apis.identity.accept_invitation(x.principal.origin, x.body))


async def join_form(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.join_form(x.principal, x.body))


OPERATIONS = (
    Operation(
        id="create_invitation",
        method="POST",
        path="/api/v1/invitations",
        summary="Invite somebody to the tenant or to a single form",
        description="An invitation to the tenant needs the permission `users:write` as well. It takes the place of an "
        "earlier one to the same and works for seven days. Nobody invites to a role with more rights than their own.",
        tag=_TAG,
        scope=_SHARE,
        handler=create_invitation,
        request=CreateInvitation,
        response=Invitation,
        status=201,
        errors=(404, 409),
        example={"email": "grace@example.com", "name": "Grace", "role": "editor"},
    ),
    Operation(
        id="list_invitations",
        method="GET",
        path="/api/v1/invitations",
        summary="Invitations that were not accepted yet",
        description="Without the permission `users:read` only those to single forms.",
        tag=_TAG,
        scope=_SHARE,
        handler=list_invitations,
        query=PageQuery,
        response=Page[Invitation],
    ),
    Operation(
        id="resend_invitation",
        method="POST",
        path=f"{_INVITATION}/resend",
        summary="Send an invitation again",
        description="With a new link that works for seven days; the old one works no more.",
        tag=_TAG,
        scope=_SHARE,
        handler=resend_invitation,
        response=Invitation,
    ),
    Operation(
        id="revoke_invitation",
        method="DELETE",
        path=_INVITATION,
        summary="Take an invitation back",
        tag=_TAG,
        scope=_SHARE,
        handler=revoke_invitation,
        status=204,
    ),
    Operation(
        id="look_up_invitation",
        method="POST",
        path="/api/v1/invitations/lookup",
        summary="What the link of an invitation is for",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=look_up_invitation,
        request=LookUpInvitation,
        response=InvitationDetails,
        errors=(403,),
    ),
    Operation(
        id="accept_invitation",
        method="POST",
        path="/api/v1/invitations/accept",
        summary="Make an account with the link of an invitation",
        tag=_TAG,
        scope=Access.PUBLIC,
        rate="auth",
        handler=accept_invitation,
        request=AcceptInvitation,
        response=Session,
        status=201,
        errors=(403, 409),
        example={"token": "fsl_…", "name": "Grace", "password": "correct horse battery"},
    ),
    Operation(
        id="join_form",
        method="POST",
        path="/api/v1/invitations/join",
        summary="Accept an invitation to a form with the account that one has",
        tag=_TAG,
        scope=Access.SIGNED_IN,
        rate="auth",
        handler=join_form,
        request=JoinForm,
        response=FormGrant,
        errors=(409,),
    ),
)
