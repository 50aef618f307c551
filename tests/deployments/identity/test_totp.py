"""U3: authenticator apps and recovery codes of people who are logged in."""

import asyncio
import base64
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from sqlalchemy import select

from db.models.factors import RecoveryCode, SecondFactor
from db.repositories.factors import RecoveryCodeRepository, SecondFactorRepository
from db.session import Database
from db.types import utc_now
from deployments.identity import authenticator
from deployments.identity.attempts import LIMIT
from deployments.identity.codes import recovery_hash
from deployments.identity.contracts import CreateApiKey
from deployments.identity.deployment import Identity
from deployments.identity.errors import (
    FactorExists,
    FactorNotFound,
    LoginLimited,
    OwnFactors,
    RoleTooHigh,
    UserNotFound,
)
from deployments.identity.factor_contracts import ConfirmTotp, CurrentPassword, FactorProof
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, Person, RecordedEvents, login_of
from tests.deployments.identity.mailbag import KNOWN, App, enrolled, letters, next_step, with_phone

BY_PASSWORD = FactorProof(current_password=PASSWORD)
WRONG = CurrentPassword(current_password="wrong password")


async def rows(database: Database) -> list[SecondFactor]:
    async with database.read("acme") as unit:
        return list((await unit.session.scalars(select(SecondFactor))).all())


