"""The rules of people's own factors: adding and removing them, and recovery codes."""

from typing import Literal

from db.models.factors import SecondFactor
from db.models.identity import User
from db.repositories.factors import RecoveryCodeRepository, SecondFactorRepository
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity import authenticator
from deployments.identity.codes import new_recovery_codes, recovery_hash
from deployments.identity.errors import (
    CodeFailed,
    FactorExists,
    FactorNotFound,
    OwnFactors,
    PhoneMissing,
    UserNotFound,
)
from deployments.identity.factor_contracts import (
    AddedFactor,
    Factor,
    FactorKind,
    Factors,
    Phone,
    RecoveryCodes,
    StartedTotp,
)
from deployments.identity.service import challenges, notices, second_factors, users
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from eventing.events.envelope import EventData, Origin
from eventing.events.factors import FactorAdded, FactorRemoved, PhoneChanged, RecoveryCodesRenewed
from eventing.outbox import record


async def list_all(unit: UnitOfWork, principal: Principal) -> Factors:
    """The caller's factors. Raises Forbidden for a program."""
    user = await UserRepository(unit.session, unit.tenant).get(principal.subject)
    if principal.kind != "user" or user is None:
        raise Forbidden("only a person has second factors")
    rows = await SecondFactorRepository(unit.session, unit.tenant).of_user(user.id)
    return Factors(
        data=[Factor.model_validate({"kind": row.kind, "added_at": row.confirmed_at}) for row in rows],
        recovery_codes_left=await RecoveryCodeRepository(unit.session, unit.tenant).left(user.id),
        phone=phone_of(user),
    )


def phone_of(user: User) -> Phone | None:
    """The person's verified telephone number."""
    if user.phone is None or user.phone_verified_at is None:
        return None
    return Phone(phone=user.phone, verified_at=user.phone_verified_at)


async def start_totp(unit: UnitOfWork, vault: Vault, user: User) -> StartedTotp:
    """A secret that counts once it is confirmed; an earlier one that was not is forgotten. Raises FactorExists."""
    repository = SecondFactorRepository(unit.session, unit.tenant)
    known = await repository.get(user.id, "totp")
    if known is not None and known.confirmed_at is not None:
        raise FactorExists
    secret = authenticator.new_secret()
    await repository.put(
        SecondFactor(
            tenant_id=unit.tenant, user_id=user.id, kind="totp", secret=vault.seal(secret), created_at=utc_now()
        )
    )
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    issuer = tenant.name if tenant is not None else "Formstream"
    return StartedTotp(secret=secret, uri=authenticator.uri_of(secret, user.email, issuer))


async def confirm_totp(unit: UnitOfWork, vault: Vault, origin: Origin, user: User, code: str) -> RecoveryCodes:
    """New recovery codes, now that the app gives right codes. Raises FactorNotFound, FactorExists, CodeFailed."""
    repository = SecondFactorRepository(unit.session, unit.tenant)
    factor = await repository.get(user.id, "totp")
    if factor is None or factor.secret is None:
        raise FactorNotFound
    if factor.confirmed_at is not None:
        raise FactorExists
    now = utc_now()
    step = authenticator.step_of(vault.open(factor.secret), code, now)
    if step is None:
        raise CodeFailed
    factor.confirmed_at, factor.last_step = now, step
    await _note_added(unit, vault, origin, user, "totp")
    return RecoveryCodes(recovery_codes=await _new_codes(unit, user))


async def add_codes(
    unit: UnitOfWork, vault: Vault, origin: Origin, user: User, channel: Literal["email", "sms"]
) -> AddedFactor:
    """Make codes by a channel a second factor. Raises FactorExists, PhoneMissing."""
    if channel == "sms" and phone_of(user) is None:
        raise PhoneMissing
    kinds = await second_factors.kinds_of(unit, user)
    if channel in kinds:
        raise FactorExists
    now = utc_now()
    await SecondFactorRepository(unit.session, unit.tenant).put(
        SecondFactor(tenant_id=unit.tenant, user_id=user.id, kind=channel, created_at=now, confirmed_at=now)
    )
    await _note_added(unit, vault, origin, user, channel)
    return AddedFactor(kind=channel, recovery_codes=None if kinds else await _new_codes(unit, user))


