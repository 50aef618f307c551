"""Identity's door: opens the unit of work, calls the rules, returns a contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from db.models.identity import User as UserRow
from db.session import Database
from db.types import utc_now
from deployments.identity.attempts import Attempts
from deployments.identity.code_desk import CodeDesk
from deployments.identity.contracts import (
    ApiKey,
    Captcha,
    ChangeEmail,
    ChangePassword,
    CreateApiKey,
    CreatedApiKey,
    CreateTenant,
    CreateUser,
    FederatedLogin,
    ForgotPassword,
    LogIn,
    Me,
    OpenSession,
    ProviderLogin,
    PublicKey,
    PutCaptcha,
    Refresh,
    ResetPassword,
    Session,
    SignedUp,
    SignUp,
    Tenant,
    UpdateTenant,
    UpdateUser,
    User,
    VerifyEmail,
)
from deployments.identity.credentials import Credentials
from deployments.identity.errors import LoginFailed
from deployments.identity.factor_contracts import (
    AddedFactor,
    AnswerChallenge,
    ChallengeSent,
    CodeSent,
    ConfirmSetup,
    ConfirmTotp,
    CurrentPassword,
    Enrolled,
    EnrolTotp,
    FactorKind,
    FactorProof,
    Factors,
    Phone,
    PutPhone,
    RecoveryCodes,
    RequestCode,
    SecondFactorLogIn,
    SendSecondFactorCode,
    StartedTotp,
)
from deployments.identity.factor_desk import FactorDesk
from deployments.identity.invitation_contracts import (
    AcceptInvitation,
    CreateInvitation,
    FormGrant,
    Invitation,
    InvitationDetails,
    JoinForm,
    LookUpInvitation,
    PutFormGrant,
)
from deployments.identity.letter_limits import LetterLimits
from deployments.identity.letters import Letters
from deployments.identity.passwords import Passwords
from deployments.identity.permissions import PLATFORM_ADMIN
from deployments.identity.phones import normalise_phone
from deployments.identity.public_keys import public_keys
from deployments.identity.service import (
    api_keys,
    captcha,
    federated,
    grants,
    invitations,
    link_tokens,
    open_sessions,
    password_reset,
    password_rules,
    second_factors,
    sessions,
    tenants,
    users,
    verification,
)
from deployments.identity.service.link_tokens import Purpose
from deployments.identity.settings import IdentitySettings
from deployments.kit.contract import Page
from deployments.kit.errors import DomainError, Invalid, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.kit.quotas import QuotaNotices
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin


class Identity(Credentials):
    """Who callers are and what they may do."""

    def __init__(self, database: Database, settings: IdentitySettings, vault: Vault) -> None:
        super().__init__(database, settings, vault)
        self._vault = vault
        self._settings = settings
        self._attempts = Attempts(database)
        self._quotas = QuotaNotices(database)
        self._letters = Letters(vault, settings.public_url)
        self._letter_limits = LetterLimits(database)
        self.passwords = Passwords(concurrency=settings.hash_concurrency, waiting=settings.hash_waiting)
        self._codes = CodeDesk(database, settings, vault, self._tokens, self._attempts)
        self._factors = FactorDesk(database, vault, self._attempts, self.passwords)

    async def signing_keys(self) -> list[PublicKey]:
        await self._ring.refresh(self._database)
        return public_keys(self._ring.accepted(utc_now()))

    async def sign_up(self, origin: Origin, command: SignUp) -> SignedUp:
        tenants.require_signup(self._settings, command)
        password_rules.check(command.user.password, command.user.email, command.user.name, "/user/password")
        await self._ring.refresh(self._database)
        # Hashing takes long, so never while a transaction is open.
        hashed = await self.passwords.hash(command.user.password)
        async with self._database.write(command.tenant.id) as unit:
            signed_up = await tenants.sign_up(unit, self._tokens, self._settings, origin, command, hashed)
            await verification.welcome(unit, self._letters, command.user.email)
            return signed_up

    async def log_in(self, origin: Origin, command: LogIn) -> Session:
        tenant_id = sessions.tenant_of(command)
        await self._ring.refresh(self._database)
        attempt = await self._attempts.start(tenant_id, users.normalise_email(command.email), origin.address)
        account: UserRow | None = None
        try:
            async with self._database.read(tenant_id) as unit:
                account = await sessions.find_account(unit, command)
            proof = await sessions.prove(self.passwords, account, command)
            async with self._database.write(tenant_id) as unit:
                session = await second_factors.log_in(unit, self._tokens, self._settings, origin, proof)
        except LoginFailed:
            if await self._attempts.fail(attempt) and account is not None:
                async with self._database.write(tenant_id) as unit:
                    sessions.note_lock(unit, account, origin)
                    await verification.warn_of_lock(unit, self._letters, account)
            raise
        except BaseException:
            await self._attempts.release(attempt)
            raise
        if isinstance(session, DomainError):
            # Not a success: who knows the password must not clear the count of wrong codes with it.
            await self._attempts.release(attempt)
            raise session
        await self._attempts.succeed(attempt)
        return session

    async def log_in_federated(self, origin: Origin, command: FederatedLogin) -> Session:
        await self._ring.refresh(self._database)
        async with self._database.write(command.tenant_id) as unit:
            return await federated.log_in(unit, self._tokens, self._settings, origin, command)

    async def refresh(self, origin: Origin, command: Refresh) -> Session:
        await self._ring.refresh(self._database)
        async with self._database.unscoped_read() as unit:
            link = await sessions.find_link(unit, command)
        async with self._database.write(link.tenant_id) as unit:
            session = await sessions.rotate(unit, self._tokens, origin, link)
        # Refused after the commit: a rollback would undo the revocation of a stolen family.
        if session is None:
            raise Unauthenticated
        return session

    async def log_out(self, principal: Principal, command: Refresh) -> ProviderLogin | None:
        async with self._database.write(users.home(principal)) as unit:
            return await sessions.log_out(unit, principal, command)

    async def request_code(self, origin: Origin, command: RequestCode) -> ChallengeSent:
        return await self._codes.request(origin, command)

    async def verify_code(self, origin: Origin, command: AnswerChallenge) -> Session:
        await self._ring.refresh(self._database)
        return await self._codes.verify(origin, command)

    async def show_second_factor(self, origin: Origin, command: SecondFactorLogIn) -> Session:
        await self._ring.refresh(self._database)
        return await self._codes.show_factor(origin, command)

    async def send_second_factor_code(self, origin: Origin, command: SendSecondFactorCode) -> CodeSent:
        return await self._codes.send_factor_code(origin, command)

    async def start_setup(self, origin: Origin, command: EnrolTotp) -> StartedTotp:
        return await self._codes.start_setup(command)

    async def confirm_setup(self, origin: Origin, command: ConfirmSetup) -> Enrolled:
        await self._ring.refresh(self._database)
        return await self._codes.confirm_setup(origin, command)

    async def list_factors(self, principal: Principal) -> Factors:
        return await self._factors.list_all(principal)

    async def start_totp(self, principal: Principal, command: CurrentPassword) -> StartedTotp:
        return await self._factors.start_totp(principal, command)

    async def confirm_totp(self, principal: Principal, command: ConfirmTotp) -> RecoveryCodes:
        return await self._factors.confirm_totp(principal, command)

    async def add_code_factor(
        self, principal: Principal, channel: Literal["email", "sms"], command: CurrentPassword
    ) -> AddedFactor:
        return await self._factors.add_codes(principal, channel, command)

    async def remove_factor(self, principal: Principal, kind: FactorKind, proof: FactorProof) -> None:
        await self._factors.remove(principal, kind, proof)

    async def renew_recovery_codes(self, principal: Principal, proof: FactorProof) -> RecoveryCodes:
        return await self._factors.renew_codes(principal, proof)

    async def put_phone(self, principal: Principal, command: PutPhone) -> ChallengeSent:
        phone = normalise_phone(command.phone)
        known = await self._factors.known_hash(principal, command)
        return await self._codes.put_phone(principal, phone, known)

    async def verify_phone(self, principal: Principal, command: AnswerChallenge) -> Phone:
        return await self._codes.verify_phone(principal, command)

    async def remove_phone(self, principal: Principal, proof: FactorProof) -> None:
        await self._factors.remove_phone(principal, proof)

    async def reset_factors(self, principal: Principal, user_id: str) -> None:
        await self._factors.reset(principal, user_id)

    async def me(self, principal: Principal) -> Me:
        async with self._database.read(users.home(principal)) as unit:
            return await users.me(unit, principal)

    async def create_api_key(self, principal: Principal, command: CreateApiKey) -> CreatedApiKey:
        async with self._database.write(principal.tenant_id) as unit:
            return await api_keys.create(unit, principal, command)

    async def list_api_keys(self, principal: Principal, cursor: str | None, limit: int) -> Page[ApiKey]:
        async with self._database.read(principal.tenant_id) as unit:
            return await api_keys.list_all(unit, principal, cursor, limit)

    async def list_form_grants(
        self, principal: Principal, form_id: str, cursor: str | None, limit: int
    ) -> Page[FormGrant]:
        async with self._database.read(principal.tenant_id) as unit:
            return await grants.list_all(unit, principal, form_id, cursor, limit)

    async def put_form_grant(
        self, principal: Principal, form_id: str, user_id: str, command: PutFormGrant
    ) -> FormGrant:
        async with self._database.write(principal.tenant_id) as unit:
            return await grants.put(unit, principal, form_id, user_id, command)

    async def delete_form_grant(self, principal: Principal, form_id: str, user_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await grants.remove(unit, principal, form_id, user_id)

    async def revoke_api_key(self, principal: Principal, api_key_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await api_keys.revoke(unit, principal, api_key_id)

    async def create_user(self, principal: Principal, command: CreateUser) -> User:
        users.require_creation(principal, command)
        password_rules.check(command.password, command.email, command.name, "/password")
        hashed = await self.passwords.hash(command.password)
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            created = await users.create(unit, principal, command, hashed)
            await verification.welcome(unit, self._letters, created.email, by=principal.subject)
            return created

    async def list_users(self, principal: Principal, cursor: str | None, limit: int) -> Page[User]:
        async with self._database.read(principal.tenant_id) as unit:
            return await users.list_all(unit, principal, cursor, limit)

    async def get_user(self, principal: Principal, user_id: str) -> User:
        async with self._database.read(principal.tenant_id) as unit:
            return await users.get(unit, principal, user_id)

    async def update_user(self, principal: Principal, user_id: str, command: UpdateUser) -> User:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return await users.update(unit, principal, user_id, command)

    async def change_password(self, principal: Principal, command: ChangePassword) -> None:
        home = users.home(principal)
        async with self._knowing(principal, command.current_password) as known:
            async with self._database.read(home) as unit:
                await password_rules.check_of(unit, principal.subject, command.new_password, "/new_password")
            fresh = await self.passwords.hash(command.new_password)
            async with self._database.write(home) as unit:
                await users.change_password(unit, principal, known, fresh)
                await password_reset.tell_changed(unit, self._letters, await verification.own(unit, principal))

    async def verify_email(self, origin: Origin, command: VerifyEmail) -> None:
        async with self._database.unscoped_read() as unit:
            found = await link_tokens.find(unit, command.token, Purpose.VERIFICATION, Purpose.CHANGE)
        async with self._database.write(found.tenant_id) as unit:
            await verification.verify(unit, self._letters, origin, found)

    async def resend_verification(self, principal: Principal) -> None:
        home = users.home(principal)
        async with self._database.read(home) as unit:
            account = await verification.unverified(unit, principal)
        if account is None:
            return
        await self._letter_limits.require(home, account.email, account.id)
        async with self._database.write(home) as unit:
            await verification.resend(unit, self._letters, principal)

    async def change_email(self, principal: Principal, command: ChangeEmail) -> None:
        home = users.home(principal)
        async with self._knowing(principal, command.current_password):
            await self._letter_limits.require(home, users.normalise_email(command.email), principal.subject)
            async with self._database.write(home) as unit:
                await verification.request_change(unit, self._letters, principal, command)

    async def forgot_password(self, origin: Origin, command: ForgotPassword) -> None:
        tenant_id, email = password_reset.account_of(command)
        if await self._letter_limits.allows(tenant_id, email, origin.address):
            async with self._database.write(PLATFORM_TENANT) as unit:
                await password_reset.order(unit, origin, tenant_id, email)

    async def reset_password(self, origin: Origin, command: ResetPassword) -> None:
        async with self._database.unscoped_read() as unit:
            found = await link_tokens.find(unit, command.token, Purpose.RESET)
        async with self._database.read(found.tenant_id) as unit:
            await password_rules.check_of(unit, found.user_id, command.new_password, "/new_password")
        hashed = await self.passwords.hash(command.new_password)
        async with self._database.write(found.tenant_id) as unit:
            email = await password_reset.reset(unit, self._letters, origin, found, hashed)
        await self._attempts.forgive(found.tenant_id, email)

    async def create_invitation(self, principal: Principal, command: CreateInvitation) -> Invitation:
        invitations.require_creation(principal, command)
        await self._letter_limits.require_invitation(principal.tenant_id, users.normalise_email(command.email))
        async with self._database.write(principal.tenant_id) as unit:
            return await invitations.create(unit, self._letters, principal, command)

    async def list_invitations(self, principal: Principal, cursor: str | None, limit: int) -> Page[Invitation]:
        async with self._database.read(principal.tenant_id) as unit:
            return await invitations.list_all(unit, principal, cursor, limit)

    async def resend_invitation(self, principal: Principal, invitation_id: str) -> Invitation:
        async with self._database.read(principal.tenant_id) as unit:
            email = await invitations.recipient(unit, principal, invitation_id)
        await self._letter_limits.require_invitation(principal.tenant_id, email)
        async with self._database.write(principal.tenant_id) as unit:
            return await invitations.resend(unit, self._letters, principal, invitation_id)

    async def revoke_invitation(self, principal: Principal, invitation_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await invitations.revoke(unit, principal, invitation_id)

    async def look_up_invitation(self, command: LookUpInvitation) -> InvitationDetails:
        async with self._database.unscoped_read() as unit:
            found = await invitations.find(unit, command.token)
        async with self._database.read(found.tenant_id) as unit:
            return await invitations.look_up(unit, found)

    async def accept_invitation(self, origin: Origin, command: AcceptInvitation) -> Session:
        await self._ring.refresh(self._database)
        async with self._database.unscoped_read() as unit:
            found = await invitations.find(unit, command.token)
        async with self._database.read(found.tenant_id) as unit:
            email = await invitations.email_of(unit, found)
        password_rules.check(command.password, email, command.name, "/password")
        hashed = await self.passwords.hash(command.password)
        async with self._database.write(found.tenant_id) as unit:
            return await invitations.accept(unit, self._tokens, self._settings, origin, found, command, hashed)

    async def join_form(self, principal: Principal, command: JoinForm) -> FormGrant:
        async with self._database.unscoped_read() as unit:
            found = await invitations.find(unit, command.token)
        async with self._database.write(principal.tenant_id) as unit:
            return await invitations.join(unit, principal, found)

    async def list_sessions(self, principal: Principal, user_id: str) -> Page[OpenSession]:
        async with self._database.read(self._home_of(principal, user_id)) as unit:
            return await open_sessions.list_all(unit, principal, user_id)

    async def revoke_session(self, principal: Principal, user_id: str, session_id: str) -> None:
        async with self._database.write(self._home_of(principal, user_id)) as unit:
            await open_sessions.revoke(unit, principal, user_id, session_id)

    async def revoke_sessions(self, principal: Principal, user_id: str) -> None:
        async with self._database.write(self._home_of(principal, user_id)) as unit:
            await open_sessions.revoke_all(unit, principal, user_id)

    @staticmethod
    def _home_of(principal: Principal, user_id: str) -> str:
        return users.home(principal) if user_id == principal.subject else principal.tenant_id

    async def create_tenant(self, principal: Principal, command: CreateTenant) -> Tenant:
        principal.require(PLATFORM_ADMIN)
        owner = command.owner
        if owner is not None:
            password_rules.check(owner.password, owner.email, owner.name, "/owner/password")
        hashed = None if owner is None else await self.passwords.hash(owner.password)
        async with self._database.write(command.id) as unit:
            tenant = await tenants.create(unit, principal, command, hashed)
            if owner is not None:
                await verification.welcome(unit, self._letters, owner.email, by=principal.subject)
            return tenant

    async def list_tenants(self, principal: Principal, cursor: str | None, limit: int) -> Page[Tenant]:
        async with self._database.unscoped_read() as unit:
            return await tenants.list_all(unit, principal, cursor, limit)

    async def get_tenant(self, principal: Principal, tenant_id: str) -> Tenant:
        async with self._database.read(tenants.reachable(principal, tenant_id)) as unit:
            return await tenants.get(unit, principal)

    async def update_tenant(self, principal: Principal, tenant_id: str, command: UpdateTenant) -> Tenant:
        async with self._database.write(tenants.reachable(principal, tenant_id)) as unit:
            return await tenants.update(unit, principal, command)

    async def suspend_tenant(self, principal: Principal, tenant_id: str) -> Tenant:
        async with self._database.write(tenants.reachable(principal, tenant_id)) as unit:
            return await tenants.suspend(unit, principal)

    async def resume_tenant(self, principal: Principal, tenant_id: str) -> Tenant:
        async with self._database.write(tenants.reachable(principal, tenant_id)) as unit:
            return await tenants.resume(unit, principal)

    async def delete_tenant(self, principal: Principal, tenant_id: str) -> Tenant:
        async with self._database.write(tenants.reachable(principal, tenant_id)) as unit:
            return await tenants.delete(unit, principal, self._settings)

    async def get_captcha(self, principal: Principal) -> Captcha:
        async with self._database.read(principal.tenant_id) as unit:
            return await captcha.get(unit, principal)

    async def put_captcha(self, principal: Principal, command: PutCaptcha) -> Captcha:
        async with self._database.write(principal.tenant_id) as unit:
            return await captcha.put(unit, principal, command, self._vault)

    async def remove_captcha(self, principal: Principal) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await captcha.remove(unit, principal)

    @asynccontextmanager
    async def _knowing(self, principal: Principal, password: str) -> AsyncIterator[str]:
        """The caller's password hash, once they have shown that they know the password; counted like a login."""
        home = users.home(principal)
        attempt = await self._attempts.start(home, principal.subject, principal.origin.address)
        try:
            async with self._database.read(home) as unit:
                known = await users.own_hash(unit, principal)
            if not await self.passwords.verify(known, password):
                raise LoginFailed
            yield known
        except LoginFailed:
            await self._attempts.fail(attempt)
            raise Invalid.at("/current_password", "password.wrong", "this is not the current password") from None
        except BaseException:
            await self._attempts.release(attempt)
            raise
        await self._attempts.succeed(attempt)
