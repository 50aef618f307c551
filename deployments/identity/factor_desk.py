"""Where people change their own factors: each change needs a fresh proof, and proofs are counted like logins."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from db.models.identity import User
from db.session import Database, UnitOfWork
from deployments.identity.attempts import Attempts
from deployments.identity.errors import CodeFailed, LoginFailed
from deployments.identity.factor_contracts import (
    AddedFactor,
    ConfirmTotp,
    CurrentPassword,
    FactorKind,
    FactorProof,
    Factors,
    RecoveryCodes,
    StartedTotp,
)
from deployments.identity.passwords import Passwords
from deployments.identity.service import own_factors, second_factors, users
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault

Result = TypeVar("Result")
Change = Callable[[UnitOfWork, User], Awaitable[Result]]


class FactorDesk:
    """Adds and removes factors. A wrong proof is Invalid at `/current_password` or `/code`."""

    def __init__(self, database: Database, vault: Vault, attempts: Attempts, passwords: Passwords) -> None:
        self._database = database
        self._vault = vault
        self._attempts = attempts
        self._passwords = passwords

    async def list_all(self, principal: Principal) -> Factors:
        async with self._database.read(users.home(principal)) as unit:
            return await own_factors.list_all(unit, principal)

    async def start_totp(self, principal: Principal, command: CurrentPassword) -> StartedTotp:
        async def change(unit: UnitOfWork, user: User) -> StartedTotp:
            return await own_factors.start_totp(unit, self._vault, user)

        return await self._change(principal, _by(command), change)

    async def confirm_totp(self, principal: Principal, command: ConfirmTotp) -> RecoveryCodes:
        async def change(unit: UnitOfWork, user: User) -> RecoveryCodes:
            return await own_factors.confirm_totp(unit, self._vault, principal.origin, user, command.code)

        return await self._change(principal, None, change)

    async def add_codes(
        self, principal: Principal, channel: Literal["email", "sms"], command: CurrentPassword
    ) -> AddedFactor:
        async def change(unit: UnitOfWork, user: User) -> AddedFactor:
            return await own_factors.add_codes(unit, self._vault, principal.origin, user, channel)

        return await self._change(principal, _by(command), change)

    async def renew_codes(self, principal: Principal, proof: FactorProof) -> RecoveryCodes:
        async def change(unit: UnitOfWork, user: User) -> RecoveryCodes:
            return await own_factors.renew_codes(unit, principal.origin, user)

        return await self._change(principal, proof, change)

    async def remove(self, principal: Principal, kind: FactorKind, proof: FactorProof) -> None:
        async def change(unit: UnitOfWork, user: User) -> None:
            await own_factors.remove(unit, self._vault, principal.origin, user, kind)

        await self._change(principal, proof, change)

    async def remove_phone(self, principal: Principal, proof: FactorProof) -> None:
        async def change(unit: UnitOfWork, user: User) -> None:
            await own_factors.remove_phone(unit, self._vault, principal.origin, user)

        await self._change(principal, proof, change)

    async def reset(self, principal: Principal, user_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await own_factors.reset(unit, self._vault, principal, user_id)

    async def known_hash(self, principal: Principal, command: CurrentPassword) -> str:
        """The hash of the caller's password, which they know."""

        async def change(unit: UnitOfWork, user: User) -> str:
            return user.password_hash

        return await self._change(principal, _by(command), change)

    async def _change(self, principal: Principal, proof: FactorProof | None, change: Change[Result]) -> Result:
        home = users.home(principal)
        attempt = await self._attempts.start(home, principal.subject, principal.origin.address)
        try:
            known = await self._known(principal, home, proof)
            async with self._database.write(home) as unit:
                user = await users.own_locked(unit, principal, known)
                if proof is not None and proof.code is not None:
                    await second_factors.use_totp(unit, self._vault, user, proof.code)
                result = await change(unit, user)
        except LoginFailed:
            await self._attempts.fail(attempt)
            raise Invalid.at("/current_password", "password.wrong", "this is not the current password") from None
        except CodeFailed:
            await self._attempts.fail(attempt)
            raise Invalid.at("/code", "code.wrong", CodeFailed.title) from None
        except BaseException:
            await self._attempts.release(attempt)
            raise
        await self._attempts.succeed(attempt)
        return result

    async def _known(self, principal: Principal, home: str, proof: FactorProof | None) -> str | None:
        """The password hash, when the proof is the password. Raises LoginFailed, or Forbidden for a program."""
        if proof is None or proof.current_password is None:
            return None
        async with self._database.read(home) as unit:
            known = await users.own_hash(unit, principal)
        if not await self._passwords.verify(known, proof.current_password):
            raise LoginFailed
        return known


def _by(command: CurrentPassword) -> FactorProof:
    return FactorProof(current_password=command.current_password)
