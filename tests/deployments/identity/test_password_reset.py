"""U1: a forgotten password is chosen anew with a letter, and nobody learns from it who has an account."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from db.session import Database
from deployments.identity import letter_limits
from deployments.identity.attempts import LIMIT
from deployments.identity.contracts import (
    ChangePassword,
    CreateUser,
    ForgotPassword,
    Refresh,
    ResetPassword,
    SignedUp,
    UpdateUser,
)
from deployments.identity.deployment import Identity
from deployments.identity.errors import LoginFailed, TokenInvalid, TooManyLetters
from deployments.identity.passwords import Passwords
from deployments.kit.errors import DomainError, Invalid, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.events.envelope import Origin
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, RecordedEvents, login_of, signup_of
from tests.deployments.identity.letterbox import Letterbox

FRESH = "another horse battery"


def forgot(tenant: str | None = "acme", email: str = "olga@example.com") -> ForgotPassword:
    return ForgotPassword(tenant=tenant, email=email)


async def _asked(identity: Identity, box: Letterbox, command: ForgotPassword | None = None) -> str:
    """The token of a reset letter."""
    await identity.forgot_password(ORIGIN, command or forgot())
    await box.work((await box.jobs("identity.reset"))[-1])
    return await box.token("password_reset")


async def test_the_letter_opens_the_account_again(
    identity: Identity, acme: SignedUp, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U1, N3: a new password, every session ended, the lock-out forgotten, the address verified, a notice."""
    box = Letterbox(database)
    for number in range(LIMIT):
        with pytest.raises(LoginFailed):
            await identity.log_in(Origin(address=f"192.0.2.{number}"), login_of("acme", password="wrong password"))
    token = await _asked(identity, box)
    (letter,) = await box.letters(template="password_reset")
    assert letter.recipient == "olga@example.com"

    await identity.reset_password(ORIGIN, ResetPassword(token=token, new_password=FRESH))

    with pytest.raises(Unauthenticated):
        await identity.authenticate(acme.access_token)
    with pytest.raises(Unauthenticated):
        await identity.refresh(ORIGIN, Refresh(refresh_token=acme.refresh_token))
    session = await identity.log_in(ORIGIN, login_of("acme", password=FRESH))
    me = await identity.me(await identity.authenticate(session.access_token))
    assert me.user is not None
    assert me.user.email_verified_at is not None
    with pytest.raises(LoginFailed):
        await identity.log_in(ORIGIN, login_of("acme"))
    assert [letter.recipient for letter in await box.letters(template="password_changed")] == ["olga@example.com"]
    recorded = await events("acme")
    kinds = [event.type for event in recorded]
    assert kinds.count("user.password_reset_requested") == kinds.count("user.password_changed") == 1
    assert not [event for event in recorded if token in event.envelope or FRESH in event.envelope]


