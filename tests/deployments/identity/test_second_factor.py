"""U3: logging in with a second factor after the password."""

import asyncio
import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db.models.factors import Challenge
from db.models.identity import Tenant, User
from db.session import Database
from db.types import utc_now
from deployments.identity.attempts import LIMIT
from deployments.identity.codes import TRIES
from deployments.identity.contracts import ChangePassword, Refresh, UpdateUser
from deployments.identity.deployment import Identity
from deployments.identity.errors import (
    CodeFailed,
    CodeLimited,
    LoginFailed,
    LoginLimited,
    SecondFactorRequired,
    SecondFactorSetupRequired,
)
from deployments.identity.factor_contracts import (
    AnswerChallenge,
    ConfirmSetup,
    EnrolTotp,
    FactorProof,
    SecondFactorLogIn,
    SendSecondFactorCode,
)
from deployments.kit.errors import Invalid, TenantSuspended
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, Person, RecordedEvents, login_of, signup_of
from tests.deployments.identity.mailbag import (
    KNOWN,
    App,
    challenges,
    change,
    code_in,
    enrolled,
    forget_limits,
    letters,
    methods,
    next_step,
    switch,
    texts,
    with_phone,
)


async def demanded(identity: Identity, tenant: str = "acme", email: str = "olga@example.com") -> dict[str, Any]:
    """What the right password is answered with."""
    with pytest.raises(SecondFactorRequired) as caught:
        await identity.log_in(ORIGIN, login_of(tenant, email))
    return caught.value.members


def showing(demand: dict[str, Any], method: Any, code: str) -> SecondFactorLogIn:
    return SecondFactorLogIn(challenge=demand["challenge"], method=method, code=code)


async def test_the_password_alone_opens_nothing(identity: Identity, owner: Principal, events: RecordedEvents) -> None:
    """U3: the refusal says how to go on, and survives the way between processes; the session says how it was made."""
    app, _ = await enrolled(identity, owner)
    with pytest.raises(SecondFactorRequired) as caught:
        await identity.log_in(ORIGIN, login_of("acme"))
    came = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (came.status, came.code) == (401, "login.second_factor")
    assert came.members == caught.value.members
    assert came.members["methods"] == ["totp", "recovery"]
    assert came.members["channels"] == []
    assert came.members["expires_in"] == 300
    logins = [event.type for event in await events("acme")].count("user.logged_in")

    session = await identity.show_second_factor(ORIGIN, showing(came.members, "totp", app.code(1)))

    assert methods(identity, session) == ("pwd", "otp", "mfa")
    assert [event.type for event in await events("acme")].count("user.logged_in") == logins + 1
    again = await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))
    assert methods(identity, again) == ("pwd", "otp", "mfa")
    (mine, *_) = (await identity.list_sessions(owner, owner.subject)).data
    assert mine.amr == ["pwd", "otp", "mfa"]


async def test_a_session_by_password_alone_says_so(identity: Identity, owner: Principal) -> None:
    assert methods(identity, await identity.log_in(ORIGIN, login_of("acme"))) == ("pwd",)


async def test_a_code_of_the_app_is_used_once(identity: Identity, owner: Principal) -> None:
    """U3: whoever looks over a shoulder cannot use the code again, nor an older one."""
    app, _ = await enrolled(identity, owner)
    codes = [app.code(1), app.code(), app.code(-1)]
    await identity.show_second_factor(ORIGIN, showing(await demanded(identity), "totp", codes[0]))
    demand = await demanded(identity)
    for replayed in codes:
        with pytest.raises(CodeFailed):
            await identity.show_second_factor(ORIGIN, showing(demand, "totp", replayed))


