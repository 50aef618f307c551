"""A published form of ten fields on a running platform, and who submits to it."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import psutil

from benchmarks.databases import database_url, server_folder
from benchmarks.wrk import Load, post
from db.settings import DatabaseSettings
from tests.e2e.platform import Platform

TEN_FIELDS: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Name", "required": True},
                {"id": "email", "type": "email", "title": "E-mail", "required": True},
                {"id": "age", "type": "integer", "title": "Age", "validation": {"min": 0, "max": 150}},
                {"id": "born", "type": "date", "title": "Born"},
                {"id": "site", "type": "url", "title": "Site"},
                {
                    "id": "side",
                    "type": "multi_choice",
                    "title": "Sides",
                    "options": [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams"}],
                },
                {
                    "id": "main",
                    "type": "choice",
                    "title": "Main dish",
                    "options": [{"id": "turkey", "label": "Turkey"}, {"id": "tofu", "label": "Tofu"}],
                },
                {"id": "score", "type": "nps", "title": "Recommend us?"},
                {"id": "again", "type": "yes_no", "title": "Again?"},
                {"id": "note", "type": "long_text", "title": "Note", "validation": {"max_length": 2000}},
            ],
        }
    ],
    "languages": ["en"],
}
ANSWERS: dict[str, Any] = {
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "age": 36,
    "born": "1815-12-10",
    "site": "https://example.org/ada",
    "side": ["corn", "yams"],
    "main": "turkey",
    "score": 9,
    "again": True,
    "note": "The engine might act upon other things besides number.",
}


class Watched(Protocol):
    """A running platform whose database and processes can be looked into."""

    url: str
    database: DatabaseSettings
    postgresql: Path

    @property
    def nats_url(self) -> str:
        """Of its NATS, with credentials."""

    def everything(self) -> Iterator[psutil.Process]:
        """All its processes but PostgreSQL's, which work in the folder `postgresql`."""

    async def sign_up(self, tenant: str) -> httpx.AsyncClient:
        """A new tenant without limits, and a client that may do everything in it."""


class OwnPlatform(Platform):
    """A platform with a database that is its own and can be looked into."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder / "data", FORMSTREAM_DATABASE_URL=url)
        self.database = DatabaseSettings(url=url)
        self.postgresql = server_folder(folder)

    @property
    def nats_url(self) -> str:
        """Of its own server, with credentials: the command that starts the platform hands it to what it starts."""
        return self.find("raylet").environ()["FORMSTREAM_NATS_URL"]

    def everything(self) -> Iterator[psutil.Process]:
        """The command and all that it started."""
        yield psutil.Process(self.pid)
        yield from self.processes()


@contextmanager
def running(database: str) -> Iterator[OwnPlatform]:
    """The platform on a database of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="formstream-", ignore_cleanup_errors=True) as folder,
        database_url(database, Path(folder)) as url,
    ):
        platform = OwnPlatform(Path(folder), url).start()
        try:
            yield platform
        finally:
            platform.stop()


@dataclass(slots=True)
class Form:
    """The form, of a tenant of its own, and a client that may do everything with it.

    `answered` counts the submissions that were answered with 201, `unanswered` those that may have been stored without
    an answer: the generator leaves what is under way when its time is over.
    """

    platform: Watched
    client: httpx.AsyncClient
    tenant: str
    id: str
    answered: int = 0
    unanswered: int = 0

    @classmethod
    async def of(cls, platform: Watched, tenant: str) -> Self:
        """Sign up the tenant, publish the form, and submit to it once."""
        client = await platform.sign_up(tenant)
        made = await client.post("/api/v1/forms", json={"slug": "ten", "title": "Ten", "definition": TEN_FIELDS})
        form_id = made.json()["id"]
        assert (await client.post(f"/api/v1/forms/{form_id}/publish")).status_code == 200
        form = cls(platform, client, tenant, form_id)
        assert await form.submit() > 0
        return form

    @property
    def path(self) -> str:
        """Of its responses."""
        return f"/api/v1/forms/{self.id}/responses"

    async def submit(self) -> float:
        """Submit once; the seconds until the answer."""
        began = time.monotonic()
        await self.respond()
        return time.monotonic() - began

    async def respond(self) -> str:
        """Submit once; the id of the response."""
        answer = await self.client.post(self.path, json={"answers": ANSWERS})
        assert answer.status_code == 201, answer.text
        self.answered += 1
        return str(answer.json()["id"])

    def load(self, connections: int, seconds: int, pause_ms: int = 0) -> Load:
        """Submit over so many connections for so long, on each so long after the latest answer."""
        credential = self.client.headers["authorization"].removeprefix("Bearer ")
        url = self.platform.url + self.path
        load = post(url, {"answers": ANSWERS}, credential, connections, seconds, pause_ms=pause_ms)
        self.answered += load.answered
        self.unanswered += connections + load.errors
        return load
