"""Federation's door: opens the unit of work, calls the rules, asks providers while no transaction is open."""

import asyncio
from urllib.parse import urlencode

import httpx
import structlog

from db.models.federation import SsoConnection
from db.repositories.federation import SsoConnectionRepository
from db.session import Database
from deployments.federation.contracts import (
    Arrival,
    Connection,
    CreateConnection,
    Departure,
    ExchangeCode,
    Landing,
    LeaveProvider,
    LoggedOut,
    Provisioning,
    UpdateConnection,
)
from deployments.federation.errors import (
    LoginCodeInvalid,
    LoginDenied,
    LoginStateInvalid,
    ProviderUnavailable,
    TokenRefused,
    UnsafeReturn,
)
from deployments.federation.id_token import Expected, header_of, verify
from deployments.federation.person import Person, person_of
from deployments.federation.provider import Client, Providers
from deployments.federation.service import connections, logins, logouts
from deployments.federation.settings import FederationSettings
from deployments.federation.tickets import browser_of, is_safe_return, new_challenge, tenant_of
from deployments.identity.contracts import IdentityApi, ProviderLogin, Refresh, Session
from deployments.kit.contract import Page
from deployments.kit.egress import Egress
from deployments.kit.errors import DomainError
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin

log = structlog.get_logger(__name__)


