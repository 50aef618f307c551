"""U1: people show that an e-mail address is theirs, and change it, by links in letters."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db.session import Database
from deployments.identity import letter_limits
from deployments.identity.contracts import (
    ChangeEmail,
    ChangePassword,
    CreateUser,
    ForgotPassword,
    LogIn,
    ResetPassword,
    VerifyEmail,
)
from deployments.identity.deployment import Identity
from deployments.identity.errors import (
    EmailTaken,
    EmailUnverified,
    LoginFailed,
    NotAPerson,
    TokenInvalid,
    TooManyLetters,
)
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import fingerprint
from deployments.kit.errors import DomainError, Invalid, TenantSuspended
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import (
    ORIGIN,
    PASSWORD,
    VAULT,
    Person,
    RecordedEvents,
    login_of,
    signup_of,
)
from tests.deployments.identity.letterbox import Letterbox

ADDRESS = "ada@elsewhere.example"


async def _outcomes(count: int, call: Callable[[], Awaitable[object]]) -> list[str]:
    async def one() -> str:
        try:
            await call()
        except DomainError as error:
            return error.code
        return "done"

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_whoever_signs_up_verifies_their_address(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U1: the letter's link works once; what is kept of it opens nothing."""
    box = Letterbox(database)
    (letter,) = await box.letters()
    assert (letter.template, letter.recipient, letter.locale) == ("email_verification", "olga@example.com", "en")
    token = await box.token("email_verification")
    me = await identity.get_user(owner, owner.subject)
    assert me.email_verified_at is None

    await identity.verify_email(ORIGIN, VerifyEmail(token=token))

    me = await identity.get_user(owner, owner.subject)
    assert me.email_verified_at is not None
    (event,) = [event for event in await events("acme") if event.type == "user.email_verified"]
    assert token not in event.envelope
    async with database.unscoped_read() as unit:
        rows = (await unit.session.execute(text("SELECT token_hash, purpose, email FROM link_token"))).all()
    assert rows == [(fingerprint(token), "email_verification", "olga@example.com")]
    with pytest.raises(TokenInvalid):
        await identity.verify_email(ORIGIN, VerifyEmail(token=token))


