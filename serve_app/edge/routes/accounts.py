"""Accounts: people and their rights, passwords, open sessions."""

from deployments.identity.contracts import ChangePassword, OpenSession, UpdateUser, User
from deployments.kit.contract import Page
from serve_app.edge.operations import Access, Exchange, Operation, Reply


async def get_user(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.get_user(x.principal, x.path["user_id"]))


async def update_user(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.update_user(x.principal, x.path["user_id"], x.body))


async def list_user_sessions(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_sessions(x.principal, x.path["user_id"]))


async def revoke_user_session(x: Exchange) -> Reply:
    await x.apis.identity.revoke_session(x.principal, x.path["user_id"], x.path["session_id"])
    return Reply()


async def revoke_user_sessions(x: Exchange) -> Reply:
    await x.apis.identity.revoke_sessions(x.principal, x.path["user_id"])
    return Reply()


async def change_password(x: Exchange) -> Reply:
    await x.apis.identity.change_password(x.principal, x.body)
    return Reply()


async def list_sessions(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_sessions(x.principal, x.principal.subject))


async def revoke_session(x: Exchange) -> Reply:
    await x.apis.identity.revoke_session(x.principal, x.principal.subject, x.path["session_id"])
    return Reply()


async def revoke_sessions(x: Exchange) -> Reply:
    await x.apis.identity.revoke_sessions(x.principal, x.principal.subject)
    return Reply()


OPERATIONS = (
    Operation(
        id="get_user",
        method="GET",
        path="/api/v1/users/{user_id}",
        summary="A person of the tenant",
        tag="Accounts",
        scope="users:read",
        handler=get_user,
        response=User,
    ),
    Operation(
        id="update_user",
        method="PATCH",
        path="/api/v1/users/{user_id}",
        summary="Change a person's name, role or status",
        description="Whoever is deactivated is logged out within a second. Nobody changes their own access.",
        tag="Accounts",
        scope="users:write",
        handler=update_user,
        request=UpdateUser,
        response=User,
        errors=(409,),
    ),
    Operation(
        id="list_user_sessions",
        method="GET",
        path="/api/v1/users/{user_id}/sessions",
        summary="Where a person is logged in",
        tag="Accounts",
        scope="users:read",
        handler=list_user_sessions,
        response=Page[OpenSession],
    ),
    Operation(
        id="revoke_user_session",
        method="DELETE",
        path="/api/v1/users/{user_id}/sessions/{session_id}",
        summary="End a session of a person",
        description="Its access tokens stop working within a second.",
        tag="Accounts",
        scope="users:write",
        handler=revoke_user_session,
        status=204,
    ),
    Operation(
        id="revoke_user_sessions",
        method="DELETE",
        path="/api/v1/users/{user_id}/sessions",
        summary="Log a person out everywhere",
        tag="Accounts",
        scope="users:write",
        handler=revoke_user_sessions,
        status=204,
    ),
    Operation(
        id="change_password",
        method="POST",
        path="/api/v1/auth/password/change",
        summary="Change the own password",
        description="Every other session of the person ends.",
        tag="Accounts",
        scope=Access.SIGNED_IN,
        rate="auth",
        handler=change_password,
        request=ChangePassword,
        status=204,
        example={"current_password": "correct horse battery", "new_password": "a better horse battery"},
    ),
    Operation(
        id="list_sessions",
        method="GET",
        path="/api/v1/sessions",
        summary="Where the caller is logged in",
        tag="Accounts",
        scope=Access.SIGNED_IN,
        handler=list_sessions,
        response=Page[OpenSession],
    ),
    Operation(
        id="revoke_session",
        method="DELETE",
        path="/api/v1/sessions/{session_id}",
        summary="End a session of the caller",
        description="Its access tokens stop working within a second.",
        tag="Accounts",
        scope=Access.SIGNED_IN,
        handler=revoke_session,
        status=204,
    ),
    Operation(
        id="revoke_sessions",
        method="DELETE",
        path="/api/v1/sessions",
        summary="End every session of the caller but this one",
        tag="Accounts",
        scope=Access.SIGNED_IN,
        handler=revoke_sessions,
        status=204,
    ),
)
