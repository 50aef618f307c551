"""Whose turn it is among the tenants whose events wait for a consumer."""

from collections.abc import Iterable

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from eventing.lines import Lines, tenant_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock) -> Lines:
    return Lines(clock)


def come(lines: Lines, *tenants: str) -> None:
    for number, tenant in enumerate(tenants):
        lines.add(Msg(Client(), f"events.{tenant}.form.deleted", data=str(number).encode()))


def tenants(messages: Iterable[Msg]) -> list[str]:
    return [tenant_of(message) for message in messages]


def test_one_alone_has_the_whole_batch_in_order(lines: Lines) -> None:
    come(lines, *["acme"] * 40)
    assert [int(message.data) for message in lines.take(30)] == list(range(30))
    assert len(lines) == 10


def test_who_has_little_does_not_wait_for_who_has_much(lines: Lines) -> None:
    """T6: the little goes first, alone; whoever has much follows in the next turn, at most a sixth of a batch."""
    come(lines, *["noisy"] * 40, "quiet", "other")
    little = lines.take(30)
    assert sorted(tenants(little)) == ["other", "quiet"]
    lines.done(little)
    come(lines, "quiet")
    second = lines.take(30)
    assert (tenants(second).count("noisy"), tenants(second).count("quiet")) == (5, 1)
    lines.done(second)
    assert tenants(lines.take(30)) == ["noisy"] * 5


def test_of_who_is_at_work_nothing_is_taken(lines: Lines) -> None:
    come(lines, *["noisy"] * 20, "quiet")
    lines.done(lines.take(12))
    at_work = lines.take(12)
    assert tenants(at_work) == ["noisy"] * 2
    come(lines, "quiet")
    assert tenants(lines.take(12)) == ["quiet"]
    assert lines.take(12) == []
    lines.done(at_work)
    assert tenants(lines.take(12)) == ["noisy"] * 2


def test_a_share_is_enough_not_to_wait_for_more(lines: Lines) -> None:
    """What came during the work is not, or a handler that pauses would never pause under load."""
    come(lines, *["acme"] * 10)
    assert not lines.has(11)
    assert lines.has(10)
    come(lines, "other")
    lines.take(30)
    assert lines.has(30), "a sixth of it, since the two share"


def test_sharing_ends_when_one_was_alone_for_ten_seconds(lines: Lines, clock: Clock) -> None:
    come(lines, *["acme"] * 60, "other")
    lines.done(lines.take(30))
    taken = lines.take(30)
    assert tenants(taken) == ["acme"] * 5
    lines.done(taken)
    clock.now += 10.1
    assert len(lines.take(30)) == 30


def test_a_rest_is_of_the_tenants_of_a_batch(lines: Lines, clock: Clock) -> None:
    come(lines, "noisy")
    lines.done(lines.take(10), rest_s=2.0)
    come(lines, "noisy", "quiet")
    assert tenants(lines.take(10)) == ["quiet"]
    assert lines.rest_s() == pytest.approx(2.0)
    clock.now += 2.0
    assert tenants(lines.take(10)) == ["noisy"]
    assert lines.rest_s() == float("inf")


def test_many_who_share_the_load_share_its_rest(lines: Lines, clock: Clock) -> None:
    come(lines, "one", "two", "three")
    lines.done(lines.take(10), rest_s=2.0)
    come(lines, "four")
    assert lines.take(10) == []
    clock.now += 2.0
    assert tenants(lines.take(10)) == ["four"]


def test_waking_ends_every_rest(lines: Lines) -> None:
    come(lines, "one", "two", "three")
    lines.done(lines.take(10), rest_s=2.0)
    come(lines, "one")
    lines.wake()
    taken = lines.take(10)
    assert tenants(taken) == ["one"]
    lines.done(taken, rest_s=2.0)
    come(lines, "one")
    lines.wake()
    assert tenants(lines.take(10)) == ["one"]
