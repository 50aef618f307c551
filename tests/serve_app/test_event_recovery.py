"""E4, E5 over HTTP: a dead letter is redriven, events are replayed, and the receiver sees what that means."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.js.errors import NotFoundError
from sqlmodel import col, select

from db.models.events import DeadLetter, Event
from db.session import Database
from db.settings import DatabaseSettings
from db.types import new_id, utc_now
from eventing.connection import connect
from eventing.streams import EVENTS
from serve_app.consumers import CONSUMERS
from serve_app.settings import Settings
from serve_app.subscriptions import subscriptions
from tests.architecture.rooms import ROOT
from tests.deployments.local_http import answer, serving
from tests.eventing.harness import count, empty_stream, eventually, is_true
from tests.factories import ANSWERS
from tests.serve_app.one_process import SECRET, OneProcess, one_process, settings_for
from tests.serve_app.test_guides import _commands, _request
from tests.serve_app.test_one_process import publish_party


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with empty_stream(nats_server):
        pass
    async with one_process(settings_for(tmp_path, sqlite_settings, nats_server), monkeypatch) as running:
        yield running


async def give_up(platform: OneProcess, event_type: str) -> str:
    """Write the event off for the webhooks, as if it had failed for good."""
    database = Database(platform.settings.database())
    async with database.write("acme") as unit:
        event = (await unit.session.scalars(select(Event).where(col(Event.type) == event_type))).one()
        letter = DeadLetter(
            tenant_id="acme",
            id=new_id("dlq"),
            consumer="webhooks",
            event_id=event.id,
            event_type=event.type,
            reason="RuntimeError: no",
            attempts=8,
            envelope=event.envelope,
            created_at=utc_now(),
        )
        unit.session.add(letter)
    await database.close()
    return letter.id


async def consumed(platform: OneProcess) -> bool:
    """Whether the webhooks have been told of everything there was."""
    database = Database(platform.settings.database())
    unpublished = await count(database, Event, col(Event.published_at).is_(None))
    await database.close()
    if unpublished:
        return False
    client = await connect(platform.settings.eventing(), "test")
    try:
        info = await client.jetstream().consumer_info(EVENTS, "webhooks")
    except NotFoundError:
        return False
    finally:
        await client.close()
    return not (info.num_pending or info.num_ack_pending)


async def succeeded(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (job := (await client.get(path)).json())["state"] in ("queued", "running"):
            await asyncio.sleep(0.05)
    assert job["state"] == "succeeded", job
    result: dict[str, Any] = job["result"]
    return result


async def test_from_a_dead_letter_and_a_replay_to_the_receiver(platform: OneProcess) -> None:
    async with await platform.sign_up() as client, serving(answer("204 No Content")) as receiver:
        form_id = await publish_party(client)
        # There before the event and enabled after it: what was before a webhook is no news for it.
        hook = {"url": f"http://127.0.0.1:{receiver.port}/hook", "events": ["response.submitted"]}
        webhook_id = (await client.post("/api/v1/webhooks", json=hook)).json()["id"]
        await client.patch(f"/api/v1/webhooks/{webhook_id}", json={"status": "disabled"})
        submitted = await client.post(f"/api/v1/forms/{form_id}/responses", json={"answers": ANSWERS})
        assert submitted.status_code == 201
        await eventually(lambda: consumed(platform))
        letter_id = await give_up(platform, "response.submitted")
        assert (await client.patch(f"/api/v1/webhooks/{webhook_id}", json={"status": "enabled"})).status_code == 200

        listed = (await client.get("/api/v1/dead-letters", params={"consumer": "webhooks"})).json()["data"]
        assert [(letter["id"], letter["attempts"]) for letter in listed] == [(letter_id, 8)]
        shown = (await client.get(f"/api/v1/dead-letters/{letter_id}")).json()
        assert shown["event"]["data"]["answers"] == submitted.json().get("answers", ANSWERS)
        assert (await client.post(f"/api/v1/dead-letters/{letter_id}/redrive")).status_code == 204
        assert (await client.get(f"/api/v1/dead-letters/{letter_id}")).status_code == 404
        await eventually(lambda: is_true(lambda: len(receiver.requests) == 1))

        order = {"webhook_id": webhook_id, "form_id": form_id}
        dry = await client.post("/api/v1/events/replay", json={**order, "dry_run": True})
        assert dry.status_code == 202
        counted = await succeeded(client, dry.headers["location"])
        assert (counted["replayed"], len(counted["sample"])) == (1, 1)
        started = await client.post("/api/v1/events/replay", json=order, headers={"Idempotency-Key": "k-1"})
        again = await client.post("/api/v1/events/replay", json=order, headers={"Idempotency-Key": "k-1"})
        assert again.headers["location"] == started.headers["location"]
        assert again.headers["idempotent-replayed"] == "true"
        assert (await succeeded(client, started.headers["location"]))["replayed"] == 1
        await eventually(lambda: is_true(lambda: len(receiver.requests) == 2))
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == shown["event_id"]
        assert first.body == second.body
        assert "formstream-replay" not in first.headers
        assert second.headers["formstream-replay"] == started.json()["job_id"]

        nothing = await client.post("/api/v1/dead-letters/discard", json={})
        assert (nothing.status_code, nothing.json()["code"]) == (422, "dead_letter.choice")
        many = await client.post("/api/v1/dead-letters/discard", json={"consumer": "webhooks"})
        assert many.status_code == 202
        assert (await succeeded(client, many.headers["location"]))["done"] == 0
        actions = [entry["action"] for entry in (await client.get("/api/v1/audit")).json()["data"]]
        assert {"dead_letter.redriven", "events.replay", "dead_letters.discard"} <= set(actions)


async def test_the_names_of_the_consumers_are_those_of_the_subscriptions(sqlite_settings: DatabaseSettings) -> None:
    database = Database(sqlite_settings)
    declared = subscriptions(database, Settings(secret_key=SECRET))  # type: ignore[arg-type]
    await database.close()
    assert {each.name: each.replayable for each in declared} == dict(CONSUMERS)


async def test_every_command_of_the_guide_works(platform: OneProcess) -> None:
    """E4, E5: with a dead letter and a webhook, as a reader has them."""
    async with await platform.sign_up() as client:
        form_id = await publish_party(client)
        await client.post(f"/api/v1/forms/{form_id}/responses", json={"answers": ANSWERS})
        hook = {"url": "https://example.com/hook", "events": ["*"]}
        variables = {
            "api": "/api/v1",
            "auth": f"Authorization: {client.headers['authorization']}",
            "letter": await give_up(platform, "response.submitted"),
        }
        webhook = (await client.post("/api/v1/webhooks", json=hook)).json()["id"]
        statuses = []
        for name, member, command in _commands(ROOT / "docs" / "guides" / "replay.md"):
            request = _request(command.replace("whk_0199", webhook), variables)
            answer = await platform.client().request(**request)
            assert answer.status_code < 300, (command, answer.text)
            statuses.append(answer.status_code)
            if name is not None:
                variables[name] = answer.json()[member]
        assert statuses == [200, 200, 200, 204, 202, 202, 202, 200, 202]
