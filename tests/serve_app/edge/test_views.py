"""L1: views are counted where forms are opened, and each counts once however often it is handed over."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.analytics.metric_contracts import ViewBatch
from deployments.kit.principal import Principal
from serve_app.edge.views import Views
from tests.serve_app.edge.fakes import Fakes, running

NOON = datetime(2026, 3, 1, 12, 7, 30, tzinfo=UTC)


@dataclass
class FakeAnalytics:
    batches: list[ViewBatch] = field(default_factory=list)
    is_away: bool = False

    async def count_views(self, principal: Principal, batch: ViewBatch) -> None:
        assert principal.kind == "system"
        self.batches.append(batch)
        if self.is_away:
            raise ConnectionError("answer lost")


def request(method: str = "GET", **headers: str) -> Any:
    class Headers(dict[str, str]):
        def getone(self, name: str, default: str) -> str:
            return self.get(name, default)

    class Request:
        pass

    made: Any = Request()
    made.method, made.headers = method, Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return made


def told(batches: list[ViewBatch]) -> list[tuple[int, list[tuple[str, str, str, int]]]]:
    return [
        (batch.number, [(each.tenant_id, each.form_id, f"{each.since:%H:%M}", each.views) for each in batch.views])
        for batch in batches
    ]


async def test_a_batch_is_told_until_it_was_taken_and_what_comes_meanwhile_is_another() -> None:
    now = NOON
    views, analytics = Views(lambda: now), FakeAnalytics(is_away=True)
    apis: Any = analytics
    await views.hand_over(apis)
    assert not analytics.batches
    for tenant, form in (("acme", "frm_1"), ("acme", "frm_1"), ("globex", "frm_2")):
        views.count(request(), tenant, form)
    await views.hand_over(apis)
    now = datetime(2026, 3, 1, 12, 59, tzinfo=UTC)
    views.count(request(), "acme", "frm_1")
    analytics.is_away = False
    for _ in range(3):
        await views.hand_over(apis)
    first = (1, [("acme", "frm_1", "12:00", 2), ("globex", "frm_2", "12:00", 1)])
    assert told(analytics.batches) == [first, first, (2, [("acme", "frm_1", "12:45", 1)])]
    assert len({batch.edge for batch in analytics.batches}) == 1


@pytest.mark.parametrize(
    "looked",
    [
        request("HEAD"),
        request(sec_purpose="prefetch;prerender"),
        request(purpose="prefetch"),
        request(x_moz="prefetch"),
    ],
    ids=["head", "sec-purpose", "purpose", "x-moz"],
)
async def test_who_does_not_look_does_not_count(looked: Any) -> None:
    views, analytics = Views(), FakeAnalytics()
    views.count(looked, "acme", "frm_1")
    apis: Any = analytics
    await views.hand_over(apis)
    assert not analytics.batches


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """O: beyond the bound forms that are counted go on being counted."""
    monkeypatch.setattr("serve_app.edge.views._FORMS", 2)
    views, analytics = Views(lambda: NOON), FakeAnalytics()
    for form in ("frm_1", "frm_2", "frm_3", "frm_1"):
        views.count(request(), "acme", form)
    apis: Any = analytics
    await views.hand_over(apis)
    assert told(analytics.batches) == [(1, [("acme", "frm_1", "12:00", 2), ("acme", "frm_2", "12:00", 1)])]


async def test_an_edge_hands_over_the_rest_when_it_stops() -> None:
    """L1: a public definition that was opened counts while the form is open; of one that stops nothing is lost."""
    fakes, analytics = Fakes(), FakeAnalytics()
    apis = fakes.apis()
    object.__setattr__(apis, "analytics", analytics)
    fakes.apis = lambda: apis  # type: ignore[method-assign]
    async with running(fakes) as client:
        for _ in range(2):
            assert (await client.get("/api/v1/public/acme/party")).status_code == 200
        assert (await client.head("/api/v1/public/acme/party")).status_code == 200
        fakes.forms.open = False
        await client.get("/api/v1/public/acme/party")
    assert sum(view.views for batch in analytics.batches for view in batch.views) == 2
