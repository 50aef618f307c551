"""U3: one-time codes as a way to log in."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from db.models.factors import Challenge
from db.models.identity import PLATFORM_TENANT, Tenant, User
from db.session import Database
from db.types import utc_now
from deployments.identity import code_desk, code_limits
from deployments.identity.attempts import LIMIT
from deployments.identity.codes import TRIES, OneTimeCodes
from deployments.identity.contracts import ChangePassword, SignedUp
from deployments.identity.deployment import Identity
from deployments.identity.errors import CodeFailed, CodeLimited, LoginLimited, SecondFactorRequired
from deployments.identity.factor_contracts import (
    AnswerChallenge,
    ChallengeSent,
    RequestCode,
    SecondFactorLogIn,
)
from deployments.identity.handlers import SendCode
from deployments.identity.service import challenges as rules
from deployments.identity.service.code_logins import SEND_CODE
from deployments.identity.settings import IdentitySettings
from deployments.kit.errors import TenantSuspended
from deployments.kit.principal import Principal
from deployments.notifications.contracts import SEND_LETTER, SEND_TEXT
from eventing.events.envelope import Origin
from eventing.jobs import JobRun
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, VAULT, RecordedEvents, signup_of
from tests.deployments.identity.mailbag import (
    KNOWN,
    PHONE,
    challenges,
    change,
    code_in,
    enrolled,
    forget_limits,
    jobs,
    letters,
    methods,
    run_orders,
    switch,
    texts,
    with_phone,
)

ASK = RequestCode(tenant="acme", email="Olga@Example.com")


def answer(sent: ChallengeSent, code: str) -> AnswerChallenge:
    return AnswerChallenge(challenge=sent.challenge, code=code)


async def asked(
    identity: Identity, database: Database, settings: IdentitySettings, command: RequestCode = ASK
) -> tuple[ChallengeSent, str]:
    """A challenge and the code that came for it."""
    sent = await identity.request_code(ORIGIN, command)
    await run_orders(database, settings)
    messages: Any = await (letters(database) if command.channel == "email" else texts(database))
    return sent, code_in(messages[-1])


@pytest.fixture
async def open_acme(acme: SignedUp, database: Database) -> SignedUp:
    """The tenant `acme`, where codes let people in."""
    await switch(database, "login_codes")
    return acme


async def test_a_code_by_mail_lets_in_once(
    identity: Identity,
    open_acme: SignedUp,
    database: Database,
    settings: IdentitySettings,
    events: RecordedEvents,
) -> None:
    """U3: six digits, five minutes, single use; neither the code nor the address is kept in the clear."""
    sent, code = await asked(identity, database, settings)

    assert re.fullmatch(r"\d{6}", code)
    assert sent.expires_in == 300
    (row,) = await challenges(database)
    (order,) = await jobs(database, SEND_CODE, PLATFORM_TENANT)
    assert code not in str(row)
    assert sent.challenge not in str(row)
    assert "olga" not in str(order).lower()
    assert "one_time_code" not in str(await jobs(database, SEND_LETTER, "acme"))
    session = await identity.verify_code(ORIGIN, answer(sent, f"{code[:3]} {code[3:]}"))
    principal = await identity.authenticate(session.access_token)
    assert (principal.tenant_id, principal.role) == ("acme", "owner")
    assert methods(identity, session) == ("otp",)
    assert (await events("acme"))[-1].type == "user.logged_in"
    with pytest.raises(CodeFailed):
        await identity.verify_code(ORIGIN, answer(sent, code))


async def test_a_code_by_text_message(
    identity: Identity, owner: Principal, database: Database, settings: IdentitySettings
) -> None:
    """U3: only to a number that was verified."""
    await switch(database, "login_codes")
    command = RequestCode(tenant="acme", email="olga@example.com", channel="sms")
    await identity.request_code(ORIGIN, command)
    await run_orders(database, settings)
    assert await texts(database) == []
    await with_phone(identity, database, owner)
    await forget_limits(database)

    sent, code = await asked(identity, database, settings, command)

    assert (await texts(database))[-1].recipient == PHONE
    assert methods(identity, await identity.verify_code(ORIGIN, answer(sent, code))) == ("sms",)


async def test_five_tries_are_five_under_fifty_at_once(
    identity: Identity,
    open_acme: SignedUp,
    database: Database,
    settings: IdentitySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """U3: a try is used up before the code is looked at, so no number of guesses at once is more than five."""
    sent, code = await asked(identity, database, settings)
    looked_at: list[str] = []
    match = OneTimeCodes.match

    def watched(self: OneTimeCodes, challenge_id: str, code_hash: str | None, guess: str) -> bool:
        looked_at.append(guess)
        return match(self, challenge_id, code_hash, guess)

    monkeypatch.setattr(OneTimeCodes, "match", watched)
    guesses = [f"{number:06}" for number in range(60) if f"{number:06}" != code][:50]

    async def guess(number: int) -> str:
        origin = Origin(address=f"198.51.100.{number}")
        try:
            await identity.verify_code(origin, answer(sent, guesses[number]))
        except (CodeFailed, LoginLimited) as error:
            return error.code
        return "in"

    found = await asyncio.gather(*(guess(number) for number in range(50)))

    assert len(looked_at) == TRIES == 5
    assert found.count("login.code_failed") == LIMIT
    assert found.count("login.limited") == 50 - LIMIT
    await forget_limits(database)
    with pytest.raises(CodeFailed):
        await identity.verify_code(ORIGIN, answer(sent, code))
    assert len(looked_at) == 5


async def test_the_right_code_many_times_at_once_is_one_session(
    identity: Identity, open_acme: SignedUp, database: Database, settings: IdentitySettings, events: RecordedEvents
) -> None:
    """U3: single use holds under concurrency."""
    sent, code = await asked(identity, database, settings)

    outcomes = await asyncio.gather(
        *(identity.verify_code(ORIGIN, answer(sent, code)) for _ in range(8)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(CodeFailed) == 7
    assert [event.type for event in await events("acme")].count("user.logged_in") == 1


@pytest.mark.parametrize(
    ("tenant", "email"),
    [("acme", "nobody@example.com"), ("nowhere", "olga@example.com"), (None, "root@example.com"), ("acme", "x")],
)
async def test_unknown_accounts_answer_and_work_alike(
    identity: Identity,
    open_acme: SignedUp,
    database: Database,
    settings: IdentitySettings,
    tenant: str | None,
    email: str,
) -> None:
    """U3: the answer, the rows, the job and the code are of the same kind; nothing is sent."""
    known = await identity.request_code(ORIGIN, ASK)
    unknown = await identity.request_code(ORIGIN, RequestCode(tenant=tenant, email=email))

    finished = await run_orders(database, settings)

    assert len(known.challenge) == len(unknown.challenge)
    assert known.expires_in == unknown.expires_in
    assert [(job.kind, job.tenant_id, job.attempt, job.error) for job in finished] == [
        (SEND_CODE, PLATFORM_TENANT, 1, None)
    ] * 2
    first, second = await challenges(database)
    assert first.code_hash is not None
    assert second.code_hash is not None
    assert (first.user_id is not None, second.user_id) == (True, None)
    assert len(await letters(database)) == 1
    assert await jobs(database, SEND_LETTER, tenant or PLATFORM_TENANT) == (
        await jobs(database, SEND_LETTER, "acme") if tenant == "acme" else []
    )
    for sent in (known, unknown):
        with pytest.raises(CodeFailed) as caught:
            await identity.verify_code(ORIGIN, answer(sent, "no-code"))
        assert caught.value.detail == CodeFailed.title


@pytest.mark.parametrize("state", ["switched off", "deactivated", "suspended"])
async def test_who_may_not_get_in_gets_no_code(
    identity: Identity, open_acme: SignedUp, database: Database, settings: IdentitySettings, state: str
) -> None:
    """U3: codes let people in only where the tenant wants it; the answer does not tell."""
    changes: dict[str, tuple[Any, dict[str, Any]]] = {
        "switched off": (Tenant, {"settings": {}}),
        "deactivated": (User, {"status": "deactivated"}),
        "suspended": (Tenant, {"status": "suspended"}),
    }
    model, values = changes[state]
    await change(database, model, **values)
    assert (await identity.request_code(ORIGIN, ASK)).expires_in == 300
    await run_orders(database, settings)
    assert await letters(database) == []


async def test_a_code_opens_nothing_once_that_changed(
    identity: Identity, open_acme: SignedUp, database: Database, settings: IdentitySettings
) -> None:
    """U3: what holds is the state at the moment of the answer."""
    sent, code = await asked(identity, database, settings)
    await change(database, Tenant, status="suspended")
    with pytest.raises(TenantSuspended):
        await identity.verify_code(ORIGIN, answer(sent, code))
    await change(database, Tenant, status="active", settings={})
    with pytest.raises(CodeFailed):
        await identity.verify_code(ORIGIN, answer(sent, code))


async def test_a_new_password_makes_codes_worthless(
    identity: Identity, owner: Principal, database: Database, settings: IdentitySettings
) -> None:
    await switch(database, "login_codes")
    sent, code = await asked(identity, database, settings)
    await identity.change_password(owner, ChangePassword(current_password=PASSWORD, new_password="a better battery"))
    with pytest.raises(CodeFailed):
        await identity.verify_code(ORIGIN, answer(sent, code))


async def test_an_expired_code_is_refused(
    identity: Identity,
    open_acme: SignedUp,
    database: Database,
    settings: IdentitySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """U3: five minutes, also where what has ended is not forgotten along the way."""
    monkeypatch.setattr(code_desk, "_PRUNED", 0)
    sent, code = await asked(identity, database, settings)
    (row,) = await challenges(database)
    assert row.expires_at - row.created_at == timedelta(minutes=5)
    await change(database, Challenge, expires_at=utc_now() - timedelta(seconds=1))
    with pytest.raises(CodeFailed):
        await identity.verify_code(ORIGIN, answer(sent, code))


async def test_a_newer_challenge_voids_the_older(
    identity: Identity, open_acme: SignedUp, database: Database, settings: IdentitySettings
) -> None:
    old, old_code = await asked(identity, database, settings)
    await forget_limits(database)
    new, new_code = await asked(identity, database, settings)
    for sent, code in ((old, old_code), (old, new_code)):
        with pytest.raises(CodeFailed):
            await identity.verify_code(ORIGIN, answer(sent, code))
    await identity.verify_code(ORIGIN, answer(new, new_code))


async def test_a_code_belongs_to_its_challenge(
    identity: Identity, open_acme: SignedUp, database: Database, settings: IdentitySettings
) -> None:
    """T5: the same digits open nothing of another person or tenant."""
    await identity.sign_up(ORIGIN, signup_of("other"))
    await switch(database, "login_codes")
    mine = await identity.request_code(ORIGIN, ASK)
    theirs = await identity.request_code(ORIGIN, RequestCode(tenant="other", email="olga@example.com"))
    await run_orders(database, settings)
    (my_code,), (their_code,) = map(code_in, await letters(database)), map(code_in, await letters(database, "other"))
    for sent, code in ((mine, their_code), (theirs, my_code)):
        if my_code != their_code:
            with pytest.raises(CodeFailed):
                await identity.verify_code(ORIGIN, answer(sent, code))
    session = await identity.verify_code(ORIGIN, answer(theirs, their_code))
    assert (await identity.authenticate(session.access_token)).tenant_id == "other"


def test_a_hash_is_worthless_elsewhere(settings: IdentitySettings) -> None:
    """U3: it is bound to its challenge and to the platform's secret, so a row that is copied opens nothing."""
    codes = OneTimeCodes(settings)
    others = OneTimeCodes(IdentitySettings(signing_key="o" * 32))  # type: ignore[arg-type]
    kept = codes.hash("chl_1", "123456")
    assert codes.match("chl_1", kept, "123 456")
    assert not codes.match("chl_2", kept, "123456")
    assert not others.match("chl_1", kept, "123456")
    assert not codes.match("chl_1", None, "123456")


