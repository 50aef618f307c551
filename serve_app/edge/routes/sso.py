"""Logging in with a provider (OpenID Connect): the tenant's connections, and the browser's way there and back."""

from pydantic import BaseModel, ConfigDict, Field

from deployments.federation.contracts import (
    Arrival,
    Connection,
    CreateConnection,
    ExchangeCode,
    LeaveProvider,
    LoggedOut,
    UpdateConnection,
)
from deployments.identity.contracts import Session
from deployments.kit.contract import Contract, Page
from serve_app.edge.operations import Access, Exchange, Operation, PageQuery, Reply
from serve_app.edge.sessions import begin, to_end

_COOKIE = "formstream_login"


class StartQuery(Contract):
    """Where a login ends."""

    return_to: str = Field(
        default="/", max_length=512, description="Path of this origin that the browser gets back to in the end."
    )


class CallbackQuery(BaseModel):
    """What a provider sends the browser back with; providers add things of their own, which are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: str = Field(default="", max_length=1024, description="What the login was begun with.")
    code: str | None = Field(default=None, max_length=4096, description="What the provider wants to see again.")
    iss: str | None = Field(default=None, max_length=1024, description="Which provider it is (RFC 9207).")
    error: str | None = Field(default=None, max_length=1024, description="Why there is no code (RFC 6749 §4.1.2.1).")


class EndSession(Contract):
    """A refresh token, and where the browser is to be in the end; without a token, that of the cookie is meant."""

    refresh_token: str | None = Field(default=None, max_length=512)
    return_to: str = Field(default="/", max_length=512, description="Path of this origin.")


class LoggedOutQuery(BaseModel):
    """What a provider sends the browser back with after a logout."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: str = Field(default="", max_length=2048, description="What the logout was begun with.")


async def create_sso_connection(x: Exchange) -> Reply:
    return Reply(await x.apis.federation.create_connection(x.principal, x.body))


async def list_sso_connections(x: Exchange) -> Reply:
    return Reply(await x.apis.federation.list_connections(x.principal, x.query.cursor, x.query.limit))


async def get_sso_connection(x: Exchange) -> Reply:
    return Reply(await x.apis.federation.get_connection(x.principal, x.path["connection_id"]))


async def update_sso_connection(x: Exchange) -> Reply:
    return Reply(await x.apis.federation.update_connection(x.principal, x.path["connection_id"], x.body))


async def delete_sso_connection(x: Exchange) -> Reply:
    await x.apis.federation.delete_connection(x.principal, x.path["connection_id"])
    return Reply()


async def start_oidc_login(x: Exchange) -> Reply:
    departure = await x.apis.federation.depart(x.principal, x.path["connection_id"], x.query.return_to, _browser_of(x))
    # Lax, because the provider sends the browser back with a link from another site.
    cookie = f"{_cookie_name(x)}={departure.browser}; Path=/; Max-Age={departure.life_s}; HttpOnly; SameSite=Lax"
    secure = "; Secure" if x.settings.secure else ""
    return Reply(headers=(("location", departure.location), ("set-cookie", cookie + secure)))


async def finish_oidc_login(x: Exchange) -> Reply:
    arrival = Arrival(state=x.query.state, code=x.query.code, iss=x.query.iss, error=x.query.error)
    landing = await x.apis.federation.arrive(x.principal.origin, arrival, _browser_of(x))
    return Reply(headers=(("location", landing.location),))


async def exchange_oidc_code(x: Exchange) -> Reply:
    return await begin(x, lambda: x.apis.federation.exchange(x.principal.origin, x.body, _browser_of(x)))


async def log_out_at_provider(x: Exchange) -> Reply:
    command, headers = to_end(x)
    leaving = LeaveProvider(refresh_token=command.refresh_token, return_to=x.body.return_to)
    return Reply(await x.apis.federation.leave(x.principal, leaving), headers=headers)


async def finish_oidc_logout(x: Exchange) -> Reply:
    landing = await x.apis.federation.left(x.query.state)
    return Reply(headers=(("location", landing.location),))


def _cookie_name(x: Exchange) -> str:
    # With the prefix no neighbouring host and nobody on the line can set it (RFC 6265bis §4.1.3.2).
    return f"__Host-{_COOKIE}" if x.settings.secure else _COOKIE


def _browser_of(x: Exchange) -> str | None:
    """The cookie's value. Two cookies of the name are none: one of them is somebody else's."""
    pairs = (part.strip().partition("=") for part in (x.header("cookie") or "").split(";"))
    values = [value for name, _, value in pairs if name == _cookie_name(x)]
    return values[0] if len(values) == 1 else None