class Federation:
    """Logging in with providers that tenants trust (OpenID Connect Core 1.0, code flow)."""

    def __init__(
        self, database: Database, identity: IdentityApi, egress: Egress, vault: Vault, settings: FederationSettings
    ) -> None:
        self._database = database
        self._identity = identity
        self._egress = egress
        self._vault = vault
        self._settings = settings
        self._providers = Providers(egress, settings)

    async def create_connection(self, principal: Principal, command: CreateConnection) -> Connection:
        connections.require_change(principal, command.provisioning)
        await self._providers.check_issuer(command.issuer, "/issuer")
        async with self._database.write(principal.tenant_id) as unit:
            row = await connections.create(unit, self._vault, principal, command)
        return connections.shown(row, self._settings)

    async def list_connections(self, principal: Principal, cursor: str | None, limit: int) -> Page[Connection]:
        async with self._database.read(principal.tenant_id) as unit:
            return await connections.list_all(unit, principal, self._settings, cursor, limit)

    async def get_connection(self, principal: Principal, connection_id: str) -> Connection:
        async with self._database.read(principal.tenant_id) as unit:
            return connections.shown(await connections.get(unit, principal, connection_id), self._settings)

    async def update_connection(
        self, principal: Principal, connection_id: str, command: UpdateConnection
    ) -> Connection:
        connections.require_change(principal, command.provisioning)
        if command.issuer is not None:
            await self._providers.check_issuer(command.issuer, "/issuer")
        async with self._database.write(principal.tenant_id) as unit:
            row = await connections.update(unit, self._vault, principal, connection_id, command)
        return connections.shown(row, self._settings)

    async def delete_connection(self, principal: Principal, connection_id: str) -> None:
        connections.require_change(principal, None)
        async with self._database.write(principal.tenant_id) as unit:
            await connections.delete(unit, principal, connection_id)

    async def depart(self, principal: Principal, connection_id: str, return_to: str, browser: str | None) -> Departure:
        if not is_safe_return(return_to):
            raise UnsafeReturn.at("/return_to", "return_to.unsafe", UnsafeReturn.title)
        async with self._database.read(principal.tenant_id) as unit:
            connection = await logins.connection_of(unit, connection_id)
        metadata = await self._providers.metadata(principal.tenant_id, connection.issuer)
        challenge, browser = new_challenge(), browser_of(browser)
        async with self._database.write(principal.tenant_id) as unit:
            state = await logins.begin(
                unit,
                self._vault,
                self._settings,
                connection_id,
                challenge=challenge,
                return_to=return_to,
                browser=browser,
            )
        asked = {
            "response_type": "code",
            "client_id": connection.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *connection.scopes])),
            "state": state,
            "nonce": challenge.nonce,
            "code_challenge": challenge.code_challenge,
            "code_challenge_method": "S256",
        }
        return Departure(
            location=str(httpx.URL(metadata.authorization_endpoint).copy_merge_params(asked)),
            browser=browser,
            life_s=self._settings.login_life_s + self._settings.code_life_s,
        )

    async def arrive(self, origin: Origin, command: Arrival, browser: str | None) -> Landing:
        tenant_id = tenant_of(command.state)
        if tenant_id is None or browser is None:
            raise LoginStateInvalid
        # Committed before anything else is looked at: an answer is good once, whatever comes of it.
        async with self._database.write(tenant_id) as unit:
            begun = await logins.answer(unit, self._vault, command.state, browser)
        try:
            said = {"login_code": await self._take(tenant_id, begun, command)}
        except DomainError as error:
            log.info(
                "federated login refused",
                tenant=tenant_id,
                connection=begun.connection_id,
                code=error.code,
                reason=error.detail,
                address=origin.address,
            )
            said = {"error": error.code}
        return Landing(location=f"{self._settings.public_url}{begun.return_to}#{urlencode(said)}")

    async def exchange(self, origin: Origin, command: ExchangeCode, browser: str | None) -> Session:
        tenant_id = tenant_of(command.code)
        if tenant_id is None or browser is None:
            raise LoginCodeInvalid
        async with self._database.write(tenant_id) as unit:
            login = await logins.redeem(unit, self._vault, command.code, browser)
        return await self._identity.log_in_federated(origin, login)

    async def leave(self, principal: Principal, command: LeaveProvider) -> LoggedOut:
        if not is_safe_return(command.return_to):
            raise UnsafeReturn.at("/return_to", "return_to.unsafe", UnsafeReturn.title)
        login = await self._identity.log_out(principal, Refresh(refresh_token=command.refresh_token))
        if login is None:
            return LoggedOut(provider_logout_url=None)
        return LoggedOut(provider_logout_url=await self._logout_url(principal.tenant_id, login, command.return_to))

    async def left(self, state: str) -> Landing:
        return Landing(location=f"{self._settings.public_url}{logouts.return_of(self._vault, state)}")

    async def close(self) -> None:
        """Stop resolving names."""
        await self._egress.aclose()

    async def _logout_url(self, tenant_id: str, login: ProviderLogin, return_to: str) -> str | None:
        """Where the provider ends its session; None where it cannot, or cannot say so now: ours has ended."""
        async with self._database.read(tenant_id) as unit:
            connection = await SsoConnectionRepository(unit.session, unit.tenant).find(login.connection_id)
        if connection is None:
            return None
        try:
            async with asyncio.timeout(self._settings.answer_timeout_s):
                metadata = await self._providers.metadata(tenant_id, connection.issuer)
        except (DomainError, TimeoutError) as error:
            log.info("logout stays here", tenant=tenant_id, connection=connection.id, reason=str(error) or "timeout")
            return None
        if metadata.end_session_endpoint is None:
            return None
        return logouts.address(
            self._vault, self._settings, metadata.end_session_endpoint, connection, login.sealed, return_to
        )

    async def _take(self, tenant_id: str, begun: logins.Begun, command: Arrival) -> str:
        """The login code for a provider's answer. Raises what ends the login."""
        async with self._database.read(tenant_id) as unit:
            connection = await logins.connection_of(unit, begun.connection_id)
        try:
            async with asyncio.timeout(self._settings.answer_timeout_s):
                person, id_token = await self._person(tenant_id, connection, begun, command)
        except TimeoutError:
            raise ProviderUnavailable("The provider took too long.") from None
        async with self._database.write(tenant_id) as unit:
            return await logins.offer(unit, self._vault, self._settings, begun, connection, person, id_token)

    async def _person(
        self, tenant_id: str, connection: SsoConnection, begun: logins.Begun, command: Arrival
    ) -> tuple[Person, str]:
        """Who it is, and the ID token that says so."""
        metadata = await self._providers.metadata(tenant_id, connection.issuer)
        # RFC 9207 §2.4: what another provider answered must not be taken for an answer of this one.
        if command.iss != metadata.issuer and (command.iss is not None or metadata.names_itself):
            raise TokenRefused("The answer comes from another provider.")
        if command.error is not None or command.code is None:
            raise LoginDenied
        client = Client(connection.client_id, connections.secret_of(self._vault, connection))
        tokens = await self._providers.redeem(tenant_id, metadata, client, command.code, begun.challenge.verifier)
        header = header_of(tokens.id_token)
        key = await self._providers.key(tenant_id, metadata, header)
        expected = Expected(connection.issuer, connection.client_id, begun.challenge.nonce, tokens.access_token)
        claims = verify(tokens.id_token, key, expected)
        return person_of(claims, Provisioning.model_validate(connection.provisioning)), tokens.id_token
