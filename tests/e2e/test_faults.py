"""Z5: whatever is killed, no acknowledged submission is lost and no effect happens twice."""

import asyncio
import collections
import email
import email.policy
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import standardwebhooks

from tests.e2e.platform import Platform
from tests.e2e.receiver import receiving
from tests.factories import ANSWERS, PARTY

SUBMISSIONS = 5000
CLIENTS = 24


async def submit_until_acknowledged(client: httpx.AsyncClient, path: str, number: int) -> str:
    """Submit under one key until the answer is 201; the response's id."""
    body = {"answers": {**ANSWERS, "name": f"person {number}"}}
    async with asyncio.timeout(120):
        while True:
            try:
                answer = await client.post(path, json=body, headers={"Idempotency-Key": f"key-{number}"})
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 201:
                response_id: str = answer.json()["id"]
                return response_id
            assert answer.status_code in {409, 429, 502, 503, 504}, answer.text
            await asyncio.sleep(0.05)


async def eventually(check: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await check():
            await asyncio.sleep(0.25)


@pytest.mark.cluster
@pytest.mark.timeout(900)
async def test_kill_9_of_every_part_loses_nothing(tmp_path: Path) -> None:
    """E3, E7, Z5: nats-server, a consumer, a context replica and the edge are killed during 5,000 submissions."""
    platform = Platform(tmp_path / "data").start()
    try:
        async with receiving() as receiver:
            client = await platform.sign_up("acme")
            settings = {"send_notification": True, "notification_recipients": ["team@example.org"]}
            form = (
                await client.post(
                    "/api/v1/forms",
                    json={"slug": "party", "title": "Party", "definition": PARTY, "settings": settings},
                )
            ).json()
            assert (await client.post(f"/api/v1/forms/{form['id']}/publish")).status_code == 200
            hook = await client.post(
                "/api/v1/webhooks",
                json={"url": receiver.url, "events": ["response.submitted"], "form_id": form["id"]},
            )
            assert hook.status_code == 201, hook.text

            numbers = itertools.count()
            acknowledged: dict[int, str] = {}
            kills = {
                SUBMISSIONS // 6: "nats-server",
                SUBMISSIONS * 2 // 6: "workers",
                SUBMISSIONS * 3 // 6: "core",
                SUBMISSIONS * 4 // 6: "edge",
                SUBMISSIONS * 5 // 6: "nats-server",
            }

            async def person() -> None:
                async with platform.client() as visitor:
                    while (number := next(numbers)) < SUBMISSIONS:
                        acknowledged[number] = await submit_until_acknowledged(
                            visitor, "/api/v1/public/acme/party/responses", number
                        )
                        if (role := kills.pop(len(acknowledged), None)) is not None:
                            platform.kill(role)

            await asyncio.gather(*(person() for _ in range(CLIENTS)))
            assert not kills
            assert len(set(acknowledged.values())) == SUBMISSIONS

            stored: collections.Counter[str] = collections.Counter()
            cursor = None
            while True:
                page = await client.get(
                    f"/api/v1/forms/{form['id']}/responses",
                    params={"limit": 1000, **({"cursor": cursor} if cursor else {})},
                )
                assert page.status_code == 200, page.text
                stored.update(row["answers"]["name"] for row in page.json()["data"])
                cursor = page.json()["meta"]["next_cursor"]
                if cursor is None:
                    break
            assert stored == collections.Counter(f"person {number}" for number in range(SUBMISSIONS))

            mail = platform.data_dir / "mail"

            async def all_mailed() -> bool:
                return len(list(mail.glob("*.eml"))) >= SUBMISSIONS

            await eventually(all_mailed, 300)
            await receiver.wait_for(SUBMISSIONS, 180)

            subjects: collections.Counter[str] = collections.Counter()
            for path in mail.glob("*.eml"):
                message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                text = message.get_body(("plain",))
                assert text is not None
                subjects.update(line.strip() for line in text.get_content().splitlines() if "person " in line)
            assert subjects == stored

            verifier = standardwebhooks.Webhook(hook.json()["secret"])
            delivered: dict[str, str] = {}
            for event_id, deliveries in receiver.deliveries.items():
                assert len({body for _, body in deliveries}) == 1
                headers, body = deliveries[-1]
                event = verifier.verify(body, headers)
                assert event["id"] == event_id
                delivered[event["data"]["response_id"]] = event_id
            assert set(delivered) == set(acknowledged.values())
            await client.aclose()
    finally:
        platform.stop()
