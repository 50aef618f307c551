"""U3: people's own telephone numbers."""

import asyncio
from datetime import timedelta

import pytest

from db.models.factors import Challenge
from db.session import Database
from db.types import utc_now
from deployments.identity import code_limits
from deployments.identity.codes import TRIES
from deployments.identity.deployment import Identity
from deployments.identity.errors import CodeLimited, FactorExists, PhoneMissing
from deployments.identity.factor_contracts import AnswerChallenge, FactorProof, PutPhone
from deployments.identity.phones import masked, normalise_phone
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import PASSWORD, Person, RecordedEvents
from tests.deployments.identity.mailbag import (
    KNOWN,
    PHONE,
    challenges,
    change,
    code_in,
    forget_limits,
    letters,
    texts,
    with_phone,
)

PUT = PutPhone(phone="+1 (415) 555-2671", current_password=PASSWORD)
BY_PASSWORD = FactorProof(current_password=PASSWORD)


async def codes(identity: Identity, principal: Principal, challenge: str, code: str) -> list[str]:
    """The codes of the faults that an answer is met with."""
    with pytest.raises(Invalid) as caught:
        await identity.verify_phone(principal, AnswerChallenge(challenge=challenge, code=code))
    return [fault.code for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+14155552671", "+14155552671"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("tel:+49-171-1234567", "+491711234567"),
        ("+49 (0)171 1234567", "+491711234567"),
    ],
)
def test_numbers_are_kept_in_one_form(text: str, number: str) -> None:
    assert normalise_phone(text) == number


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("4155552671", "format.phone"),
        ("+1415555", "format.phone"),
        ("+999123456789", "format.phone"),
        ("", "format.phone"),
        ("+1 415 555 2671 ext. 5", "format.phone"),
        ("+1 900 555 0123", "phone.refused"),
        ("+1 800 555 0123", "phone.refused"),
    ],
)
def test_what_cannot_be_texted_is_refused(text: str, code: str) -> None:
    """U3: no unusable numbers, and none that cost somebody extra."""
    with pytest.raises(Invalid) as caught:
        normalise_phone(text)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/phone", code)]


def test_a_masked_number_is_recognised_but_not_known() -> None:
    assert masked(PHONE) == "…71"


async def test_a_number_counts_once_its_code_came_back(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    sent = await identity.put_phone(owner, PUT)
    (text,) = await texts(database)
    assert text.recipient == PHONE
    assert (await identity.list_factors(owner)).phone is None
    assert code_in(text) not in str(await challenges(database))

    verified = await identity.verify_phone(owner, AnswerChallenge(challenge=sent.challenge, code=code_in(text)))

    assert verified.phone == PHONE
    assert (await identity.list_factors(owner)).phone == verified
    last = (await events("acme"))[-1]
    assert last.type == "user.phone_changed"
    assert PHONE not in last.envelope
    (letter,) = await letters(database)
    assert letter.values["factor"] == "phone:…71"
    assert await codes(identity, owner, sent.challenge, code_in(text)) == ["code.wrong"]


async def test_a_number_needs_the_password(identity: Identity, owner: Principal, database: Database) -> None:
    """U3: a stolen session cannot redirect codes."""
    with pytest.raises(Invalid) as caught:
        await identity.put_phone(owner, PutPhone(phone=PHONE, current_password="wrong password"))
    assert [fault.code for fault in caught.value.faults] == ["password.wrong"]
    assert await texts(database) == []


async def test_nobody_else_answers(
    identity: Identity, owner: Principal, stranger: Principal, person: Person, database: Database
) -> None:
    """T5: the challenge of another person or tenant cannot be answered, and loses no try by it."""
    sent = await identity.put_phone(owner, PUT)
    code = code_in((await texts(database))[-1])
    for principal in (await person("viewer"), stranger):
        assert await codes(identity, principal, sent.challenge, code) == ["code.wrong"]
    assert await codes(identity, owner, "no-such-challenge", code) == ["code.wrong"]
    (row,) = await challenges(database)
    assert row.tries == 0
    await identity.verify_phone(owner, AnswerChallenge(challenge=sent.challenge, code=code))


async def test_wrong_late_and_too_many_codes(identity: Identity, owner: Principal, database: Database) -> None:
    """U3: five tries, five minutes."""
    sent = await identity.put_phone(owner, PUT)
    code = code_in((await texts(database))[-1])
    for _ in range(TRIES):
        await codes(identity, owner, sent.challenge, "no-code")
    assert await codes(identity, owner, sent.challenge, code) == ["code.wrong"]
    await change(database, Challenge, tries=0, expires_at=utc_now() - timedelta(seconds=1))
    assert await codes(identity, owner, sent.challenge, code) == ["code.wrong"]


async def test_one_number_is_not_texted_without_end(
    identity: Identity, owner: Principal, stranger: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U3: many accounts together cannot flood one telephone."""
    now = utc_now()
    for number in range(code_limits.PER_ACCOUNT):
        moment = now + number * code_limits.PAUSE
        monkeypatch.setattr(code_limits, "utc_now", lambda moment=moment: moment)
        await identity.put_phone(owner, PUT)
        with pytest.raises(CodeLimited):
            await identity.put_phone(owner, PUT)
    with pytest.raises(CodeLimited):
        await identity.put_phone(stranger, PUT)
    await identity.put_phone(stranger, PutPhone(phone="+14155552672", current_password=PASSWORD))
    assert len(await texts(database)) == code_limits.PER_ACCOUNT


async def test_text_messages_as_factor_need_a_number(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    """U3: forgetting the number takes the factor along."""
    with pytest.raises(PhoneMissing):
        await identity.add_code_factor(owner, "sms", KNOWN)
    await with_phone(identity, database, owner)
    await identity.add_code_factor(owner, "sms", KNOWN)
    with pytest.raises(FactorExists):
        await identity.add_code_factor(owner, "sms", KNOWN)

    await identity.remove_phone(owner, BY_PASSWORD)
    await identity.remove_phone(owner, BY_PASSWORD)

    factors = await identity.list_factors(owner)
    assert (factors.data, factors.phone, factors.recovery_codes_left) == ([], None, 0)
    types = [event.type for event in await events("acme")]
    assert types[-2:] == ["user.factor_removed", "user.phone_changed"]


async def test_a_new_number_replaces_the_old(identity: Identity, owner: Principal, database: Database) -> None:
    await with_phone(identity, database, owner)
    await forget_limits(database)
    await with_phone(identity, database, owner, "+14155552672")
    phone = (await identity.list_factors(owner)).phone
    assert phone is not None
    assert phone.phone == "+14155552672"


async def test_answers_at_once_verify_once(
    identity: Identity, owner: Principal, database: Database, events: RecordedEvents
) -> None:
    sent = await identity.put_phone(owner, PUT)
    answer = AnswerChallenge(challenge=sent.challenge, code=code_in((await texts(database))[-1]))
    outcomes = await asyncio.gather(*(identity.verify_phone(owner, answer) for _ in range(4)), return_exceptions=True)
    assert [isinstance(outcome, Invalid) for outcome in outcomes].count(True) == 3
    assert [event.type for event in await events("acme")].count("user.phone_changed") == 1