async def test_one_code_many_times_at_once_is_one_session(
    identity: Identity, owner: Principal, events: RecordedEvents
) -> None:
    app, _ = await enrolled(identity, owner)
    demand = await demanded(identity)
    logins = [event.type for event in await events("acme")].count("user.logged_in")
    shown = showing(demand, "totp", app.code(1))

    outcomes = await asyncio.gather(
        *(identity.show_second_factor(ORIGIN, shown) for _ in range(8)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(CodeFailed) == 7
    assert [event.type for event in await events("acme")].count("user.logged_in") == logins + 1


async def test_a_recovery_code_lets_in_once(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U3: under parallel use too; the person is told, however they spell the code."""
    _, codes = await enrolled(identity, owner)
    shown = showing(await demanded(identity), "recovery", codes[0].upper().replace("-", " "))

    outcomes = await asyncio.gather(
        *(identity.show_second_factor(ORIGIN, shown) for _ in range(8)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(CodeFailed) == 7
    assert (await identity.list_factors(owner)).recovery_codes_left == 9
    assert [event.type for event in await events("acme")].count("user.recovery_code_used") == 1
    (letter,) = [letter for letter in await letters(database) if letter.template == "recovery_code_used"]
    assert letter.values["left"] == "9"
    await forget_limits(database)
    with pytest.raises(CodeFailed):
        await identity.show_second_factor(ORIGIN, showing(await demanded(identity), "recovery", codes[0]))


async def test_codes_by_mail_and_text_message_as_second_factor(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U3: the first factor of a person brings recovery codes."""
    await with_phone(identity, database, owner)
    first = await identity.add_code_factor(owner, "sms", KNOWN)
    second = await identity.add_code_factor(owner, "email", KNOWN)
    assert (len(first.recovery_codes or ()), second.recovery_codes) == (10, None)
    for channel, method in (("email", "otp"), ("sms", "sms")):
        await forget_limits(database)
        demand = await demanded(identity)
        assert (demand["methods"], demand["channels"]) == (["code", "recovery"], ["email", "sms"])
        with pytest.raises(CodeFailed):  # none was sent yet
            await identity.show_second_factor(ORIGIN, showing(demand, "code", "000000"))
        ask = SendSecondFactorCode(challenge=demand["challenge"], channel=channel)
        assert 290 <= (await identity.send_second_factor_code(ORIGIN, ask)).expires_in <= 300
        with pytest.raises(CodeLimited):
            await identity.send_second_factor_code(ORIGIN, ask)
        sent: Any = await (letters(database) if channel == "email" else texts(database))
        session = await identity.show_second_factor(ORIGIN, showing(demand, "code", code_in(sent[-1])))
        assert methods(identity, session) == tuple(dict.fromkeys(("pwd", method, "mfa")))


async def test_a_code_as_second_factor_is_taken_where_codes_are(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U3: the address of one-time codes serves second factors where codes alone let nobody in."""
    await identity.add_code_factor(owner, "email", KNOWN)
    demand = await demanded(identity)
    await identity.send_second_factor_code(ORIGIN, SendSecondFactorCode(challenge=demand["challenge"], channel="email"))
    code = code_in((await letters(database))[-1])
    session = await identity.verify_code(ORIGIN, AnswerChallenge(challenge=demand["challenge"], code=code))
    assert methods(identity, session) == ("pwd", "otp", "mfa")


async def test_a_newer_code_voids_the_older_but_not_the_tries(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U3: asking for codes again and again gives no more than five tries."""
    await identity.add_code_factor(owner, "email", KNOWN)
    demand = await demanded(identity)
    ask = SendSecondFactorCode(challenge=demand["challenge"], channel="email")
    for _ in range(TRIES):
        await forget_limits(database)
        await identity.send_second_factor_code(ORIGIN, ask)
        with pytest.raises(CodeFailed):
            await identity.show_second_factor(ORIGIN, showing(demand, "code", "no-code"))
    code = code_in((await letters(database))[-1])
    with pytest.raises(CodeFailed):
        await identity.show_second_factor(ORIGIN, showing(demand, "code", code))


async def test_a_code_goes_only_where_it_is_a_factor(identity: Identity, owner: Principal) -> None:
    await enrolled(identity, owner)
    demand = await demanded(identity)
    with pytest.raises(Invalid) as caught:
        await identity.send_second_factor_code(
            ORIGIN, SendSecondFactorCode(challenge=demand["challenge"], channel="email")
        )
    assert [fault.pointer for fault in caught.value.faults] == ["/channel"]
    with pytest.raises(CodeFailed):
        await identity.send_second_factor_code(ORIGIN, SendSecondFactorCode(challenge="nothing", channel="email"))


async def test_wrong_codes_count_like_wrong_passwords(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U6: knowing the password does not clear the count; the lock-out is an event and holds for the password too."""
    app, _ = await enrolled(identity, owner)
    for _ in range(LIMIT // TRIES):
        demand = await demanded(identity)
        for _ in range(TRIES):
            with pytest.raises(CodeFailed):
                await identity.show_second_factor(ORIGIN, showing(demand, "totp", "no-code"))

    with pytest.raises(LoginLimited):
        await identity.log_in(Origin(address="203.0.113.9"), login_of("acme"))
    assert [event.type for event in await events("acme")].count("user.locked") == 1
    await forget_limits(database)
    await identity.show_second_factor(ORIGIN, showing(await demanded(identity), "totp", app.code(1)))


async def test_guesses_at_once_are_no_more_than_five(identity: Identity, owner: Principal, database: Database) -> None:
    """U3: fifty at once, from everywhere."""
    app, _ = await enrolled(identity, owner)
    demand = await demanded(identity)

    async def guess(number: int) -> str:
        try:
            await identity.show_second_factor(
                Origin(address=f"198.51.100.{number}"), showing(demand, "totp", "no-code")
            )
        except (CodeFailed, LoginLimited) as error:
            return error.code
        return "in"

    found = await asyncio.gather(*(guess(number) for number in range(50)))

    assert found.count("login.limited") == 50 - LIMIT
    (row,) = await challenges(database)
    assert row.tries == TRIES
    await forget_limits(database)
    with pytest.raises(CodeFailed):
        await identity.show_second_factor(ORIGIN, showing(demand, "totp", app.code(1)))


async def test_a_challenge_ends(identity: Identity, owner: Principal, database: Database) -> None:
    """U3: after five minutes, with the next login, with a new password, with the person's access."""
    app, _ = await enrolled(identity, owner)

    async def fails(demand: dict[str, Any]) -> None:
        with pytest.raises(CodeFailed):
            await identity.show_second_factor(ORIGIN, showing(demand, "totp", app.code(1)))

    old = await demanded(identity)
    await demanded(identity)
    await fails(old)
    expired = await demanded(identity)
    await change(database, Challenge, expires_at=utc_now() - timedelta(seconds=1))
    await fails(expired)
    stolen = await demanded(identity)
    await identity.change_password(owner, ChangePassword(current_password=PASSWORD, new_password="a better battery"))
    await fails(stolen)
    await identity.change_password(owner, ChangePassword(current_password="a better battery", new_password=PASSWORD))
    late = await demanded(identity)
    await change(database, User, status="deactivated")
    await fails(late)
    await change(database, User, status="active")
    await change(database, Tenant, status="suspended")
    with pytest.raises(TenantSuspended):
        await identity.show_second_factor(ORIGIN, showing(late, "totp", app.code(1)))


async def test_a_challenge_is_for_one_person_of_one_tenant(
    identity: Identity, owner: Principal, stranger: Principal, database: Database
) -> None:
    """T5: nobody else's code answers it, though the e-mail is the same."""
    mine, _ = await enrolled(identity, owner)
    theirs, their_codes = await enrolled(identity, stranger)
    await identity.add_code_factor(stranger, "email", KNOWN)
    demand, other = await demanded(identity), await demanded(identity, "other")
    await identity.send_second_factor_code(ORIGIN, SendSecondFactorCode(challenge=other["challenge"], channel="email"))
    code = code_in((await letters(database, "other"))[-1])

    for method, wrong in (("totp", theirs.code(1)), ("recovery", their_codes[0]), ("code", code)):
        with pytest.raises(CodeFailed):
            await identity.show_second_factor(ORIGIN, showing(demand, method, wrong))

    session = await identity.show_second_factor(ORIGIN, showing(demand, "totp", mine.code(1)))
    assert (await identity.authenticate(session.access_token)).tenant_id == "acme"


async def test_a_challenge_of_another_purpose_opens_nothing(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U3: a code that verifies a telephone is no second factor, and the other way round."""
    app, _ = await enrolled(identity, owner)
    demand = await demanded(identity)
    for purpose in ("phone", "setup", "login_code"):
        await change(database, Challenge, purpose=purpose)
        with pytest.raises(CodeFailed):
            await identity.show_second_factor(ORIGIN, showing(demand, "totp", app.code(1)))
    await change(database, Challenge, purpose="second_factor")
    with pytest.raises(CodeFailed):
        await identity.confirm_setup(ORIGIN, ConfirmSetup(challenge=demand["challenge"], code=app.code(1)))
    with pytest.raises(CodeFailed):
        await identity.start_setup(ORIGIN, EnrolTotp(challenge=demand["challenge"]))


async def test_who_has_no_factor_left_needs_none(identity: Identity, owner: Principal, database: Database) -> None:
    _, codes = await enrolled(identity, owner)
    demand = await demanded(identity)
    await identity.remove_factor(owner, "totp", FactorProof(current_password=PASSWORD))
    with pytest.raises(CodeFailed):
        await identity.show_second_factor(ORIGIN, showing(demand, "recovery", codes[0]))
    await identity.log_in(ORIGIN, login_of("acme"))


async def test_a_wrong_password_tells_nothing_of_factors(identity: Identity, owner: Principal) -> None:
    """U6: only whoever knows the password learns that there is a second factor."""
    await enrolled(identity, owner)
    with pytest.raises(LoginFailed) as caught:
        await identity.log_in(ORIGIN, login_of("acme", password="wrong password"))
    assert caught.value.members == {}


async def test_a_tenant_may_require_a_second_factor(
    identity: Identity, owner: Principal, person: Person, database: Database, events: RecordedEvents
) -> None:
    """U3: people without one get in by setting one up, and in no other way."""
    await person("viewer")
    await switch(database, "require_second_factor")
    login = login_of("acme", "viewer@example.com")
    with pytest.raises(SecondFactorSetupRequired) as caught:
        await identity.log_in(ORIGIN, login)
    assert (caught.value.status, caught.value.code) == (401, "login.second_factor_required_setup")
    challenge = caught.value.members["challenge"]
    with pytest.raises(CodeFailed):
        await identity.show_second_factor(ORIGIN, showing({"challenge": challenge}, "totp", "000000"))

    app = App((await identity.start_setup(ORIGIN, EnrolTotp(challenge=challenge))).secret)
    with pytest.raises(CodeFailed):
        await identity.confirm_setup(ORIGIN, ConfirmSetup(challenge=challenge, code="no-code"))
    confirm = ConfirmSetup(challenge=challenge, code=app.code())
    outcomes = await asyncio.gather(
        *(identity.confirm_setup(ORIGIN, confirm) for _ in range(3)), return_exceptions=True
    )

    (made,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(made.recovery_codes) == 10
    assert methods(identity, made) == ("pwd", "otp", "mfa")  # type: ignore[arg-type]
    assert (await identity.authenticate(made.access_token)).role == "viewer"
    assert [event.type for event in await events("acme")].count("user.factor_added") == 1
    await next_step(database)
    demand = await demanded(identity, email="viewer@example.com")
    await identity.show_second_factor(ORIGIN, showing(demand, "totp", app.code()))


async def test_who_has_a_factor_meanwhile_sets_up_no_other(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U3: whoever only knows the password cannot finish a setup beside the factor that the person has by now."""
    await switch(database, "require_second_factor")
    with pytest.raises(SecondFactorSetupRequired) as caught:
        await identity.log_in(ORIGIN, login_of("acme"))
    challenge = caught.value.members["challenge"]
    app = App((await identity.start_setup(ORIGIN, EnrolTotp(challenge=challenge))).secret)
    await identity.add_code_factor(owner, "email", KNOWN)

    with pytest.raises(CodeFailed):
        await identity.start_setup(ORIGIN, EnrolTotp(challenge=challenge))
    with pytest.raises(CodeFailed):
        await identity.confirm_setup(ORIGIN, ConfirmSetup(challenge=challenge, code=app.code()))
    assert [factor.kind for factor in (await identity.list_factors(owner)).data] == ["email"]


async def test_sessions_from_before_say_nothing(identity: Identity, database: Database, owner: Principal) -> None:
    """Sessions that began before the platform noted methods stay valid."""
    session = await identity.log_in(ORIGIN, login_of("acme"))
    async with database.unscoped_write() as unit:
        await unit.session.execute(text("UPDATE refresh_token SET amr = ''"))
    again = await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))
    assert methods(identity, again) == ()
    assert (await identity.authenticate(again.access_token)).subject == owner.subject


async def test_an_update_of_a_person_shows_no_telephone(
    identity: Identity, owner: Principal, person: Person, database: Database
) -> None:
    """R8: numbers are for their owner's eyes."""
    viewer = await person("viewer")
    await with_phone(identity, database, viewer)
    shown = await identity.update_user(owner, viewer.subject, UpdateUser(name="V"))
    assert "+1415" not in shown.model_dump_json()
    await identity.sign_up(ORIGIN, signup_of("third"))


async def test_an_administrator_of_the_platform_has_factors_too(
    identity: Identity, administrator: Principal, owner: Principal
) -> None:
    """U3: the account is the platform's, whichever tenant the administrator works in."""
    app, _ = await enrolled(identity, replace(administrator, tenant_id="acme"))
    assert (await identity.list_factors(owner)).data == []
    with pytest.raises(SecondFactorRequired) as caught:
        await identity.log_in(ORIGIN, login_of(None, "root@example.com"))
    session = await identity.show_second_factor(ORIGIN, showing(caught.value.members, "totp", app.code(1)))
    assert (await identity.authenticate(session.access_token)).role == "administrator"
