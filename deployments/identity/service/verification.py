"""The rules of e-mail addresses: that people get their mail, and how they are changed."""

from sqlalchemy.exc import IntegrityError

from db.models.identity import User
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.contracts import ChangeEmail
from deployments.identity.errors import EmailTaken, EmailUnverified, NotAPerson
from deployments.identity.letters import Letters
from deployments.identity.service import link_tokens
from deployments.identity.service.link_tokens import Found, Purpose
from deployments.identity.service.users import normalise_email
from deployments.identity.settings import IdentitySettings
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.events.accounts import EmailChanged, EmailVerified
from eventing.events.envelope import Origin
from eventing.outbox import record


async def welcome(unit: UnitOfWork, letters: Letters, email: str, *, by: str = "") -> None:
    """Order the verification letter of somebody who was just registered; `by` is who did it, else they themselves."""
    user = await UserRepository(unit.session, unit.tenant).find_by_email(normalise_email(email))
    if user is not None:
        await _order(unit, letters, user, by=by or user.id)


async def unverified(unit: UnitOfWork, principal: Principal) -> User | None:
    """The caller, unless their address is verified. Raises NotAPerson."""
    user = await own(unit, principal)
    return user if user.email_verified_at is None else None


async def resend(unit: UnitOfWork, letters: Letters, principal: Principal) -> None:
    """Order another verification letter; none when the address is verified. Raises NotAPerson."""
    user = await unverified(unit, principal)
    if user is not None:
        await _order(unit, letters, user, by=user.id)


async def request_change(unit: UnitOfWork, letters: Letters, principal: Principal, command: ChangeEmail) -> None:
    """Order a letter to the new address, with the link that makes it the person's. Raises NotAPerson.

    Whether somebody else has the address is said to whoever gets its mail only.
    """
    user = await own(unit, principal)
    email = normalise_email(command.email)
    secret = link_tokens.issue(unit, user, Purpose.CHANGE, email)
    link = letters.link("verify", secret)
    await letters.order(unit, "email_change", email, by=user.id, link=link)


async def verify(unit: UnitOfWork, letters: Letters, origin: Origin, found: Found) -> None:
    """Use the link in a letter. Raises TokenInvalid, TenantSuspended, EmailTaken."""
    user, row = await link_tokens.use(unit, found)
    if row.purpose == Purpose.CHANGE and row.email != user.email:
        await _change(unit, letters, user, row.email, origin)
    else:
        note_verified(unit, user, origin)
        await link_tokens.void(unit, user.id, Purpose.VERIFICATION)


def note_verified(unit: UnitOfWork, user: User, origin: Origin) -> None:
    """The person showed that they get the mail of their address."""
    if user.email_verified_at is None:
        user.email_verified_at = utc_now()
        record(unit, EmailVerified(user_id=user.id, email=user.email), actor=user.id, origin=origin)


def require_verified(settings: IdentitySettings, user: User) -> None:
    """Raise EmailUnverified where a verified address is needed to log in. Operators are known to themselves."""
    if settings.require_verified_email and user.email_verified_at is None and user.tenant_id != PLATFORM_TENANT:
        raise EmailUnverified


async def warn_of_lock(unit: UnitOfWork, letters: Letters, account: User) -> None:
    """Order the letter that tells somebody of the many wrong passwords."""
    await letters.order(unit, "account_locked", account.email, by=account.id, name=account.name)


async def own(unit: UnitOfWork, principal: Principal) -> User:
    """The caller's own row. Raises NotAPerson."""
    user = await UserRepository(unit.session, unit.tenant).get(principal.subject)
    if principal.kind != "user" or user is None:
        raise NotAPerson
    return user


async def _order(unit: UnitOfWork, letters: Letters, user: User, *, by: str) -> None:
    secret = link_tokens.issue(unit, user, Purpose.VERIFICATION, user.email)
    await letters.order(unit, "email_verification", user.email, by=by, link=letters.link("verify", secret))


async def _change(unit: UnitOfWork, letters: Letters, user: User, email: str, origin: Origin) -> None:
    previous = user.email
    try:
        await UserRepository(unit.session, unit.tenant).move(user, email)
    except IntegrityError:
        raise EmailTaken from None
    user.email_verified_at = utc_now()
    # Links in the mails of the old address must not open the account any more.
    await link_tokens.void(unit, user.id, *Purpose)
    fact = EmailChanged(user_id=user.id, email=email, previous_email=previous)
    record(unit, fact, actor=user.id, origin=origin)
    await letters.order(unit, "email_changed", previous, by=user.id, name=user.name, email=email)