_EXAMPLE = {
    "name": "Acme Keycloak",
    "issuer": "https://login.example.com/realms/acme",
    "client_id": "formstream",
    "client_secret": "the secret that the provider shows",
    "provisioning": {"mode": "auto", "default_role": "viewer", "allowed_domains": ["example.com"]},
}

OPERATIONS = (
    Operation(
        id="create_sso_connection",
        method="POST",
        path="/api/v1/sso/connections",
        summary="Let people log in with a provider",
        description="The provider speaks OpenID Connect. The client secret is never shown again.",
        tag="Single sign-on",
        scope="sso:write",
        handler=create_sso_connection,
        request=CreateConnection,
        response=Connection,
        status=201,
        errors=(409,),
        example=_EXAMPLE,
    ),
    Operation(
        id="list_sso_connections",
        method="GET",
        path="/api/v1/sso/connections",
        summary="The providers that people may log in with",
        tag="Single sign-on",
        scope="sso:read",
        handler=list_sso_connections,
        query=PageQuery,
        response=Page[Connection],
    ),
    Operation(
        id="get_sso_connection",
        method="GET",
        path="/api/v1/sso/connections/{connection_id}",
        summary="A provider that people may log in with",
        tag="Single sign-on",
        scope="sso:read",
        handler=get_sso_connection,
        response=Connection,
    ),
    Operation(
        id="update_sso_connection",
        method="PATCH",
        path="/api/v1/sso/connections/{connection_id}",
        summary="Change a connection to a provider",
        description="With another issuer the client secret has to be given, too.",
        tag="Single sign-on",
        scope="sso:write",
        handler=update_sso_connection,
        request=UpdateConnection,
        response=Connection,
    ),
    Operation(
        id="delete_sso_connection",
        method="DELETE",
        path="/api/v1/sso/connections/{connection_id}",
        summary="Let nobody log in with a provider any more",
        description="Accounts stay; who they are at the provider is forgotten. Open sessions stay, too.",
        tag="Single sign-on",
        scope="sso:write",
        handler=delete_sso_connection,
        status=204,
    ),
    Operation(
        id="start_oidc_login",
        method="GET",
        path="/api/v1/auth/oidc/{tenant}/{connection_id}/start",
        summary="Begin a login with a provider",
        description="For browsers: sends them to the provider and sets the cookie that they need on their way back.",
        tag="Single sign-on",
        scope=Access.PUBLIC,
        rate="auth",
        handler=start_oidc_login,
        query=StartQuery,
        status=302,
        errors=(403, 502),
    ),
    Operation(
        id="finish_oidc_login",
        method="GET",
        path="/api/v1/auth/oidc/callback",
        summary="Come back from a provider",
        description="For browsers: the redirect URI of every provider. Sends them to where the login was to end, with "
        "`login_code` in the fragment, or with `error`, the code of what went wrong. A login that did not begin in "
        "this browser, or is over, is 400 `sso.state_invalid`.",
        tag="Single sign-on",
        scope=Access.PUBLIC,
        rate="auth",
        handler=finish_oidc_login,
        query=CallbackQuery,
        status=302,
        errors=(400,),
    ),
    Operation(
        id="exchange_oidc_code",
        method="POST",
        path="/api/v1/auth/oidc/exchange",
        summary="Exchange a login code for tokens",
        description="Within a minute, once, in the browser that began the login: it brings the cookie.",
        tag="Single sign-on",
        scope=Access.PUBLIC,
        rate="auth",
        handler=exchange_oidc_code,
        request=ExchangeCode,
        response=Session,
        errors=(401, 403),
        example={"code": "acme.47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
    ),
    Operation(
        id="log_out_at_provider",
        method="POST",
        path="/api/v1/auth/oidc/logout",
        summary="End a session, and the provider's that it began with",
        description="As `auth/logout`. Send the browser to `provider_logout_url` then: the provider ends its session, "
        "too, and sends it back to `return_to`. It is null for a session that began with a password, and where the "
        "provider knows no logout or does not answer.",
        tag="Single sign-on",
        scope=Access.SIGNED_IN,
        handler=log_out_at_provider,
        request=EndSession,
        response=LoggedOut,
    ),
    Operation(
        id="finish_oidc_logout",
        method="GET",
        path="/api/v1/auth/oidc/logged-out",
        summary="Come back from a provider after a logout",
        description="For browsers: the post-logout redirect URI of every provider. Sends them to where the logout was "
        "to end.",
        tag="Single sign-on",
        scope=Access.PUBLIC,
        rate="auth",
        handler=finish_oidc_logout,
        query=LoggedOutQuery,
        status=302,
    ),
)
