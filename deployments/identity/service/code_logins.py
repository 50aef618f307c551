"""The rules of logging in by a code that is sent: asking for it, sending it, and what it opens."""

from typing import Final

from db.models.factors import Challenge
from db.repositories.challenges import ChallengeDirectory, ChallengeRepository
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.codes import LIFE_S, OneTimeCodes
from deployments.identity.contracts import Session
from deployments.identity.errors import CodeFailed
from deployments.identity.factor_contracts import ChallengeSent, RequestCode
from deployments.identity.service import challenges, notices, second_factors
from deployments.identity.service.users import normalise_email
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import AccessTokens, fingerprint
from deployments.kit.contract import Contract
from deployments.kit.errors import DomainError, Unauthenticated
from deployments.kit.features import is_enabled
from deployments.kit.principal import PLATFORM_TENANT
from deployments.kit.tenants import require_active_tenant
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin
from eventing.jobs import JobSpec, enqueue

SEND_CODE: Final = "identity.code"
_PRUNED: Final = 20


class CodeOrder(Contract):
    """What the job of the kind `SEND_CODE` needs; sealed, because it names people who may not have an account."""

    tenant_id: str
    challenge_id: str
    email: str


def tenant_of(command: RequestCode) -> str:
    """The tenant to log in to."""
    return command.tenant or PLATFORM_TENANT


async def request(unit: UnitOfWork, vault: Vault, command: RequestCode) -> ChallengeSent:
    """A challenge for whoever has this e-mail; the job finds out whether anybody does. Needs an unscoped unit.

    Nothing is looked up here, so that neither the answer nor its time tells which accounts exist.
    """
    tenant_id = tenant_of(command)
    email = normalise_email(command.email)
    await ChallengeDirectory(unit.session).prune_in_any_tenant(utc_now(), _PRUNED)
    row, token = challenges.make(tenant_id, challenges.LOGIN_CODE, fingerprint(email))
    row.channel = command.channel
    await ChallengeRepository(unit.session, tenant_id).replace(row)
    order = CodeOrder(tenant_id=tenant_id, challenge_id=row.id, email=email)
    await unit.enter_tenant(PLATFORM_TENANT)
    payload = {"sealed": vault.seal(order.model_dump_json())}
    await enqueue(unit, JobSpec(SEND_CODE, payload, created_by="system:identity", queue="high"))
    return ChallengeSent(challenge=token, expires_in=LIFE_S)


async def deliver(unit: UnitOfWork, codes: OneTimeCodes, vault: Vault, order: CodeOrder) -> None:
    """Give the challenge a code, once, and send it to the account if there is one that may log in by it."""
    challenge = await ChallengeRepository(unit.session, unit.tenant).get_locked(order.challenge_id)
    if challenge is None or challenge.code_hash is not None or not challenges.is_open(challenge):
        return
    code = codes.new()
    challenge.code_hash = codes.hash(challenge.id, code)
    user = await UserRepository(unit.session, unit.tenant).find_by_email(order.email)
    channel = challenge.channel or ""
    if user is None or user.status != "active" or not await _opens_by_code(unit):
        return
    if channel == "sms" and user.phone_verified_at is None:
        return
    kinds = await second_factors.kinds_of(unit, user)
    shown = (second_factors.METHODS[channel],)
    if kinds and "totp" not in kinds and not second_factors.channels_of(kinds, shown):
        return  # the code would be both factors at once
    challenge.user_id, challenge.proof = user.id, fingerprint(user.password_hash)
    await notices.send_code(unit, vault, user, channel, code)


async def log_in(
    unit: UnitOfWork,
    tokens: AccessTokens,
    settings: IdentitySettings,
    codes: OneTimeCodes,
    origin: Origin,
    challenge: Challenge,
    code: str,
) -> Session | DomainError:
    """The session that the code opens, or what is still asked; see `second_factors.enter`. Raises CodeFailed."""
    if not codes.match(challenge.id, challenge.code_hash, code):
        raise CodeFailed
    user = await challenges.person_of(unit, challenge)
    await challenges.consume(unit, challenge)
    await require_active_tenant(unit, Unauthenticated)
    if not await _opens_by_code(unit):
        raise CodeFailed
    shown = second_factors.METHODS[challenge.channel or ""]
    return await second_factors.enter(unit, tokens, settings, user, origin, amr=(shown,))


async def _opens_by_code(unit: UnitOfWork) -> bool:
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    return tenant is not None and tenant.status == "active" and is_enabled(tenant.settings, "login_codes")
