"""E6: the live stream, over a real nats-server, from commits at one end to listeners at the other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from db.settings import DatabaseSettings
from eventing.server import EmbeddedServer
from serve_app.contexts import CONTEXTS
from serve_app.edge import live
from serve_app.edge_host import EdgeHost
from tests.e2e.platform import free_port
from tests.eventing.harness import empty_stream, eventually, is_true
from tests.factories import ANSWERS
from tests.serve_app.ears import listening
from tests.serve_app.one_process import OneProcess, one_process, replica, settings_for
from tests.serve_app.test_one_process import publish_party

Running: TypeAlias = AsyncIterator[OneProcess]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PASSWORD = "correct horse battery"


@asynccontextmanager
async def working(folder: Path, database: DatabaseSettings, url: str, patch: pytest.MonkeyPatch) -> Running:
    async with empty_stream(url):
        pass
    async with one_process(settings_for(folder, database, url, max_listeners=5), patch) as running:
        yield running


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> Running:
    async with working(tmp_path, sqlite_settings, nats_server, monkeypatch) as running:
        yield running


@pytest.fixture
async def either_platform(
    tmp_path: Path, database_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> Running:
    async with working(tmp_path, database_settings, nats_server, monkeypatch) as running:
        yield running


async def submit(client: httpx.AsyncClient, tenant: str, times: int = 1) -> list[str]:
    """Submit so often at the same time; the ids of the responses."""
    path = f"/api/v1/public/{tenant}/party/responses"
    answers = await asyncio.gather(*(client.post(path, json={"answers": ANSWERS}) for _ in range(times)))
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["id"] for answer in answers]


def responses(events: list[dict[str, Any]]) -> list[str]:
    return [event["entity_id"] for event in events]


async def add_person(platform: OneProcess, owner: httpx.AsyncClient, name: str, role: str) -> httpx.AsyncClient:
    email = f"{name}@acme.example"
    made = await owner.post("/api/v1/users", json={"email": email, "password": PASSWORD, "name": name, "role": role})
    assert made.status_code == 201, made.text
    login = {"tenant": "acme", "email": email, "password": PASSWORD}
    token = (await platform.client().post("/api/v1/auth/login", json=login)).json()["access_token"]
    client = platform.client(token)
    client.headers["x-user"] = made.json()["id"]
    return client


async def test_what_happens_is_heard_by_those_whom_it_concerns(either_platform: OneProcess) -> None:
    """E3, E6: per tenant, per form and by type; resumed without a gap or a duplicate; in order per entity."""
    owner, other = await either_platform.sign_up(), await either_platform.sign_up("other")
    form_id = await publish_party(owner)
    await publish_party(other)
    only = {"types": "response.submitted"}
    async with (
        listening(owner, **only) as mine,
        listening(owner, **only, form_id=form_id) as formwise,
        listening(other, **only) as theirs,
        listening(owner, types="form.updated,form.archived") as forms,
    ):
        first = await submit(owner, "acme", 5)
        assert sorted(responses(await mine.hears(5))) == sorted(first)
        await formwise.hears(5)
        (foreign,) = await submit(other, "other")
        assert responses(await theirs.hears(1)) == [foreign]
        assert {event["tenant_id"] for event in theirs.events} == {"other"}
        assert (await owner.patch(f"/api/v1/forms/{form_id}", json={"title": "Feast"})).status_code == 200
        await forms.hears(1)
    assert forms.types == ["form.updated"]
    heard = mine.ids

    later = await submit(owner, "acme", 3)
    async with listening(owner, after=heard[1], **only) as resumed:
        await resumed.hears(6)
        assert resumed.ids[:3] == heard[2:]
        latest = await submit(owner, "acme")
        await resumed.hears(7)
        assert sorted(responses(resumed.events[3:6])) == sorted(later)
        assert responses(resumed.events[6:]) == latest

    listed = (await owner.get("/api/v1/events", params={"type": "response.submitted", "limit": 100})).json()["data"]
    assert sorted(event["id"] for event in listed) == sorted(mine.ids + resumed.ids[3:])
    assert {event["id"]: event for event in listed}[heard[0]] == mine.events[0]
    hostile = await owner.get("/api/v1/events/stream?seconds=0.1", headers={"Last-Event-ID": b"\xff"})
    assert (hostile.status_code, hostile.json()["errors"][0]["pointer"]) == (422, "/last_event_id")
    for nonsense in ("type=%00", "form_id=%00", "entity_id=%ff", "since=yesterday", "cursor=%00", "types=a"):
        assert (await owner.get(f"/api/v1/events?{nonsense}")).status_code in (200, 422), nonsense
    answer = await owner.get("/api/v1/events/stream", params={"last_event_id": theirs.ids[0], "seconds": 0.1})
    nowhere = await owner.get("/api/v1/events/stream", params={"last_event_id": "evt_0", "seconds": 0.1})
    assert [(a.status_code, a.json()["code"]) for a in (answer, nowhere)] == [(410, "event.not_in_stream")] * 2
    await _entities_keep_their_order(owner, form_id)


async def _entities_keep_their_order(owner: httpx.AsyncClient, form_id: str) -> None:
    async with listening(owner, form_id=form_id, types="response.submitted,response.reviewed,response.deleted") as ear:

        async def live_and_die() -> None:
            (response_id,) = await submit(owner, "acme")
            its = f"/api/v1/responses/{response_id}"
            decision = {"state": "approved"}
            reviewed = await owner.put(f"{its}/review", json=decision)
            assert reviewed.status_code == 200, reviewed.text
            assert (await owner.delete(its)).status_code == 204

        await asyncio.gather(*(live_and_die() for _ in range(6)))
        await ear.hears(18)
    by_entity: dict[str, list[str]] = {}
    for event in ear.events:
        by_entity.setdefault(event["entity_id"], []).append(event["type"])
    assert list(by_entity.values()) == [["response.submitted", "response.reviewed", "response.deleted"]] * 6


async def test_listening_ends_with_the_right_to_listen(platform: OneProcess) -> None:
    """E6, U2: within moments of the news; a grant for one form opens that form only, and can be taken back."""
    owner = await platform.sign_up()
    form_id = await publish_party(owner)
    analyst = await add_person(platform, owner, "ann", "analyst")
    guest = await add_person(platform, owner, "guy", "guest")
    grant = f"/api/v1/forms/{form_id}/grants/{guest.headers['x-user']}"
    refused = await guest.get("/api/v1/events/stream", params={"seconds": 0.1})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await owner.put(grant, json={"role": "analyst"})).status_code in (200, 201, 204)
    await eventually(lambda: _may_listen(guest))

    # Streams start with what is published from now on, which what happened above may still be.
    only = {"types": "response.submitted"}
    async with (
        listening(analyst, **only) as hers,
        listening(guest, **only) as his,
        listening(guest, **only, form_id=form_id) as formwise,
    ):
        assert (hers.status, his.status, formwise.status) == (200, 200, 200)
        await submit(owner, "acme")
        seen = await his.hears(1)
        assert seen == await formwise.hears(1)
        assert his.types == ["response.submitted"]
        # Neither may see personal answers, or where people are: that is for others.
        assert seen[0]["data"]["answers"] is None
        assert seen[0]["hidden"] == ["/address", "/user_agent", "/data/answers"]
        await hers.hears(1)

        assert (await owner.delete(grant)).status_code == 204
        await his.is_over(5)
        await formwise.is_over(5)
        assert not hers.over.is_set()
        person = f"/api/v1/users/{analyst.headers['x-user']}"
        assert (await owner.patch(person, json={"status": "deactivated"})).status_code == 200
        await hers.is_over(5)
    again = await analyst.get("/api/v1/events/stream", params={"seconds": 0.1})
    assert again.status_code in (401, 403)


async def test_without_news_rights_are_asked_for_again(platform: OneProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """E6: a lost hint does not leave a stream open, and a listener hears that the connection is alive."""
    monkeypatch.setattr(live, "_TICK_S", 0.2)
    owner = await platform.sign_up()
    key = (await owner.post("/api/v1/api-keys", json={"name": "ear", "scopes": ["events:read"]})).json()
    assert platform.edge is not None
    edge = platform.edge._edge
    monkeypatch.setattr(edge.changes, "note", lambda _tenant: None)
    monkeypatch.setattr(edge.live, "recheck", lambda _tenant: None)
    async with listening(platform.client(key["key"]), types="form.updated") as ear:
        await eventually(lambda: is_true(lambda: ear.comments > 2))
        assert (await owner.delete(f"/api/v1/api-keys/{key['id']}")).status_code == 204
        await ear.is_over(5)


async def test_a_tenant_has_so_many_listeners_and_no_more(platform: OneProcess) -> None:
    """E6: the limit is per tenant; who leaves makes room, and the reader ends with the last."""
    owner, other = await platform.sign_up(), await platform.sign_up("other")
    assert platform.edge is not None
    edge = platform.edge._edge
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(_listen_for(owner, 1.0))
        await eventually(lambda: is_true(lambda: edge.live.listeners == 5))
        answer = await owner.get("/api/v1/events/stream", params={"seconds": 0.1})
        assert (answer.status_code, answer.json()["code"]) == (429, "events.too_many_listeners")
        assert "retry-after" in answer.headers
        assert (await other.get("/api/v1/events/stream", params={"seconds": 0.1})).status_code == 200
        assert edge.running <= 1
        assert (await owner.head("/api/v1/events/stream")).status_code == 405, "it would have no end"
    async with listening(owner):
        assert edge.live.listeners == 1
    # Whoever leaves without a word makes room, too.
    await eventually(lambda: is_true(lambda: edge.live.listeners == 0))
    assert edge.live._feeds == {}


async def _may_listen(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/v1/events/stream", params={"seconds": 0.1})).status_code == 200


async def _listen_for(client: httpx.AsyncClient, seconds: float) -> None:
    assert (await client.get("/api/v1/events/stream", params={"seconds": seconds})).status_code == 200


async def test_listeners_outlive_a_nats_server_that_dies(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E6, E7: what is submitted meanwhile comes when the server is back, each once; with the trace of its request."""
    with EmbeddedServer(tmp_path / "nats") as server:
        settings = settings_for(tmp_path, sqlite_settings, server.url)
        async with one_process(settings, monkeypatch) as platform:
            owner = await platform.sign_up()
            await publish_party(owner)
            async with listening(owner, types="response.submitted") as ear:
                submitted = await submit(owner, "acme", 2)
                await ear.hears(2)
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                submitted += await submit(owner, "acme", 3)
                owner.headers.update({"traceparent": TRACE, "x-correlation-id": "request-0001"})
                last = await submit(owner, "acme")
                await ear.hears(6)
                await eventually(lambda: is_true(lambda: last == responses(ear.events[-1:])))
    assert sorted(responses(ear.events)) == sorted(submitted + last)
    assert len(set(ear.ids)) == 6
    assert (ear.events[-1]["traceparent"], ear.events[-1]["request_id"]) == (TRACE, "request-0001")


async def test_an_edge_that_stops_sends_its_listeners_elsewhere(platform: OneProcess) -> None:
    """E6, O4: any number of edges; a resume at another one misses nothing."""
    owner = await platform.sign_up()
    await publish_party(owner)
    elsewhere = platform.settings.model_copy(update={"port": free_port()})
    homes = {name: "hot" if name == "responses" else "calm" for name in CONTEXTS}
    began = asyncio.get_running_loop().time()
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{elsewhere.port}", headers=owner.headers) as there,
        replica(EdgeHost, elsewhere, homes),
        listening(owner, types="response.submitted") as here,
    ):
        async with listening(there, types="response.submitted") as away:
            first = await submit(owner, "acme", 3)
            await asyncio.gather(here.hears(3), away.hears(3))
            assert here.ids == away.ids
        assert platform.edge is not None
        await platform.edge._edge.stop()
        await here.is_over(5)
        later = await submit(there, "acme", 2)
        async with listening(there, after=here.ids[-1], types="response.submitted") as resumed:
            await resumed.hears(2)
    assert sorted(responses(here.events + resumed.events)) == sorted(first + later)
    assert asyncio.get_running_loop().time() - began < 20
