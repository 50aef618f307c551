"""J1: what an operator says about kinds of jobs and queues."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from eventing.jobs import JobKind, JobPolicy, JobRun, exponential


async def nothing(_job: JobRun) -> None:
    return None


MAIL = JobKind("mail", "default", nothing)
HOOK = JobKind("hook", "default", nothing, own_schedule=True)


def policy(**parts: Any) -> JobPolicy:
    return JobPolicy.model_validate(parts)


def test_by_default_pauses_grow_and_limits_are_those_of_the_requirements() -> None:
    assert (MAIL.max_attempts, MAIL.soft_limit_s, MAIL.hard_limit_s) == (3, 240, 300)
    assert MAIL.delays == (5, 20, 80, 320, 600)
    assert exponential(1, 2, 10) == (1, 2, 4, 8, 10)


def test_what_is_said_of_a_kind_replaces_what_the_code_says() -> None:
    said = {"attempts": 7, "delays_s": [1, 60], "soft_limit_s": 20, "hard_limit_s": 30, "at_once": 2}
    mail, hook = policy(kinds={"mail": said}).applied((MAIL, HOOK))
    assert (mail.max_attempts, mail.delays, mail.soft_limit_s, mail.hard_limit_s, mail.places) == (
        7,
        (1, 60),
        20,
        30,
        2,
    )
    assert (mail.name, mail.queue, mail.run) == (MAIL.name, MAIL.queue, MAIL.run)
    assert hook is HOOK
    assert policy(kinds={"mail": {"attempts": 1}}).applied((MAIL,))[0].delays == MAIL.delays


def test_what_is_said_of_a_queue_replaces_its_places() -> None:
    places = policy(queues={"batch": {"at_once": 9}}).places({"batch": 2, "high": 8})
    assert places == {"batch": 9, "high": 8}
    # A runner that is deployed without a queue does not get it by this.
    assert policy(queues={"batch": {"at_once": 9}}).places({"batch": 0, "high": 8}) == {"batch": 0, "high": 8}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"kinds": {"mial": {"attempts": 2}}}, "there is no kind of job 'mial'; there are hook, mail"),
        ({"kinds": {"hook": {"attempts": 2}}}, "have a schedule of their own"),
        ({"kinds": {"hook": {"delays_s": [2]}}}, "have a schedule of their own"),
        ({"kinds": {"mail": {"hard_limit_s": 100}}}, "beyond its hard limit of 100 s"),
    ],
)
def test_what_does_not_fit_the_kinds_is_refused(parts: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        policy(**parts).applied((MAIL, HOOK))


@pytest.mark.parametrize(
    "parts",
    [
        {"queues": {"low": {"at_once": 2}}},
        {"queues": {"high": {"at_once": 0}}},
        {"kinds": {"mail": {"attempts": 0}}},
        {"kinds": {"mail": {"delays_s": []}}},
        {"kinds": {"mail": {"delays_s": [0]}}},
        {"kinds": {"mail": {"soft_limit_s": 9, "hard_limit_s": 8}}},
        {"kinds": {"mail": {"retries": 3}}},
    ],
)
def test_what_makes_no_sense_is_refused(parts: Any) -> None:
    with pytest.raises(ValidationError):
        policy(**parts)
