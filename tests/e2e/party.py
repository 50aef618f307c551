"""A tenant with one published form, and everything that must follow a submission of it."""

import asyncio
import collections
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import standardwebhooks

from tests.e2e.platform import Platform
from tests.e2e.receiver import Receiver, receiving
from tests.factories import ANSWERS, PARTY

_EFFECTS_S = 180.0
_TEAM = "team@example.org"


class Party:
    """The form, who submitted it, and where its mails and deliveries arrive."""

    def __init__(self, platform: Platform, tenant: str, owner: httpx.AsyncClient, receiver: Receiver) -> None:
        self._mail = platform.data_dir / "mail"
        self._others = len(self._mails())
        self._receiver = receiver
        self._secret = ""
        self.owner = owner
        self.form = ""
        self.path = f"/api/v1/public/{tenant}/party/responses"
        self.acknowledged: dict[int, str] = {}

    async def open(self) -> None:
        """Publish the form and subscribe to its submissions."""
        settings = {"send_notification": True, "notification_recipients": [_TEAM]}
        body = {"slug": "party", "title": "Party", "definition": PARTY, "settings": settings}
        form_id = (await self._created("/api/v1/forms", body))["id"]
        self.form = f"/api/v1/forms/{form_id}"
        published = await self.owner.post(f"{self.form}/publish")
        assert published.status_code == 200, published.text
        hook = {"url": self._receiver.url, "events": ["response.submitted"], "form_id": form_id}
        self._secret = (await self._created("/api/v1/webhooks", hook))["secret"]

    async def effects(self) -> list[EmailMessage]:
        """See that what was acknowledged is stored once, counted once, mailed once and delivered under one id; the
        mails, oldest first."""
        await self.stored()
        people = self._people()
        async with asyncio.timeout(_EFFECTS_S):
            while len(self._mails()) - self._others < len(people):
                await asyncio.sleep(0.25)
        mails = [_parsed(path) for path in self._mails()[self._others :]]
        assert collections.Counter(map(_person, mails)) == collections.Counter(people.keys())

        await self.delivered()
        await self.counted()
        return mails

    async def stored(self) -> None:
        """See that what was acknowledged is stored once."""
        stored = await self._stored()
        assert len(stored) == len(self.acknowledged)
        assert {row["answers"]["name"]: row["id"] for row in stored} == self._people()

    async def delivered(self) -> int:
        """See that what was acknowledged is delivered under one id, signed; how many deliveries that took."""
        await self._receiver.wait_for(len(self.acknowledged), _EFFECTS_S)
        verifier = standardwebhooks.Webhook(self._secret)
        delivered = {}
        for event_id, deliveries in self._receiver.deliveries.items():
            (body,) = {body for _, body in deliveries}
            event = verifier.verify(body, deliveries[-1][0])
            assert event["id"] == event_id
            delivered[event_id] = event["data"]["response_id"]
        assert sorted(delivered.values()) == sorted(self.acknowledged.values())
        return sum(map(len, self._receiver.deliveries.values()))

    async def counted(self) -> None:
        """See that the live figures count each person, and each of their answers, once."""
        people = len(self.acknowledged)
        async with asyncio.timeout(_EFFECTS_S):
            while (figures := await self._figures())["submissions"] < people:
                await asyncio.sleep(0.25)
        assert (figures["submissions"], figures["starts"], figures["partials"]) == (people, people, 0)
        found = {each["field"]: each for each in figures["fields"]}
        assert {name: found[name]["answered"] for name in ANSWERS} == dict.fromkeys(ANSWERS, people)
        chosen = {option["value"]: option["count"] for option in found["side"]["options"]}
        assert {name: count for name, count in chosen.items() if count} == dict.fromkeys(ANSWERS["side"], people)
        assert found["score"]["numbers"]["sum"] == people * ANSWERS["score"]

    def _people(self) -> dict[str, str]:
        return {f"person {number}": response_id for number, response_id in self.acknowledged.items()}

    async def _figures(self) -> dict[str, Any]:
        answer = await self.owner.get(f"{self.form.replace('/v1/', '/v2/analytics/')}/metrics")
        assert answer.status_code == 200, answer.text
        figures: dict[str, Any] = answer.json()
        return figures

    async def _created(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.owner.post(path, json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def _stored(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            page = await self.owner.get(f"{self.form}/responses", params={"limit": "1000", **cursor})
            assert page.status_code == 200, page.text
            rows += page.json()["data"]
            following = page.json()["meta"]["next_cursor"]
            cursor = {"cursor": following} if following else None
        return rows

    def _mails(self) -> list[Path]:
        # Others get letters about their accounts meanwhile.
        ours = (path for path in self._mail.glob("*.eml") if f"\nTo: {_TEAM}".encode() in path.read_bytes())
        return sorted(ours, key=lambda path: path.stat().st_mtime_ns)


@asynccontextmanager
async def partying(platform: Platform, tenant: str) -> AsyncIterator[Party]:
    """A party of a new tenant, open to everybody."""
    async with receiving() as receiver, await platform.sign_up(tenant) as owner:
        party = Party(platform, tenant, owner, receiver)
        await party.open()
        yield party


def submission(number: int) -> dict[str, Any]:
    """What `person <number>` answers."""
    return {"answers": {**ANSWERS, "name": f"person {number}"}}


def _parsed(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _person(message: EmailMessage) -> str:
    text = message.get_body(("plain",))
    assert text is not None
    (line,) = (line.strip() for line in text.get_content().splitlines() if "person " in line)
    return str(line)