async def test_of_twenty_uses_at_once_one_succeeds(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U1: single use is exact under concurrency."""
    token = await Letterbox(database).token("email_verification")

    found = await _outcomes(20, lambda: identity.verify_email(ORIGIN, VerifyEmail(token=token)))

    assert sorted(found) == ["done"] + ["token.invalid"] * 19
    assert [event.type for event in await events("acme")].count("user.email_verified") == 1


async def test_worthless_links_are_told_apart_by_nobody(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U1: used, expired, for something else, or garbage: one answer."""
    box = Letterbox(database)
    await identity.forgot_password(ORIGIN, ForgotPassword(tenant="acme", email="olga@example.com"))
    (job,) = await box.jobs("identity.reset")
    await box.work(job)
    reset = await box.token("password_reset")
    used = await box.token("email_verification")
    await identity.verify_email(ORIGIN, VerifyEmail(token=used))
    await identity.create_user(owner, CreateUser(email="ann@example.com", password=PASSWORD, name="Ann"))
    expired = await box.token("email_verification")
    async with database.unscoped_write() as unit:
        ended = "UPDATE link_token SET expires_at = created_at WHERE used_at IS NULL AND purpose = 'email_verification'"
        await unit.session.execute(text(ended))
    answers = set()
    for token in (used, expired, reset, "garbage", "", "fsl_" + "A" * 43):
        with pytest.raises(TokenInvalid) as caught:
            await identity.verify_email(ORIGIN, VerifyEmail(token=token))
        answers.add((caught.value.status, caught.value.code, caught.value.detail, caught.value.faults))
    assert answers == {(400, "token.invalid", TokenInvalid.title, ())}


async def test_people_who_are_added_get_a_letter_in_the_tenants_language(
    identity: Identity, owner: Principal, database: Database
) -> None:
    async with database.write("acme") as unit:
        await unit.session.execute(text("UPDATE tenant SET settings = :s"), {"s": '{"locale": "de-AT"}'})

    await identity.create_user(owner, CreateUser(email="ann@example.com", password=PASSWORD, name="Ann"))

    letter = (await Letterbox(database).letters(template="email_verification"))[-1]
    assert (letter.recipient, letter.locale) == ("ann@example.com", "de-AT")


async def test_another_letter_can_be_asked_for_a_few_times(
    identity: Identity, owner: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: five an hour; none once the address is verified."""
    box = Letterbox(database)
    monkeypatch.setattr(letter_limits, "PER_ACCOUNT", 2)
    for _ in range(2):
        await identity.resend_verification(owner)
    with pytest.raises(TooManyLetters) as caught:
        await identity.resend_verification(owner)
    assert caught.value.retry_after is not None
    assert len(await box.letters(template="email_verification")) == 3

    await identity.verify_email(ORIGIN, VerifyEmail(token=await box.token("email_verification")))
    await identity.resend_verification(owner)

    assert len(await box.letters(template="email_verification")) == 3


async def test_a_login_can_need_a_verified_address(database: Database) -> None:
    """U1: the reason is told to whoever knew the password, and to nobody else."""
    settings = IdentitySettings(signing_key="k" * 32, require_verified_email=True)
    identity = Identity(database, settings, VAULT)
    await identity.sign_up(ORIGIN, signup_of("acme"))

    with pytest.raises(LoginFailed):
        await identity.log_in(ORIGIN, login_of("acme", password="wrong password"))
    with pytest.raises(EmailUnverified):
        await identity.log_in(ORIGIN, login_of("acme"))
    await identity.verify_email(ORIGIN, VerifyEmail(token=await Letterbox(database).token("email_verification")))

    assert (await identity.log_in(ORIGIN, login_of("acme"))).access_token


class TestChange:
    async def test_the_new_address_has_to_be_shown_first(
        self, identity: Identity, owner: Principal, database: Database, events: RecordedEvents
    ) -> None:
        """U1: nothing changes until the link in the letter to the new address is used; the old one gets a notice."""
        box = Letterbox(database)
        await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password=PASSWORD))
        assert (await identity.get_user(owner, owner.subject)).email == "olga@example.com"
        (letter,) = await box.letters(template="email_change")
        assert letter.recipient == ADDRESS

        await identity.verify_email(ORIGIN, VerifyEmail(token=await box.token("email_change")))

        changed = await identity.get_user(owner, owner.subject)
        assert changed.email == ADDRESS
        assert changed.email_verified_at is not None
        (notice,) = await box.letters(template="email_changed")
        assert (notice.recipient, notice.values["email"]) == ("olga@example.com", ADDRESS)
        assert "user.email_changed" in [event.type for event in await events("acme")]
        assert (await identity.log_in(ORIGIN, LogIn(tenant="acme", email=ADDRESS, password=PASSWORD))).access_token
        with pytest.raises(LoginFailed):
            await identity.log_in(ORIGIN, login_of("acme"))

    async def test_links_in_letters_to_the_old_address_end(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U1: whoever reads the old mailbox must not get into the account."""
        box = Letterbox(database)
        await identity.forgot_password(ORIGIN, ForgotPassword(tenant="acme", email="olga@example.com"))
        await box.work((await box.jobs("identity.reset"))[0])
        await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password=PASSWORD))
        await identity.verify_email(ORIGIN, VerifyEmail(token=await box.token("email_change")))

        with pytest.raises(TokenInvalid):
            await identity.verify_email(ORIGIN, VerifyEmail(token=await box.token("email_verification")))
        command = ResetPassword(token=await box.token("password_reset"), new_password="a new horse battery")
        with pytest.raises(TokenInvalid):
            await identity.reset_password(ORIGIN, command)

    async def test_one_change_ends_the_others(self, identity: Identity, owner: Principal, database: Database) -> None:
        """U1: a link to an address that was given up does not bring it back."""
        box = Letterbox(database)
        await identity.change_email(owner, ChangeEmail(email="typo@elsewhere.example", current_password=PASSWORD))
        first = await box.token("email_change")
        await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password=PASSWORD))
        await identity.verify_email(ORIGIN, VerifyEmail(token=await box.token("email_change")))
        with pytest.raises(TokenInvalid):
            await identity.verify_email(ORIGIN, VerifyEmail(token=first))

    async def test_to_the_same_address_it_is_a_verification(
        self, identity: Identity, owner: Principal, database: Database, events: RecordedEvents
    ) -> None:
        await identity.change_email(owner, ChangeEmail(email="OLGA@example.com", current_password=PASSWORD))
        await identity.verify_email(ORIGIN, VerifyEmail(token=await Letterbox(database).token("email_change")))
        kinds = [event.type for event in await events("acme")]
        assert ("user.email_verified" in kinds, "user.email_changed" in kinds) == (True, False)

    async def test_a_link_proves_the_address_it_went_to(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U1: however the address came to be another one."""
        token = await Letterbox(database).token("email_verification")
        async with database.write("acme") as unit:
            await unit.session.execute(text("UPDATE user_account SET email = 'moved@example.com'"))
        with pytest.raises(TokenInvalid):
            await identity.verify_email(ORIGIN, VerifyEmail(token=token))

    async def test_a_new_password_ends_a_change_that_waits(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U1: whoever knew the old password cannot take the account along."""
        await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password=PASSWORD))
        change = ChangePassword(current_password=PASSWORD, new_password="a new horse battery")
        await identity.change_password(owner, change)

        token = await Letterbox(database).token("email_change")
        with pytest.raises(TokenInvalid):
            await identity.verify_email(ORIGIN, VerifyEmail(token=token))

    async def test_an_address_that_somebody_has_is_refused_to_its_reader_only(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U1: asking tells a member nothing about the tenant's people."""
        await identity.create_user(owner, CreateUser(email=ADDRESS, password=PASSWORD, name="Ada"))
        await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password=PASSWORD))
        token = await Letterbox(database).token("email_change")

        with pytest.raises(EmailTaken):
            await identity.verify_email(ORIGIN, VerifyEmail(token=token))

        assert (await identity.get_user(owner, owner.subject)).email == "olga@example.com"

    async def test_nobody_writes_to_everybody_this_way(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U6: five letters an hour for a person, to whatever addresses."""
        for number in range(letter_limits.PER_ACCOUNT):
            email = f"victim{number}@elsewhere.example"
            await identity.change_email(owner, ChangeEmail(email=email, current_password=PASSWORD))
        with pytest.raises(TooManyLetters):
            await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password=PASSWORD))
        assert len(await Letterbox(database).letters(template="email_change")) == letter_limits.PER_ACCOUNT

    async def test_it_needs_the_password_and_a_person(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        with pytest.raises(Invalid) as caught:
            await identity.change_email(owner, ChangeEmail(email=ADDRESS, current_password="wrong password"))
        assert [fault.code for fault in caught.value.faults] == ["password.wrong"]
        program = Principal("acme", "key_1", "api_key", scopes=frozenset({"*"}), origin=ORIGIN)
        with pytest.raises(NotAPerson):
            await identity.resend_verification(program)
        assert await Letterbox(database).letters(template="email_change") == []


async def test_the_people_of_a_suspended_tenant_wait(
    identity: Identity, owner: Principal, administrator: Principal, database: Database
) -> None:
    token = await Letterbox(database).token("email_verification")
    await identity.suspend_tenant(administrator, "acme")
    with pytest.raises(TenantSuspended):
        await identity.verify_email(ORIGIN, VerifyEmail(token=token))
    await identity.resume_tenant(administrator, "acme")
    await identity.verify_email(ORIGIN, VerifyEmail(token=token))


async def test_a_locked_account_is_told_once(identity: Identity, owner: Principal, database: Database) -> None:
    """U6: the letter goes with the event, in its transaction."""
    for _ in range(12):
        with pytest.raises(DomainError):
            await identity.log_in(ORIGIN, login_of("acme", password="wrong password"))

    (letter,) = await Letterbox(database).letters(template="account_locked")
    assert letter.recipient == "olga@example.com"


async def test_names_stay_on_one_line(identity: Identity, owner: Principal, database: Database, person: Person) -> None:
    """N3: what people call themselves reaches a letter without line breaks and marks that turn its direction."""
    async with database.write("acme") as unit:
        await unit.session.execute(
            text("UPDATE user_account SET name = :n"), {"n": "Ada\r\nBcc: all@example.com\u2028\u202eevil"}
        )
    await identity.change_password(owner, ChangePassword(current_password=PASSWORD, new_password="a new horse battery"))

    (letter,) = await Letterbox(database).letters(template="password_changed")
    assert letter.values["name"] == "Ada  Bcc: all@example.com  evil"


def test_unknown_properties_are_refused() -> None:
    for kind, fields in (
        (VerifyEmail, {"token": "x", "email_verified_at": "2030-01-01T00:00:00Z"}),
        (ChangeEmail, {"email": ADDRESS, "current_password": PASSWORD, "user_id": "usr_1"}),
        (ForgotPassword, {"tenant": "acme", "email": ADDRESS, "link": "https://evil.example"}),
        (CreateUser, {"email": ADDRESS, "password": PASSWORD, "name": "A", "email_verified_at": None}),
    ):
        with pytest.raises(ValidationError):
            kind(**fields)
