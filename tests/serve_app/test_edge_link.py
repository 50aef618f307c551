"""T2, U2, H3: edges hear of changes, and tell each other what they admit, over a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from deployments.identity.contracts import RateLimit
from deployments.kit.principal import Principal
from eventing import connection
from eventing.events.envelope import Origin
from eventing.settings import EventingSettings
from eventing.subjects import EDGE_TALLY, event_subject
from serve_app.edge.deployment import Edge
from serve_app.edge.settings import EdgeSettings
from serve_app.edge_link import EdgeLink
from tests.eventing.harness import eventually
from tests.serve_app.edge.fakes import Fakes

VISITOR = Principal.anonymous("acme", Origin(address="192.0.2.1"))


def an_edge() -> Edge:
    limits = {"submit": RateLimit(per_minute=3)}
    return Edge(EdgeSettings(object_store_url="memory:///", rate_limits=limits), Fakes().apis())


@asynccontextmanager
async def linked(url: str, edge: Edge) -> AsyncIterator[None]:
    link = EdgeLink(EventingSettings(nats_url=url), edge)
    try:
        yield
    finally:
        await link.stop()


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds)


async def heard(url: str, edge: Edge) -> None:
    """Wait until the edge hears what is said."""
    client = await connection.connect(EventingSettings(nats_url=url), "test")
    try:
        while not edge.changes.latest("probe"):
            await client.publish(event_subject("probe", "tenant.updated"), b"")
            await asyncio.sleep(0.01)
    finally:
        await connection.close(client)


CHANGES_OF_RIGHTS = (
    *("tenant.updated", "tenant.suspended", "tenant.resumed", "tenant.deleted", "user.updated"),
    *("user.password_changed", "session.revoked", "api_key.revoked", "form.granted", "form.grant_revoked"),
)


@pytest.mark.parametrize("event_type", CHANGES_OF_RIGHTS)
async def test_what_changes_rights_is_heard(nats_server: str, event_type: str) -> None:
    edge = an_edge()
    async with linked(nats_server, edge):
        await heard(nats_server, edge)
        client = await connection.connect(EventingSettings(nats_url=nats_server), "test")
        await client.publish(event_subject("acme", "response.submitted"), b"")
        await client.publish(event_subject("globex", event_type), b"")
        await until(lambda: edge.changes.latest("globex") > 0)
        assert edge.changes.latest("acme") == 0
        await connection.close(client)


async def test_edges_count_together(nats_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = an_edge(), an_edge()
    hear, was_told = there.limits.heard, asyncio.Event()

    def hearing(tally: Iterable[tuple[str, int]]) -> None:
        hear(tally)
        was_told.set()

    monkeypatch.setattr(there.limits, "heard", hearing)
    async with linked(nats_server, here), linked(nats_server, there):
        await heard(nats_server, here)
        await heard(nats_server, there)
        for _ in range(3):
            assert here.limits.charge("submit", VISITOR, None)[1] == 0
        async with asyncio.timeout(10):
            await was_told.wait()
        assert there.limits.charge("submit", VISITOR, None)[1] > 0


@pytest.mark.parametrize("nonsense", [b"", b"[]", b"[1, 2]", b'["x", [["key"]]]', b'["x", [["key", "many"]]]'])
async def test_nonsense_is_not_counted(nats_server: str, nonsense: bytes) -> None:
    edge = an_edge()
    async with linked(nats_server, edge):
        await heard(nats_server, edge)
        client = await connection.connect(EventingSettings(nats_url=nats_server), "test")
        await client.publish(EDGE_TALLY, nonsense)
        await client.publish(event_subject("globex", "tenant.updated"), b"")
        await until(lambda: edge.changes.latest("globex") > 0)
        assert edge.limits.charge("submit", VISITOR, None)[1] == 0
        await connection.close(client)