async def test_asking_costs_the_same_for_every_account(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U1: the same statements and one job each, whether there is a tenant, an account, or neither."""
    ada = CreateUser(email="ada@example.com", password=PASSWORD, name="Ada")
    gone = await identity.create_user(owner, ada)
    await identity.update_user(owner, gone.id, UpdateUser(status="deactivated"))
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    asked = [forgot(), forgot(email="nobody@example.com"), forgot("nowhere"), forgot(email=ada.email), forgot("../x")]
    costs = []
    event.listen(database.writer.sync_engine, "before_cursor_execute", note)
    try:
        for number, command in enumerate(asked):
            statements.clear()
            await identity.forgot_password(Origin(address=f"192.0.2.{number}"), command)
            costs.append(list(statements))
    finally:
        event.remove(database.writer.sync_engine, "before_cursor_execute", note)

    assert costs[0]
    assert all(cost == costs[0] for cost in costs)
    box = Letterbox(database)
    jobs = await box.jobs("identity.reset")
    assert [(job.tenant_id, job.queue) for job in jobs] == [(PLATFORM_TENANT, "high")] * len(asked)
    assert {tuple(sorted(job.payload)) for job in jobs} == {
        ("address", "email", "request_id", "tenant", "user_agent"),
    }
    assert await box.letters(template="password_reset") == []


async def test_only_an_account_that_can_be_used_gets_a_letter(
    identity: Identity, owner: Principal, administrator: Principal, database: Database, events: RecordedEvents
) -> None:
    ada = await identity.create_user(owner, CreateUser(email="ada@example.com", password=PASSWORD, name="Ada"))
    await identity.update_user(owner, ada.id, UpdateUser(status="deactivated"))
    box = Letterbox(database)
    for command in (
        forgot(email="ada@example.com"),
        forgot(email="nobody@example.com"),
        forgot("nowhere"),
        forgot("%"),
    ):
        await identity.forgot_password(ORIGIN, command)
    await identity.suspend_tenant(administrator, "acme")
    await identity.forgot_password(ORIGIN, forgot())
    for job in await box.jobs("identity.reset"):
        await box.work(job)

    assert await box.letters(template="password_reset") == []
    assert "user.password_reset_requested" not in [event.type for event in await events("acme")]

    await identity.forgot_password(Origin(address="203.0.113.1"), forgot(None, "root@example.com"))
    await box.work((await box.jobs("identity.reset"))[-1])
    assert [letter.recipient for letter in await box.letters(PLATFORM_TENANT, "password_reset")] == ["root@example.com"]


async def test_a_job_that_runs_again_writes_one_letter(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """J: a worker that died after the commit must not send two links."""
    box = Letterbox(database)
    await identity.forgot_password(ORIGIN, forgot())
    (job,) = await box.jobs("identity.reset")
    for attempt in (1, 2):
        await box.work(job, attempt=attempt)
    assert len(await box.letters(template="password_reset")) == 1


async def test_of_twenty_uses_at_once_one_succeeds(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U1: single use is exact under concurrency."""
    token = await _asked(identity, Letterbox(database))

    async def one(number: int) -> str:
        try:
            await identity.reset_password(ORIGIN, ResetPassword(token=token, new_password=f"{FRESH} {number}"))
        except DomainError as error:
            return error.code
        return "done"

    found = await asyncio.gather(*(one(number) for number in range(20)))

    assert sorted(found) == ["done"] + ["token.invalid"] * 19
    assert [event.type for event in await events("acme")].count("user.password_changed") == 1


async def test_a_link_is_spent_on_a_password_that_is_taken_only(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U1: rules for passwords hold here too, and a refusal leaves the link as it was."""
    token = await _asked(identity, Letterbox(database))
    refused = {
        "olga@example.com": "password.personal",
        "OLGA@Example.com": "password.personal",
        "Qwertyuiop": "password.common",
    }
    for password, code in refused.items():
        with pytest.raises(Invalid) as caught:
            await identity.reset_password(ORIGIN, ResetPassword(token=token, new_password=password))
        (fault,) = caught.value.faults
        assert (fault.pointer, fault.code) == ("/new_password", code)
    await identity.reset_password(ORIGIN, ResetPassword(token=token, new_password=FRESH))


async def test_every_other_link_ends_with_the_password(
    identity: Identity, owner: Principal, database: Database
) -> None:
    box = Letterbox(database)
    first = await _asked(identity, box)
    second = await _asked(identity, box)
    await identity.reset_password(ORIGIN, ResetPassword(token=second, new_password=FRESH))
    with pytest.raises(TokenInvalid):
        await identity.reset_password(ORIGIN, ResetPassword(token=first, new_password=FRESH))


async def test_worthless_links_are_told_apart_by_nobody(
    identity: Identity, owner: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: used, meant for something else, of nobody any more, or garbage: one answer, before anything is hashed."""
    box = Letterbox(database)
    used = await _asked(identity, box)
    await identity.reset_password(ORIGIN, ResetPassword(token=used, new_password=FRESH))
    expired = await _asked(identity, box)
    async with database.unscoped_write() as unit:
        await unit.session.execute(text("UPDATE link_token SET expires_at = created_at"))
    await identity.create_user(owner, CreateUser(email="ann@example.com", password=PASSWORD, name="Ann"))
    other = await box.token("email_verification")
    hashed = []

    async def hash_password(_self: Passwords, password: str) -> str:
        hashed.append(password)
        return password

    monkeypatch.setattr(Passwords, "hash", hash_password)
    answers = set()
    for token in (other, used, expired, "garbage", ""):
        with pytest.raises(TokenInvalid) as caught:
            await identity.reset_password(ORIGIN, ResetPassword(token=token, new_password=FRESH))
        answers.add((caught.value.status, caught.value.code, caught.value.detail))
    assert (answers, hashed) == ({(400, "token.invalid", TokenInvalid.title)}, [])


async def test_a_deactivated_person_cannot_use_their_link(
    identity: Identity, owner: Principal, database: Database
) -> None:
    box = Letterbox(database)
    ada = await identity.create_user(owner, CreateUser(email="ada@example.com", password=PASSWORD, name="Ada"))
    token = await _asked(identity, box, forgot(email="ada@example.com"))
    await identity.update_user(owner, ada.id, UpdateUser(status="deactivated"))
    with pytest.raises(TokenInvalid):
        await identity.reset_password(ORIGIN, ResetPassword(token=token, new_password=FRESH))


class TestLimits:
    async def test_an_account_gets_a_few_letters_and_nobody_is_told(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U6: the mailbox of one account is not flooded, from however many addresses; unknown ones count alike."""
        for email in ("olga@example.com", "nobody@example.com"):
            for number in range(letter_limits.PER_ACCOUNT + 3):
                await identity.forgot_password(Origin(address=f"198.51.100.{number}"), forgot(email=email))
        jobs = await Letterbox(database).jobs("identity.reset")
        asked = [job.payload["email"] for job in jobs]
        assert (
            asked
            == ["olga@example.com"] * letter_limits.PER_ACCOUNT + ["nobody@example.com"] * letter_limits.PER_ACCOUNT
        )

    async def test_letters_that_are_not_sent_count_for_who_asks(self, identity: Identity, database: Database) -> None:
        """U6: nobody keeps the platform busy with an account that gets no more letters."""
        for _ in range(letter_limits.PER_ADDRESS):
            await identity.forgot_password(ORIGIN, forgot())
        with pytest.raises(TooManyLetters):
            await identity.forgot_password(ORIGIN, forgot())
        assert len(await Letterbox(database).jobs("identity.reset")) == letter_limits.PER_ACCOUNT

    async def test_an_address_asks_a_few_times(self, identity: Identity, database: Database) -> None:
        """U6: counted before anything is done, so a hundred at once are no more than twenty."""

        async def one(number: int) -> str:
            try:
                await identity.forgot_password(ORIGIN, forgot(email=f"guess{number}@example.com"))
            except TooManyLetters as error:
                return f"after {error.retry_after is not None}"
            return "asked"

        found = await asyncio.gather(*(one(number) for number in range(100)))

        assert (found.count("asked"), found.count("after True")) == (letter_limits.PER_ADDRESS, 80)
        assert len(await Letterbox(database).jobs("identity.reset")) == 20
        await identity.forgot_password(replace(ORIGIN, address="203.0.113.5"), forgot())


async def test_an_ordinary_change_is_told_too(identity: Identity, owner: Principal, database: Database) -> None:
    """N3: whoever did not change their password learns of it."""
    await identity.change_password(owner, ChangePassword(current_password=PASSWORD, new_password=FRESH))
    (letter,) = await Letterbox(database).letters(template="password_changed")
    assert letter.recipient == "olga@example.com"


@pytest.mark.parametrize("password", ["olga@example.com", "OLGA  EXAMPLE.com"])
async def test_a_password_is_not_the_own_address(identity: Identity, password: str) -> None:
    """U1: NIST SP 800-63B."""
    command = signup_of("acme")
    refused = command.model_copy(update={"user": command.user.model_copy(update={"password": password})})
    with pytest.raises(Invalid) as caught:
        await identity.sign_up(ORIGIN, refused)
    (fault,) = caught.value.faults
    assert (fault.pointer, fault.code) == ("/user/password", "password.personal")


async def test_what_is_kept_of_a_request_opens_nothing(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U1: no table holds the link's token in the open."""
    token = await _asked(identity, Letterbox(database))
    async with database.unscoped_read() as unit:
        for table in ("job", "event", "link_token", "audit_entry", "mail"):
            rows = (await unit.session.execute(text(f"SELECT * FROM {table}"))).mappings().all()
            assert token not in json.dumps([dict(row) for row in rows], default=str), table