async def renew_codes(unit: UnitOfWork, origin: Origin, user: User) -> RecoveryCodes:
    """New recovery codes instead of the earlier ones. Raises FactorNotFound for somebody without a factor."""
    if not await second_factors.kinds_of(unit, user):
        raise FactorNotFound
    _record(unit, origin, user.id, RecoveryCodesRenewed(user_id=user.id))
    return RecoveryCodes(recovery_codes=await _new_codes(unit, user))


async def remove(unit: UnitOfWork, vault: Vault, origin: Origin, user: User, kind: FactorKind) -> None:
    """Take a factor away, with the last one the recovery codes too. Raises FactorNotFound."""
    if kind not in await second_factors.kinds_of(unit, user):
        raise FactorNotFound
    await _remove(unit, vault, origin, user, kind, actor=user.id)


async def remove_phone(unit: UnitOfWork, vault: Vault, origin: Origin, user: User) -> None:
    """Forget the telephone number, and codes by text message as a factor; nothing happens without a number."""
    await _forget_phone(unit, vault, origin, user, actor=user.id)


async def reset(unit: UnitOfWork, vault: Vault, principal: Principal, user_id: str) -> None:
    """Take every factor of a person away, the telephone number too, so that the password alone lets them in again.

    Raises UserNotFound, RoleTooHigh for somebody with more rights, OwnFactors for one's own.
    """
    principal.require("users:write")
    user = await UserRepository(unit.session, unit.tenant).get_locked(user_id)
    if user is None:
        raise UserNotFound
    if user_id == principal.subject:
        raise OwnFactors
    users.refuse_higher(principal, user.role)
    for kind in sorted(await second_factors.kinds_of(unit, user)):
        await _remove(unit, vault, principal.origin, user, kind, actor=principal.subject)
    await SecondFactorRepository(unit.session, unit.tenant).remove(user.id, "totp")  # one not confirmed yet
    await _forget_phone(unit, vault, principal.origin, user, actor=principal.subject)


async def _forget_phone(unit: UnitOfWork, vault: Vault, origin: Origin, user: User, *, actor: str) -> None:
    if user.phone is None:
        return
    if "sms" in await second_factors.kinds_of(unit, user):
        await _remove(unit, vault, origin, user, "sms", actor=actor)
    user.phone = user.phone_verified_at = None
    _record(unit, origin, actor, PhoneChanged(user_id=user.id, present=False))
    await notices.tell(unit, vault, user, "factor_removed", factor="phone")
    await challenges.void_of(unit, user.id)


async def _remove(unit: UnitOfWork, vault: Vault, origin: Origin, user: User, kind: str, *, actor: str) -> None:
    await SecondFactorRepository(unit.session, unit.tenant).remove(user.id, kind)
    if not await second_factors.kinds_of(unit, user):
        await RecoveryCodeRepository(unit.session, unit.tenant).replace(user.id, (), utc_now())
    _record(unit, origin, actor, FactorRemoved(user_id=user.id, kind=kind))
    await notices.tell(unit, vault, user, "factor_removed", factor=kind)
    await challenges.void_of(unit, user.id)


async def _note_added(unit: UnitOfWork, vault: Vault, origin: Origin, user: User, kind: str) -> None:
    _record(unit, origin, user.id, FactorAdded(user_id=user.id, kind=kind))
    await notices.tell(unit, vault, user, "factor_added", factor=kind)


async def _new_codes(unit: UnitOfWork, user: User) -> list[str]:
    codes = new_recovery_codes()
    hashes = [recovery_hash(user.id, code) for code in codes]
    await RecoveryCodeRepository(unit.session, unit.tenant).replace(user.id, hashes, utc_now())
    return codes


def _record(unit: UnitOfWork, origin: Origin, actor: str, fact: EventData) -> None:
    record(unit, fact, actor=actor, origin=origin)
