"""The rules of second factors at login: who has to show one, and what counts as one."""

from typing import Final

from db.models.factors import Challenge
from db.models.identity import User
from db.repositories.challenges import ChallengeRepository
from db.repositories.factors import RecoveryCodeRepository, SecondFactorRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity import authenticator
from deployments.identity.codes import LIFE_S, OneTimeCodes, recovery_hash
from deployments.identity.contracts import Session
from deployments.identity.errors import CodeFailed, SecondFactorRequired, SecondFactorSetupRequired
from deployments.identity.service import challenges, notices, sessions
from deployments.identity.service.enforcement import require_local_login
from deployments.identity.service.sessions import Proof
from deployments.identity.service.verification import require_verified
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import AccessTokens
from deployments.kit.errors import DomainError, Invalid
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin
from eventing.events.factors import RecoveryCodeUsed
from eventing.outbox import record

METHODS: Final = {"email": "otp", "sms": "sms"}
"""The method of RFC 8176 that a code by each channel shows."""

_SETUP_LIFE_S: Final = 900


async def log_in(
    unit: UnitOfWork, tokens: AccessTokens, settings: IdentitySettings, origin: Origin, proof: Proof
) -> Session | DomainError:
    """The session of somebody who knew the password, or what is still asked of them; see `enter`."""
    user = await sessions.admit(unit, proof)
    return await enter(unit, tokens, settings, user, origin, amr=("pwd",))


async def enter(
    unit: UnitOfWork,
    tokens: AccessTokens,
    settings: IdentitySettings,
    user: User,
    origin: Origin,
    *,
    amr: tuple[str, ...],
) -> Session | DomainError:
    """The session of somebody who showed `amr`, or SecondFactorRequired or SecondFactorSetupRequired.

    The refusal is returned: the caller must commit its challenge before raising it. Raises CodeFailed when the only
    factors are of the kind that was shown already, EmailUnverified, FederatedOnly.
    """
    await require_local_login(unit, user)
    require_verified(settings, user)
    kinds = await kinds_of(unit, user)
    if kinds:
        return await _demand(unit, user, kinds, amr)
    if is_enabled(await settings_of(unit), "require_second_factor"):
        _, token = await challenges.make_for(unit, user, challenges.SETUP, amr=amr, life_s=_SETUP_LIFE_S)
        return SecondFactorSetupRequired(members={"challenge": token, "expires_in": _SETUP_LIFE_S})
    return sessions.enter(unit, tokens, settings, user, origin, amr=amr)


async def without_factor(unit: UnitOfWork, challenge: Challenge) -> User:
    """Whom the challenge lets set their first factor up, locked. Raises CodeFailed once they have one.

    Else somebody who only knows the password could put a factor of their own beside the one that they lack.
    """
    user = await challenges.person_of(unit, challenge)
    if await kinds_of(unit, user):
        raise CodeFailed
    return user


async def kinds_of(unit: UnitOfWork, user: User) -> frozenset[str]:
    """The kinds of factors that a person has."""
    rows = await SecondFactorRepository(unit.session, unit.tenant).of_user(user.id)
    return frozenset(row.kind for row in rows)


def channels_of(kinds: frozenset[str], amr: tuple[str, ...]) -> list[str]:
    """Where a code can be sent that shows more than `amr`."""
    return [channel for channel in sorted(METHODS) if channel in kinds and METHODS[channel] not in amr]


async def _demand(unit: UnitOfWork, user: User, kinds: frozenset[str], amr: tuple[str, ...]) -> SecondFactorRequired:
    channels = channels_of(kinds, amr)
    methods = [*(["totp"] if "totp" in kinds else []), *(["code"] if channels else [])]
    if not methods:
        raise CodeFailed
    if await RecoveryCodeRepository(unit.session, unit.tenant).left(user.id):
        methods.append("recovery")
    _, token = await challenges.make_for(unit, user, challenges.SECOND_FACTOR, amr=amr)
    members = {"challenge": token, "methods": methods, "channels": channels, "expires_in": LIFE_S}
    return SecondFactorRequired(members=members)


async def send_code(unit: UnitOfWork, codes: OneTimeCodes, vault: Vault, challenge_id: str, channel: str) -> None:
    """Send the person a code for the challenge; an earlier one is worthless. Raises CodeFailed, Invalid."""
    challenge = await ChallengeRepository(unit.session, unit.tenant).get_locked(challenge_id)
    if challenge is None or not challenges.is_open(challenge):
        raise CodeFailed
    user = await challenges.person_of(unit, challenge)
    await require_channel(unit, user, challenge, channel)
    code = codes.new()
    challenge.channel, challenge.code_hash = channel, codes.hash(challenge.id, code)
    await notices.send_code(unit, vault, user, channel, code)


async def require_channel(unit: UnitOfWork, user: User, challenge: Challenge, channel: str) -> None:
    """Raise Invalid unless codes by this channel are a factor of the person that they have not shown yet."""
    if channel not in channels_of(await kinds_of(unit, user), tuple(challenge.amr.split())):
        raise Invalid.at("/channel", "factor.not_found", "codes by this channel are no second factor here")


async def show(
    unit: UnitOfWork,
    codes: OneTimeCodes,
    vault: Vault,
    origin: Origin,
    user: User,
    challenge: Challenge,
    method: str,
    code: str,
) -> tuple[str, ...]:
    """Everything that was shown, in the words of RFC 8176, once this code is right. Raises CodeFailed."""
    shown = "otp"
    if method == "totp":
        await use_totp(unit, vault, user, code)
    elif method == "recovery":
        await _use_recovery_code(unit, vault, origin, user, code)
    else:
        channel = challenge.channel or ""
        if not codes.match(challenge.id, challenge.code_hash, code) or channel not in await kinds_of(unit, user):
            raise CodeFailed
        shown = METHODS[channel]
    return tuple(dict.fromkeys((*challenge.amr.split(), shown, "mfa")))


async def use_totp(unit: UnitOfWork, vault: Vault, user: User, code: str) -> None:
    """Accept a code of the person's authenticator app, each time step once. Raises CodeFailed."""
    repository = SecondFactorRepository(unit.session, unit.tenant)
    factor = await repository.get(user.id, "totp")
    if factor is None or factor.confirmed_at is None or factor.secret is None:
        raise CodeFailed
    step = authenticator.step_of(vault.open(factor.secret), code, utc_now())
    if step is None or not await repository.use_step(user.id, step):
        raise CodeFailed


async def _use_recovery_code(unit: UnitOfWork, vault: Vault, origin: Origin, user: User, code: str) -> None:
    repository = RecoveryCodeRepository(unit.session, unit.tenant)
    # Without a factor there is nothing to recover from; codes go with the last factor.
    if not await kinds_of(unit, user) or not await repository.use(user.id, recovery_hash(user.id, code), utc_now()):
        raise CodeFailed
    left = await repository.left(user.id)
    record(unit, RecoveryCodeUsed(user_id=user.id, left=left), actor=user.id, origin=origin)
    await notices.tell(unit, vault, user, "recovery_code_used", left=str(left))
