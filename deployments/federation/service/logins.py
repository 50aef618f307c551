"""The rules of a login under way: it begins in one browser, is answered once, and its code is good once."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import orjson
from cryptography.fernet import InvalidToken

from db.models.federation import SsoConnection, SsoLogin
from db.repositories.federation import SsoConnectionRepository, SsoLoginRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.federation.contracts import Provisioning
from deployments.federation.errors import (
    ConnectionNotFound,
    LoginCodeInvalid,
    LoginStateInvalid,
)
from deployments.federation.person import Person
from deployments.federation.service import logouts
from deployments.federation.settings import FederationSettings
from deployments.federation.tickets import Challenge, fingerprint, new_ticket
from deployments.identity.contracts import FederatedLogin
from deployments.kit.errors import TenantSuspended
from deployments.kit.vault import Vault

_PRUNED: Final = 100


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that a browser began, at the moment when its answer comes."""

    state_hash: str
    return_to: str
    challenge: Challenge
    connection_id: str


async def connection_of(unit: UnitOfWork, connection_id: str) -> SsoConnection:
    """The connection, when people may log in with it now.

    Raises ConnectionNotFound for a tenant, connection or state of one that does not let anybody in, TenantSuspended.
    """
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    row = await SsoConnectionRepository(unit.session, unit.tenant).find(connection_id)
    if tenant is None or tenant.status == "deleted" or row is None or not row.enabled:
        raise ConnectionNotFound
    if tenant.status != "active":
        raise TenantSuspended
    return row


async def begin(
    unit: UnitOfWork,
    vault: Vault,
    settings: FederationSettings,
    connection_id: str,
    *,
    challenge: Challenge,
    return_to: str,
    browser: str,
) -> str:
    """The state of a new login. Raises ConnectionNotFound, TenantSuspended."""
    await connection_of(unit, connection_id)
    logins = SsoLoginRepository(unit.session, unit.tenant)
    now = utc_now()
    await logins.prune(now, _PRUNED)
    state = new_ticket(unit.tenant)
    logins.add(
        SsoLogin(
            tenant_id=unit.tenant,
            state_hash=fingerprint(state),
            connection_id=connection_id,
            browser_hash=fingerprint(browser),
            return_to=return_to,
            sealed=vault.seal(orjson.dumps(asdict(challenge)).decode()),
            created_at=now,
            expires_at=now + timedelta(seconds=settings.login_life_s),
        )
    )
    return state


async def answer(unit: UnitOfWork, vault: Vault, state: str, browser: str) -> Begun:
    """The login of the state, now and never again. Raises LoginStateInvalid."""
    logins = SsoLoginRepository(unit.session, unit.tenant)
    row = await logins.answer(fingerprint(state), fingerprint(browser), utc_now())
    if row is None:
        raise LoginStateInvalid
    try:
        challenge = Challenge(**orjson.loads(vault.open(row.sealed)))
    except InvalidToken:
        raise LoginStateInvalid from None
    return Begun(row.state_hash, row.return_to, challenge, row.connection_id)


async def offer(
    unit: UnitOfWork,
    vault: Vault,
    settings: FederationSettings,
    begun: Begun,
    connection: SsoConnection,
    person: Person,
    id_token: str,
) -> str:
    """A code for which the browser gets the person's session within a minute."""
    login = _login(unit.tenant, connection, person, logouts.seal(vault, connection, id_token))
    code = new_ticket(unit.tenant)
    until = utc_now() + timedelta(seconds=settings.code_life_s)
    sealed = vault.seal(login.model_dump_json())
    await SsoLoginRepository(unit.session, unit.tenant).offer(begun.state_hash, fingerprint(code), sealed, until)
    return code


async def redeem(unit: UnitOfWork, vault: Vault, code: str, browser: str) -> FederatedLogin:
    """What the provider vouched for, now and never again. Raises LoginCodeInvalid."""
    found = await SsoLoginRepository(unit.session, unit.tenant).redeem(
        fingerprint(code), fingerprint(browser), utc_now()
    )
    if found is None:
        raise LoginCodeInvalid
    connection_id, sealed = found
    row = await SsoConnectionRepository(unit.session, unit.tenant).find(connection_id)
    try:
        login = FederatedLogin.model_validate_json(vault.open(sealed))
    except InvalidToken:
        raise LoginCodeInvalid from None
    if row is None or not row.enabled or login.tenant_id != unit.tenant:
        raise LoginCodeInvalid
    return login


def _login(tenant_id: str, connection: SsoConnection, person: Person, sealed: str) -> FederatedLogin:
    rules = Provisioning.model_validate(connection.provisioning)
    return FederatedLogin(
        tenant_id=tenant_id,
        connection_id=connection.id,
        issuer=connection.issuer,
        subject=person.subject,
        email=person.email,
        name=person.name,
        link=rules.mode != "none",
        create=rules.mode == "auto",
        role=person.role,
        keep_role=rules.role_claim is None,
        sealed=sealed,
    )
