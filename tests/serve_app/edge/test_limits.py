"""H3, T6: rate limits per tenant, user, key, address and class of routes, and what callers are told of them."""

import re

import httpx
import pytest

from deployments.identity.contracts import RateLimit, RouteClass, TenantProfile
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin
from serve_app.edge.limits import TELL_S, RateLimits, SharedWindows
from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import SUBMIT, problem

ME = "/api/v1/me"


def limited(fakes: Fakes, tenant_id: str = "acme", **limits: RateLimit | None) -> None:
    """Give the tenant these limits."""
    fakes.identity.profiles[tenant_id] = TenantProfile.model_validate(
        {"id": tenant_id, "status": "active", "rate_limits": limits}
    )


def visitor(address: str, tenant_id: str = "acme") -> Principal:
    return Principal.anonymous(tenant_id, Origin(address=address))


async def test_a_tenant_has_its_calls_of_a_class(fakes: Fakes) -> None:
    limited(fakes, submit=RateLimit(per_minute=3))
    async with running(fakes) as client:
        for left in (2, 1, 0):
            answer = await client.post(SUBMIT, json={})
            assert answer.status_code == 201
            assert answer.headers["ratelimit-policy"] == '"submit";q=3;w=60'
            assert re.fullmatch(rf'"submit";r={left};t=\d+', answer.headers["ratelimit"])
        refused = await client.post(SUBMIT, json={})
        problem(refused, 429, "rate.limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "r=0" in refused.headers["ratelimit"]
        assert len(fakes.responses.submitted) == 3
        # Another class of routes and another tenant have their own.
        assert (await client.get(ME, headers={"authorization": "Bearer owner"})).status_code == 200
        limited(fakes, "globex", submit=RateLimit(per_minute=3))
        assert (await client.post("/api/v1/public/globex/party/responses", json={})).status_code == 201


async def test_each_caller_has_their_own(fakes: Fakes) -> None:
    """A user, an API key and an address each; one that has used up its calls takes none from the others."""
    limited(fakes, api=RateLimit(caller_per_minute=2, per_minute=100))
    async with running(fakes) as client:

        async def status(credential: str) -> int:
            return (await client.get(ME, headers={"authorization": f"Bearer {credential}"})).status_code

        assert [await status("owner") for _ in range(4)] == [200, 200, 429, 429]
        answer = await client.get(ME, headers={"authorization": "Bearer reader"})
        assert answer.headers["ratelimit-policy"] == '"api-caller";q=2;w=60, "api";q=100;w=60'
        # Two of the owner, one of the key: what was refused is not charged to the tenant.
        assert '"api";r=97' in answer.headers["ratelimit"]


async def test_a_tenant_s_settings_take_the_place_of_the_platform_s(fakes: Fakes) -> None:
    defaults: dict[RouteClass, RateLimit] = {"submit": RateLimit(caller_per_minute=1)}
    async with running(fakes, rate_limits=defaults) as client:
        assert [(await client.post(SUBMIT, json={})).status_code for _ in range(2)] == [201, 429]
        limited(fakes, "globex", submit=None)
        elsewhere = "/api/v1/public/globex/party/responses"
        assert [(await client.post(elsewhere, json={})).status_code for _ in range(3)] == [201] * 3


async def test_wrong_credentials_are_limited_by_address(fakes: Fakes) -> None:
    defaults: dict[RouteClass, RateLimit] = {"auth": RateLimit(caller_per_minute=2)}
    async with running(fakes, rate_limits=defaults) as client:
        answers = [await client.get(ME, headers={"authorization": f"Bearer guess{number}"}) for number in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert (await client.get(ME, headers={"authorization": "Bearer owner"})).status_code == 200


async def test_health_is_never_limited(fakes: Fakes) -> None:
    async with running(fakes, rate_limits={"api": RateLimit(per_minute=1, caller_per_minute=1)}) as client:
        answers: list[httpx.Response] = [await client.get("/health") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
    ],
)
async def test_an_address_is_what_one_household_has(first: str, second: str, same: bool) -> None:
    limits = RateLimits({"submit": RateLimit(caller_per_minute=1)})
    assert limits.charge("submit", visitor(first), None)[1] == 0
    assert bool(limits.charge("submit", visitor(second), None)[1]) is same


async def test_edges_count_together() -> None:
    """What one edge admits, the other knows as soon as it hears of it, and neither tells what it was told."""
    here, there = (RateLimits({"submit": RateLimit(per_minute=4)}) for _ in range(2))
    for _ in range(3):
        assert here.charge("submit", visitor("192.0.2.1"), None)[1] == 0
    there.heard(here.admitted())
    assert here.admitted() == []
    assert there.charge("submit", visitor("192.0.2.9"), None)[1] == 0
    here.heard(there.admitted())
    for limits in (here, there):
        headers, wait = limits.charge("submit", visitor("192.0.2.7"), None)
        assert wait > 0
        assert "r=0" in dict(headers)["ratelimit"]


@pytest.mark.parametrize("edges", [2, 3])
def test_edges_admit_together_what_they_hear_of_too_late_and_no_more(
    edges: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H3, decision 0017: beyond the limit at most what the other edges admit before they are heard."""
    monkeypatch.setattr("serve_app.edge.limits.time.time", lambda: 6_000_000.0)
    limit, at_once = 100, 7
    every = [RateLimits({"submit": RateLimit(per_minute=limit)}) for _ in range(edges)]
    admitted = 0
    for _ in range(limit):
        told = []
        for each in every:
            admitted += sum(not each.charge("submit", visitor("192.0.2.1"), None)[1] for _ in range(at_once))
            told.append(each.admitted())
        for number, each in enumerate(every):
            for other, tally in enumerate(told):
                if other != number:
                    each.heard(tally)
    assert limit <= admitted <= limit + at_once * (edges - 1)
    assert TELL_S == 0.1


def test_a_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's worth cannot be had twice around the turn of the minute."""
    windows = SharedWindows()
    now = 6_000_000.0
    monkeypatch.setattr("serve_app.edge.limits.time.time", lambda: now)

    def admitted(wanted: int) -> int:
        return sum(windows.acquire_sliding_window_entry("key", 60, 60) for _ in range(wanted))

    now += 59
    assert admitted(100) == 60
    now += 2
    assert admitted(100) <= 2
    now += 29
    assert admitted(100) in range(27, 31)
    now += 120
    assert admitted(100) == 60


def test_counters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.edge.limits._CAPACITY", 10)
    windows = SharedWindows()
    for number in range(50):
        windows.incr(f"key{number}", 60)
    assert windows.reset() == 10
