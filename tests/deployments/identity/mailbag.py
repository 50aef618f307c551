"""What identity orders to be sent, as the jobs that send it would see it, and people with second factors."""

import re
from collections.abc import Sequence
from typing import Any

import pyotp
from sqlalchemy import delete, select, update
from sqlmodel import col

from db.models.accounts import LoginAttempts
from db.models.factors import Challenge, SecondFactor
from db.models.identity import PLATFORM_TENANT, Tenant
from db.models.jobs import Job
from db.session import Database
from db.types import utc_now
from deployments.identity.contracts import Session
from deployments.identity.deployment import Identity
from deployments.identity.factor_contracts import AnswerChallenge, ConfirmTotp, CurrentPassword, PutPhone
from deployments.identity.handlers import SendCode
from deployments.identity.service.code_logins import SEND_CODE
from deployments.identity.settings import IdentitySettings
from deployments.kit.principal import Principal
from deployments.notifications.contracts import SEND_LETTER, SEND_TEXT, Letter, TextMessage
from deployments.notifications.message import render
from tests.deployments.identity.conftest import PASSWORD, VAULT
from tests.eventing.jobs import harness

PHONE = "+14155552671"
KNOWN = CurrentPassword(current_password=PASSWORD)


async def jobs(database: Database, kind: str, tenant_id: str) -> Sequence[Job]:
    """Jobs of a kind that a tenant has, oldest first."""
    async with database.read(tenant_id) as unit:
        query = select(Job).where(col(Job.tenant_id) == tenant_id, col(Job.kind) == kind).order_by(col(Job.id))
        return (await unit.session.scalars(query)).all()


async def letters(database: Database, tenant_id: str = "acme") -> list[Letter]:
    """Every letter about factors ordered so far; each can be rendered."""
    ordered = [Letter.unsealed(VAULT, job.payload) for job in await jobs(database, SEND_LETTER, tenant_id)]
    for letter in ordered:
        assert render(letter.template, letter.values).subject
    # Of signing up and of being locked out other tests tell.
    return [letter for letter in ordered if letter.template not in ("email_verification", "account_locked")]


async def texts(database: Database, tenant_id: str = "acme") -> list[TextMessage]:
    """Every text message ordered so far."""
    return [TextMessage.unsealed(VAULT, job.payload) for job in await jobs(database, SEND_TEXT, tenant_id)]


def code_in(message: Letter | TextMessage) -> str:
    """The code that somebody gets."""
    if isinstance(message, Letter):
        assert message.template == "one_time_code"
        return message.values["code"]
    found = re.match(r"(\d{6}) is your Formstream code", message.text)
    assert found is not None
    return found[1]


async def run_orders(database: Database, settings: IdentitySettings) -> list[Job]:
    """Let the worker do every order for a code; they all succeed."""
    orders = await jobs(database, SEND_CODE, PLATFORM_TENANT)
    kinds = SendCode(database, settings, VAULT).kinds()
    async with harness.serving(database, *kinds, queues={"high": 2}):
        return [await harness.reaches(database, order.id, "succeeded") for order in orders]


async def change(database: Database, model: Any, **values: Any) -> None:
    """Change every row of a table."""
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(model).values(**values))


async def switch(database: Database, *features: str) -> None:
    """Switch features on, in every tenant."""
    await change(database, Tenant, settings={"features": dict.fromkeys(features, True)})


async def forget_limits(database: Database) -> None:
    """Let the windows of all limits end."""
    async with database.unscoped_write() as unit:
        await unit.session.execute(delete(LoginAttempts))


async def challenges(database: Database) -> Sequence[Challenge]:
    """Every challenge, oldest first."""
    async with database.unscoped_read() as unit:
        return (await unit.session.scalars(select(Challenge).order_by(col(Challenge.id)))).all()


class App:
    """An authenticator app that knows a secret."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)

    def code(self, steps: int = 0) -> str:
        """The code of now, or of so many time steps later."""
        return self._totp.at(utc_now(), counter_offset=steps)


async def enrolled(identity: Identity, principal: Principal) -> tuple[App, list[str]]:
    """The app and the recovery codes of somebody who sets TOTP up."""
    app = App((await identity.start_totp(principal, KNOWN)).secret)
    confirmed = await identity.confirm_totp(principal, ConfirmTotp(code=app.code()))
    return app, confirmed.recovery_codes


async def with_phone(identity: Identity, database: Database, principal: Principal, phone: str = PHONE) -> None:
    """Verify a telephone number."""
    sent = await identity.put_phone(principal, PutPhone(phone=phone, current_password=PASSWORD))
    code = code_in((await texts(database, principal.tenant_id))[-1])
    await identity.verify_phone(principal, AnswerChallenge(challenge=sent.challenge, code=code))


async def next_step(database: Database) -> None:
    """As if the time step of the last code were over."""
    await change(database, SecondFactor, last_step=None)


def methods(identity: Identity, session: Session) -> tuple[str, ...]:
    """How the holder of a session logged in."""
    return identity._tokens.read(session.access_token).amr