def faults(caught: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


async def test_an_app_is_set_up(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U3: RFC 6238; the secret is encrypted at rest, recovery codes are hashed, the person is told."""
    started = await identity.start_totp(owner, KNOWN)

    uri = urlsplit(started.uri)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Acme:olga@example.com")
    assert parse_qs(uri.query)["secret"] == [started.secret]
    assert len(base64.b32decode(started.secret)) == 20
    assert (await identity.list_factors(owner)).data == []
    (row,) = await rows(database)
    assert started.secret not in (row.secret or "")

    confirmed = await identity.confirm_totp(owner, ConfirmTotp(code=App(started.secret).code()))

    assert len(set(confirmed.recovery_codes)) == 10
    factors = await identity.list_factors(owner)
    assert ([factor.kind for factor in factors.data], factors.recovery_codes_left) == (["totp"], 10)
    async with database.read("acme") as unit:
        kept = set((await unit.session.scalars(select(RecoveryCode.code_hash))).all())
    assert kept == {recovery_hash(owner.subject, code) for code in confirmed.recovery_codes}
    last = (await events("acme"))[-1]
    assert (last.type, last.entity_id) == ("user.factor_added", owner.subject)
    assert started.secret not in last.envelope
    (letter,) = await letters(database)
    assert (letter.template, letter.recipient) == ("factor_added", "olga@example.com")


async def test_setting_up_needs_the_password_and_a_right_code(identity: Identity, owner: Principal) -> None:
    """U3: a stolen session cannot bind an account to somebody else's telephone."""
    with pytest.raises(Invalid) as caught:
        await identity.start_totp(owner, WRONG)
    assert faults(caught) == [("/current_password", "password.wrong")]
    with pytest.raises(FactorNotFound):
        await identity.confirm_totp(owner, ConfirmTotp(code="000000"))
    app = App((await identity.start_totp(owner, KNOWN)).secret)
    for code in (app.code(-3), app.code(3), "abc", "12345678"):
        with pytest.raises(Invalid) as caught:
            await identity.confirm_totp(owner, ConfirmTotp(code=code))
        assert faults(caught) == [("/code", "code.wrong")]
    await identity.log_in(ORIGIN, login_of("acme"))
    await identity.confirm_totp(owner, ConfirmTotp(code=app.code()))
    for attempt in (identity.start_totp(owner, KNOWN), identity.confirm_totp(owner, ConfirmTotp(code=app.code(1)))):
        with pytest.raises(FactorExists):
            await attempt


async def test_a_second_start_forgets_the_first(identity: Identity, owner: Principal) -> None:
    old = App((await identity.start_totp(owner, KNOWN)).secret)
    await enrolled(identity, owner)
    with pytest.raises(Invalid):
        await identity.remove_factor(owner, "totp", FactorProof(code=old.code(1)))


async def test_wrong_codes_are_limited(identity: Identity, owner: Principal) -> None:
    """U6: nobody tries a million codes, not even with a session."""
    await identity.start_totp(owner, KNOWN)

    async def guess(number: int) -> str:
        principal = replace(owner, origin=replace(ORIGIN, address=f"198.51.100.{number}"))
        try:
            await identity.confirm_totp(principal, ConfirmTotp(code="no-code"))
        except (Invalid, LoginLimited) as error:
            return error.code
        return "in"

    found = await asyncio.gather(*(guess(number) for number in range(30)))
    assert (found.count("invalid"), found.count("login.limited")) == (LIMIT, 30 - LIMIT)


async def test_an_app_is_removed_with_a_fresh_proof(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U3: by the password or a code that was not used yet; recovery codes go with the last factor."""
    app, _ = await enrolled(identity, owner)
    for proof in (
        FactorProof(current_password="wrong password"),
        FactorProof(code=app.code(-1)),
        FactorProof(code="1"),
    ):
        with pytest.raises(Invalid):
            await identity.remove_factor(owner, "totp", proof)

    await identity.remove_factor(owner, "totp", FactorProof(code=app.code(1)))

    assert (await identity.list_factors(owner)).recovery_codes_left == 0
    assert [event.type for event in await events("acme")][-1] == "user.factor_removed"
    assert [letter.template for letter in await letters(database)] == ["factor_added", "factor_removed"]
    with pytest.raises(FactorNotFound):
        await identity.remove_factor(owner, "totp", BY_PASSWORD)
    await identity.log_in(ORIGIN, login_of("acme"))


def test_a_proof_is_one_of_two() -> None:
    for values in ({}, {"current_password": "p", "code": "1"}):
        with pytest.raises(ValueError, match="either"):
            FactorProof(**values)  # type: ignore[arg-type]


async def test_recovery_codes_are_renewed(identity: Identity, owner: Principal, events: RecordedEvents) -> None:
    with pytest.raises(FactorNotFound):
        await identity.renew_recovery_codes(owner, BY_PASSWORD)
    _, old = await enrolled(identity, owner)

    new = (await identity.renew_recovery_codes(owner, BY_PASSWORD)).recovery_codes

    assert not set(old) & set(new)
    assert (await identity.list_factors(owner)).recovery_codes_left == 10
    assert (await events("acme"))[-1].type == "user.recovery_codes_renewed"


async def test_a_step_and_a_recovery_code_are_used_once_at_the_same_moment(
    identity: Identity, owner: Principal, database: Database
) -> None:
    """U3: single use is one statement of the database."""
    _, codes = await enrolled(identity, owner)
    await next_step(database)

    async def step() -> bool:
        async with database.write("acme") as unit:
            return await SecondFactorRepository(unit.session, "acme").use_step(owner.subject, 7)

    async def recover() -> bool:
        async with database.write("acme") as unit:
            repository = RecoveryCodeRepository(unit.session, "acme")
            return await repository.use(owner.subject, recovery_hash(owner.subject, codes[0]), utc_now())

    assert sorted(await asyncio.gather(*(step() for _ in range(8)))) == [False] * 7 + [True]
    assert sorted(await asyncio.gather(*(recover() for _ in range(8)))) == [False] * 7 + [True]


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B (its last six digits), and a window of one step either way."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    at = utc_now().replace(year=2005, month=3, day=18, hour=1, minute=58, second=29, microsecond=0)
    assert authenticator.step_of(secret, "081 804", at) == 0x23523EC
    totp = pyotp.TOTP(secret)
    steps = [authenticator.step_of(secret, totp.at(at, counter_offset=offset), at) for offset in (-2, -1, 0, 1, 2)]
    assert steps == [None, 0x23523EB, 0x23523EC, 0x23523ED, None]


async def test_a_program_has_no_factors(identity: Identity, owner: Principal) -> None:
    """U4: an API key cannot change how its creator logs in."""
    created = await identity.create_api_key(owner, CreateApiKey(name="ci", scopes=["users:write"]))
    key = await identity.authenticate(created.key)
    for call in (
        identity.list_factors(key),
        identity.start_totp(key, KNOWN),
        identity.confirm_totp(key, ConfirmTotp(code="1")),
        identity.remove_factor(key, "totp", FactorProof(code="1")),
    ):
        with pytest.raises(Forbidden):
            await call


async def test_an_administrator_helps_who_lost_everything(
    identity: Identity,
    owner: Principal,
    stranger: Principal,
    person: Person,
    database: Database,
    events: RecordedEvents,
) -> None:
    """U3: below or at one's own role, never for oneself, in the own tenant only, on the record."""
    admin, viewer = await person("admin"), await person("viewer")
    await enrolled(identity, viewer)
    await with_phone(identity, database, viewer)
    await enrolled(identity, owner)
    for principal, user_id, error in (
        (admin, owner.subject, RoleTooHigh),
        (admin, admin.subject, OwnFactors),
        (stranger, viewer.subject, UserNotFound),
        (admin, "usr_0", UserNotFound),
        (viewer, admin.subject, Forbidden),
    ):
        with pytest.raises(error):
            await identity.reset_factors(principal, user_id)
    assert len((await identity.list_factors(viewer)).data) == 1

    await identity.reset_factors(admin, viewer.subject)
    await identity.reset_factors(admin, viewer.subject)

    factors = await identity.list_factors(viewer)
    assert (factors.data, factors.recovery_codes_left, factors.phone) == ([], 0, None)
    removed = [event for event in await events("acme") if event.type == "user.factor_removed"]
    assert [f'"actor":"{admin.subject}"' in event.envelope for event in removed] == [True]
    await identity.log_in(ORIGIN, login_of("acme", "viewer@example.com"))
