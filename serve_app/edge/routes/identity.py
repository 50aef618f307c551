"""Signing up, logging in, people and keys."""

from pydantic import Field

from deployments.identity.contracts import (
    ApiKey,
    CreateApiKey,
    CreatedApiKey,
    CreateUser,
    LogIn,
    Me,
    PublicKeys,
    Refresh,
    Session,
    SignedUp,
    SignUp,
    User,
)
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import PLATFORM_TENANT
from serve_app.edge.operations import Access, Exchange, Operation, PageQuery, Reply
from serve_app.edge.sessions import begin, from_cookie, in_cookies, to_end


async def sign_up(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.sign_up(x.principal.origin, x.body))


class RefreshSession(Contract):
    """A refresh token; without one, that of the session cookie is meant."""

    refresh_token: str | None = Field(default=None, max_length=512)


async def log_in(x: Exchange) -> Reply:
    command: LogIn = x.body
    if "tenant" not in command.model_fields_set and x.principal.tenant_id != PLATFORM_TENANT:
        command = command.model_copy(update={"tenant": x.principal.tenant_id})
    return await begin(x, lambda: x.apis.identity.log_in(x.principal.origin, command))


async def refresh(x: Exchange) -> Reply:
    if x.body.refresh_token is not None:
        return Reply(await x.apis.identity.refresh(x.principal.origin, Refresh(refresh_token=x.body.refresh_token)))
    return in_cookies(x, await x.apis.identity.refresh(x.principal.origin, from_cookie(x)))


async def log_out(x: Exchange) -> Reply:
    command, headers = to_end(x)
    await x.apis.identity.log_out(x.principal, command)
    return Reply(headers=headers)


async def signing_keys(x: Exchange) -> Reply:
    keys = PublicKeys(keys=await x.apis.identity.signing_keys())
    # No longer than a new key waits until it signs.
    return Reply(keys, headers=(("cache-control", "public, max-age=5"),))


async def me(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.me(x.principal))


async def create_user(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.create_user(x.principal, x.body))


async def list_users(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_users(x.principal, x.query.cursor, x.query.limit))


async def create_api_key(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.create_api_key(x.principal, x.body))


async def list_api_keys(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_api_keys(x.principal, x.query.cursor, x.query.limit))


async def revoke_api_key(x: Exchange) -> Reply:
    await x.apis.identity.revoke_api_key(x.principal, x.path["api_key_id"])
    return Reply()


OPERATIONS = (
    Operation(
        id="signing_keys",
        method="GET",
        path="/.well-known/jwks.json",
        summary="Public keys of access tokens",
        description="Empty while tokens are signed with a secret key; see `FORMSTREAM_SIGNING_ALGORITHM`.",
        tag="Identity",
        scope=Access.PUBLIC,
        handler=signing_keys,
        response=PublicKeys,
    ),
    Operation(
        id="sign_up",
        method="POST",
        path="/api/v1/signup",
        summary="Create a tenant and its owner",
        tag="Identity",
        scope=Access.PUBLIC,
        rate="auth",
        handler=sign_up,
        request=SignUp,
        response=SignedUp,
        status=201,
        errors=(403, 409),
        example={
            "tenant": {"id": "acme", "name": "Acme"},
            "user": {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"},
        },
    ),
    Operation(
        id="log_in",
        method="POST",
        path="/api/v1/auth/login",
        summary="Log in",
        description="Whoever has a second factor is answered 401 with the code `login.second_factor` and the members "
        "`challenge`, `methods` and `channels`; where the tenant requires one that is not set up yet, with "
        "`login.second_factor_required_setup` and `challenge`.\n\nWithout `tenant` in the body the tenant is that of "
        "X-Tenant-ID, else of the host name, else the default tenant; null stands for the platform. With "
        "`X-Session: cookie` the tokens go into cookies, and the body has a `csrf_token` for the header X-CSRF-Token "
        "instead.",
        tag="Identity",
        scope=Access.PUBLIC,
        selects_tenant=True,
        rate="auth",
        handler=log_in,
        request=LogIn,
        response=Session,
        errors=(401, 403),
        example={"tenant": "acme", "email": "ada@example.com", "password": "correct horse battery"},
    ),
    Operation(
        id="refresh",
        method="POST",
        path="/api/v1/auth/refresh",
        summary="Exchange a refresh token",
        description="The refresh token can be used once; using it again ends the session.",
        tag="Identity",
        scope=Access.PUBLIC,
        rate="auth",
        handler=refresh,
        request=RefreshSession,
        response=Session,
        errors=(401, 403),
    ),
    Operation(
        id="log_out",
        method="POST",
        path="/api/v1/auth/logout",
        summary="End the session of a refresh token",
        tag="Identity",
        scope=Access.SIGNED_IN,
        handler=log_out,
        request=RefreshSession,
        status=204,
    ),
    Operation(
        id="me",
        method="GET",
        path="/api/v1/me",
        summary="Who the credential belongs to",
        tag="Identity",
        scope=Access.SIGNED_IN,
        handler=me,
        response=Me,
    ),
    Operation(
        id="create_user",
        method="POST",
        path="/api/v1/users",
        summary="Add a person to the tenant",
        tag="Identity",
        scope="users:write",
        handler=create_user,
        request=CreateUser,
        response=User,
        status=201,
        errors=(409,),
    ),
    Operation(
        id="list_users",
        method="GET",
        path="/api/v1/users",
        summary="The tenant's people",
        tag="Identity",
        scope="users:read",
        handler=list_users,
        query=PageQuery,
        response=Page[User],
    ),
    Operation(
        id="create_api_key",
        method="POST",
        path="/api/v1/api-keys",
        summary="Create an API key",
        description="The answer holds the key itself, which is shown this once.",
        tag="Identity",
        scope="api_keys:write",
        handler=create_api_key,
        request=CreateApiKey,
        response=CreatedApiKey,
        status=201,
        example={"name": "ci", "scopes": ["forms:read", "responses:write"], "expires_at": None},
    ),
    Operation(
        id="list_api_keys",
        method="GET",
        path="/api/v1/api-keys",
        summary="The tenant's API keys",
        tag="Identity",
        scope="api_keys:read",
        handler=list_api_keys,
        query=PageQuery,
        response=Page[ApiKey],
    ),
    Operation(
        id="revoke_api_key",
        method="DELETE",
        path="/api/v1/api-keys/{api_key_id}",
        summary="Revoke an API key",
        tag="Identity",
        scope="api_keys:write",
        handler=revoke_api_key,
        status=204,
    ),
)
