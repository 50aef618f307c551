"""The rules of forgotten passwords: asking for a letter, and choosing a new one with the link in it."""

import re
from typing import Any, Final

from db.models.identity import User
from db.repositories.link_tokens import LinkTokenRepository
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from deployments.identity.contracts import TENANT_ID, ForgotPassword
from deployments.identity.letters import Letters
from deployments.identity.service import link_tokens, open_sessions, verification
from deployments.identity.service.link_tokens import Found, Purpose
from deployments.identity.service.users import normalise_email
from deployments.kit.principal import PLATFORM_TENANT
from eventing.events.accounts import PasswordResetRequested
from eventing.events.envelope import Origin
from eventing.events.identity import PasswordChanged
from eventing.jobs import JobSpec, enqueue
from eventing.outbox import record

RESET: Final = "identity.reset"
_ASKING: Final = "anonymous"


def account_of(command: ForgotPassword) -> tuple[str, str]:
    """The tenant and the e-mail that somebody means, be there such an account or not."""
    return (PLATFORM_TENANT if command.tenant is None else command.tenant, normalise_email(command.email))


async def order(unit: UnitOfWork, origin: Origin, tenant_id: str, email: str) -> None:
    """Have a job look for the account: who asks waits equally long whether or not there is one."""
    payload = {
        "tenant": tenant_id,
        "email": email,
        "request_id": origin.request_id,
        "address": origin.address,
        "user_agent": origin.user_agent,
    }
    await enqueue(unit, JobSpec(RESET, payload, created_by=_ASKING, queue="high"))


def tenant_in(payload: dict[str, Any]) -> str | None:
    """The tenant of an order, or None when it cannot be one."""
    tenant_id = str(payload["tenant"])
    known = tenant_id == PLATFORM_TENANT or re.fullmatch(TENANT_ID, tenant_id) is not None
    return tenant_id if known else None


async def account(unit: UnitOfWork, email: str) -> User | None:
    """The account that gets a letter: an active person of an active tenant."""
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    user = await UserRepository(unit.session, unit.tenant).find_by_email(email)
    if tenant is None or tenant.status != "active" or user is None or user.status != "active":
        return None
    return user


async def write(unit: UnitOfWork, letters: Letters, payload: dict[str, Any], job_id: str) -> None:
    """Order the letter of an order, if there is the account. Once, however often the job runs."""
    user = await account(unit, str(payload["email"]))
    token_id = f"lnk_{job_id.partition('_')[2]}"
    if user is None or await LinkTokenRepository(unit.session, unit.tenant).get(token_id) is not None:
        return
    origin = Origin(*(str(payload[name]) for name in ("request_id", "address", "user_agent")))
    secret = link_tokens.issue(unit, user, Purpose.RESET, user.email, token_id)
    record(unit, PasswordResetRequested(user_id=user.id), actor=_ASKING, origin=origin)
    link = letters.link("reset", secret)
    await letters.order(unit, "password_reset", user.email, by=user.id, name=user.name, link=link)


async def reset(unit: UnitOfWork, letters: Letters, origin: Origin, found: Found, hashed: str) -> str:
    """Keep the hash of the new password and end every session; the person's e-mail. Raises TokenInvalid,
    TenantSuspended."""
    user, _ = await link_tokens.use(unit, found)
    user.password_hash = hashed
    # The letter came to the address that the person says is theirs.
    verification.note_verified(unit, user, origin)
    await open_sessions.end(unit, user.id)
    record(unit, PasswordChanged(user_id=user.id), actor=user.id, origin=origin)
    await tell_changed(unit, letters, user)
    return user.email


async def tell_changed(unit: UnitOfWork, letters: Letters, user: User) -> None:
    """Order the notice of another password and end links that were asked for with the old one."""
    await link_tokens.void(unit, user.id, Purpose.RESET, Purpose.CHANGE)
    await letters.order(unit, "password_changed", user.email, by=user.id, name=user.name)
