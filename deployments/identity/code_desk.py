"""Where codes are answered: the transactions around a guess, so that each is counted before it is looked at."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from db.models.factors import Challenge
from db.models.identity import PLATFORM_TENANT
from db.repositories.challenges import ChallengeDirectory
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.identity.attempts import Attempts
from deployments.identity.code_limits import CodeLimits
from deployments.identity.codes import TRIES, OneTimeCodes
from deployments.identity.contracts import Session
from deployments.identity.errors import CodeFailed
from deployments.identity.factor_contracts import (
    AnswerChallenge,
    ChallengeSent,
    CodeSent,
    ConfirmSetup,
    Enrolled,
    EnrolTotp,
    Phone,
    RequestCode,
    SecondFactorLogIn,
    SendSecondFactorCode,
    StartedTotp,
)
from deployments.identity.service import (
    challenges,
    code_logins,
    own_factors,
    own_phones,
    second_factors,
    sessions,
    users,
)
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import AccessTokens, fingerprint
from deployments.kit.errors import DomainError, Invalid, Unauthenticated
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_active_tenant
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin
from eventing.events.identity import UserLocked
from eventing.outbox import record

Result = TypeVar("Result")
Settle = Callable[[UnitOfWork, Challenge], Awaitable[Result]]

_PRUNED: Final = 20


class CodeDesk:
    """Sends codes for challenges and takes the answers."""

    def __init__(
        self, database: Database, settings: IdentitySettings, vault: Vault, tokens: AccessTokens, attempts: Attempts
    ) -> None:
        self._database = database
        self._settings = settings
        self._vault = vault
        self._tokens = tokens
        self._attempts = attempts
        self._limits = CodeLimits(database)
        self._codes = OneTimeCodes(settings)

    async def request(self, origin: Origin, command: RequestCode) -> ChallengeSent:
        """A challenge, the same for accounts that exist and for those that do not. Raises CodeLimited."""
        account = fingerprint(users.normalise_email(command.email))
        await self._limits.take(code_logins.tenant_of(command), account, origin.address)
        async with self._database.unscoped_write() as unit:
            return await code_logins.request(unit, self._vault, command)

    async def verify(self, origin: Origin, command: AnswerChallenge) -> Session:
        """The session that a code opens: to log in by it, or as the second factor. Raises CodeFailed."""

        async def settle(unit: UnitOfWork, challenge: Challenge) -> Session | DomainError:
            if challenge.purpose == challenges.SECOND_FACTOR:
                return await self._show(unit, origin, challenge, "code", command.code)
            return await code_logins.log_in(
                unit, self._tokens, self._settings, self._codes, origin, challenge, command.code
            )

        purposes = (challenges.LOGIN_CODE, challenges.SECOND_FACTOR)
        return await self._guess(origin, command.challenge, purposes, settle)

    async def show_factor(self, origin: Origin, command: SecondFactorLogIn) -> Session:
        """The session of somebody who shows a second factor after the first. Raises CodeFailed."""

        async def settle(unit: UnitOfWork, challenge: Challenge) -> Session:
            return await self._show(unit, origin, challenge, command.method, command.code)

        return await self._guess(origin, command.challenge, (challenges.SECOND_FACTOR,), settle)

    async def send_factor_code(self, origin: Origin, command: SendSecondFactorCode) -> CodeSent:
        """Send a code as the second factor. Raises CodeFailed, Invalid, CodeLimited."""
        challenge = await self._find(command.challenge, challenges.SECOND_FACTOR)
        async with self._database.write(challenge.tenant_id) as unit:
            user = await challenges.person_of(unit, challenge)
            await second_factors.require_channel(unit, user, challenge, command.channel)
        # Counted apart from codes that anybody may ask for: nobody can use these up for somebody else.
        account = f"second-factor:{challenge.account}"
        await self._limits.take(challenge.tenant_id, account, origin.address)
        async with self._database.write(challenge.tenant_id) as unit:
            await second_factors.send_code(unit, self._codes, self._vault, challenge.id, command.channel)
        return CodeSent(expires_in=max(0, int((challenge.expires_at - utc_now()).total_seconds())))

    async def start_setup(self, command: EnrolTotp) -> StartedTotp:
        """The secret of an app for somebody who must have a second factor. Raises CodeFailed."""
        challenge = await self._find(command.challenge, challenges.SETUP)
        async with self._database.write(challenge.tenant_id) as unit:
            user = await second_factors.without_factor(unit, challenge)
            return await own_factors.start_totp(unit, self._vault, user)

    async def confirm_setup(self, origin: Origin, command: ConfirmSetup) -> Enrolled:
        """Recovery codes and the session, now that there is a second factor. Raises CodeFailed, FactorNotFound."""

        async def settle(unit: UnitOfWork, found: Challenge) -> Enrolled:
            user = await second_factors.without_factor(unit, found)
            codes = await own_factors.confirm_totp(unit, self._vault, origin, user, command.code)
            await challenges.consume(unit, found)
            await require_active_tenant(unit, Unauthenticated)
            amr = (*found.amr.split(), "otp", "mfa")
            session = sessions.enter(unit, self._tokens, self._settings, user, origin, amr=tuple(dict.fromkeys(amr)))
            return Enrolled(recovery_codes=codes.recovery_codes, **session.model_dump())

        return await self._guess(origin, command.challenge, (challenges.SETUP,), settle)

    async def put_phone(self, principal: Principal, phone: str, known: str) -> ChallengeSent:
        """Send a code to a telephone number for somebody whose password hash is `known`. Raises CodeLimited."""
        home = users.home(principal)
        account = f"phone:{fingerprint(principal.subject)}"
        await self._limits.take(home, account, principal.origin.address, phone=phone)
        async with self._database.write(home) as unit:
            user = await users.own_locked(unit, principal, known)
            return await own_phones.put(unit, self._codes, self._vault, user, phone)

    async def verify_phone(self, principal: Principal, command: AnswerChallenge) -> Phone:
        """The number that the code was sent to. Raises Invalid."""

        async def settle(unit: UnitOfWork, challenge: Challenge) -> Phone:
            return await own_phones.verify(unit, self._codes, self._vault, principal.origin, challenge, command.code)

        owner = (users.home(principal), principal.subject)
        try:
            return await self._guess(principal.origin, command.challenge, (challenges.PHONE,), settle, owner=owner)
        except CodeFailed:
            raise Invalid.at("/code", "code.wrong", CodeFailed.title) from None

    async def _show(self, unit: UnitOfWork, origin: Origin, challenge: Challenge, method: str, code: str) -> Session:
        user = await challenges.person_of(unit, challenge)
        amr = await second_factors.show(unit, self._codes, self._vault, origin, user, challenge, method, code)
        await challenges.consume(unit, challenge)
        await require_active_tenant(unit, Unauthenticated)
        return sessions.enter(unit, self._tokens, self._settings, user, origin, amr=amr)

    async def _find(self, token: str, purpose: str) -> Challenge:
        async with self._database.unscoped_read() as unit:
            found = await ChallengeDirectory(unit.session).find_in_any_tenant(fingerprint(token))
        if found is None or found.purpose != purpose or not challenges.is_open(found):
            raise CodeFailed
        return found

    async def _guess(
        self,
        origin: Origin,
        token: str,
        purposes: Sequence[str],
        settle: Settle[Result | DomainError],
        *,
        owner: tuple[str, str] | None = None,
    ) -> Result:
        """What `settle` makes of the challenge, in a transaction of its tenant; a DomainError is raised afterwards.

        The guess is counted for the account and the address like a password, and for the challenge, before anybody
        looks whether it is right. With an owner (tenant id, user id) only their challenges can be answered.
        """
        token_hash = fingerprint(token)
        async with self._database.unscoped_read() as unit:
            known = await ChallengeDirectory(unit.session).find_in_any_tenant(token_hash)
        if known is not None and owner not in (None, (known.tenant_id, known.user_id)):
            known = None
        account = (PLATFORM_TENANT, token_hash) if known is None else (known.tenant_id, known.account)
        attempt = await self._attempts.start_by_fingerprint(*account, origin.address)
        try:
            challenge = await self._try(token_hash, purposes) if known is not None else None
            if challenge is None:
                raise CodeFailed
            async with self._database.write(challenge.tenant_id) as unit:
                outcome = await settle(unit, challenge)
        except CodeFailed:
            if await self._attempts.fail(attempt) and known is not None and known.user_id is not None:
                async with self._database.write(known.tenant_id) as unit:
                    record(unit, UserLocked(user_id=known.user_id), actor=known.user_id, origin=origin)
            raise
        except BaseException:
            await self._attempts.release(attempt)
            raise
        if isinstance(outcome, DomainError):
            await self._attempts.release(attempt)
            raise outcome
        await self._attempts.succeed(attempt)
        return outcome

    async def _try(self, token_hash: str, purposes: Sequence[str]) -> Challenge | None:
        now = utc_now()
        async with self._database.unscoped_write() as unit:
            directory = ChallengeDirectory(unit.session)
            await directory.prune_in_any_tenant(now, _PRUNED)
            return await directory.try_in_any_tenant(token_hash, purposes, now, TRIES)