async def test_codes_cannot_be_asked_for_without_end(
    identity: Identity, database: Database, acme: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U3: one in 30 s and five in an hour for an account, known or not; a refusal is not counted."""
    now = utc_now()
    for email in ("olga@example.com", "nobody@example.com"):
        command = RequestCode(tenant="acme", email=email)
        for number in range(code_limits.PER_ACCOUNT):
            moment = now + number * code_limits.PAUSE
            monkeypatch.setattr(code_limits, "utc_now", lambda moment=moment: moment)
            await identity.request_code(ORIGIN, command)
            with pytest.raises(CodeLimited) as caught:
                await identity.request_code(ORIGIN, command)
        monkeypatch.setattr(code_limits, "utc_now", lambda: now + timedelta(minutes=10))
        with pytest.raises(CodeLimited) as caught:
            await identity.request_code(ORIGIN, command)
        assert caught.value.retry_after == pytest.approx(50 * 60, abs=1)
        monkeypatch.setattr(code_limits, "utc_now", lambda: now + timedelta(minutes=61))
        await identity.request_code(ORIGIN, command)


async def test_many_requests_at_once_are_one(identity: Identity, acme: SignedUp, database: Database) -> None:
    outcomes = await asyncio.gather(
        *(identity.request_code(Origin(address=f"198.51.100.{n}"), ASK) for n in range(10)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(CodeLimited) == 9
    assert len(await challenges(database)) == 1


async def test_one_address_cannot_ask_for_everybody(identity: Identity, acme: SignedUp) -> None:
    for number in range(code_limits.PER_ADDRESS):
        await identity.request_code(ORIGIN, RequestCode(tenant="acme", email=f"p{number}@example.com"))
    with pytest.raises(CodeLimited):
        await identity.request_code(ORIGIN, ASK)
    await identity.request_code(replace(ORIGIN, address="203.0.113.1"), ASK)


async def test_an_order_that_is_done_twice_sends_once(
    identity: Identity, open_acme: SignedUp, database: Database, settings: IdentitySettings
) -> None:
    """J1: a worker that died after the commit is repeated."""
    _, code = await asked(identity, database, settings)
    (order,) = await jobs(database, SEND_CODE, PLATFORM_TENANT)

    async def report(done: int, total: int | None) -> bool:
        return False

    again = JobRun(
        tenant_id=order.tenant_id,
        id=order.id,
        payload=order.payload,
        attempt=2,
        created_by="",
        soft_limit_s=5,
        report=report,
    )
    await SendCode(database, settings, VAULT).run(again)

    (letter,) = await letters(database)
    assert code_in(letter) == code
    assert await jobs(database, SEND_TEXT, "acme") == []


async def test_a_code_is_one_factor_only(
    identity: Identity, owner: Principal, database: Database, settings: IdentitySettings
) -> None:
    """U3: whoever has an app is asked for it, also after a code by mail."""
    app, _ = await enrolled(identity, owner)
    await switch(database, "login_codes")
    sent, code = await asked(identity, database, settings)

    with pytest.raises(SecondFactorRequired) as caught:
        await identity.verify_code(ORIGIN, answer(sent, code))

    assert caught.value.members["methods"] == ["totp", "recovery"]
    shown = SecondFactorLogIn(challenge=caught.value.members["challenge"], method="totp", code=app.code(1))
    assert methods(identity, await identity.show_second_factor(ORIGIN, shown)) == ("otp", "mfa")


async def test_one_mailbox_is_not_two_factors(
    identity: Identity, owner: Principal, database: Database, settings: IdentitySettings
) -> None:
    """U3: whose second factor is the mail logs in with the password."""
    await identity.add_code_factor(owner, "email", KNOWN)
    await switch(database, "login_codes")
    await identity.request_code(ORIGIN, ASK)
    await run_orders(database, settings)
    assert [letter.template for letter in await letters(database)] == ["factor_added"]


async def test_challenges_that_ended_are_forgotten(identity: Identity, open_acme: SignedUp, database: Database) -> None:
    await identity.request_code(ORIGIN, ASK)
    await change(database, Challenge, expires_at=utc_now() - timedelta(minutes=1))
    await identity.request_code(ORIGIN, RequestCode(tenant="acme", email="nobody@example.com"))
    assert len(await challenges(database)) == 1


def test_every_purpose_is_another() -> None:
    assert len({rules.LOGIN_CODE, rules.SECOND_FACTOR, rules.SETUP, rules.PHONE}) == 4
