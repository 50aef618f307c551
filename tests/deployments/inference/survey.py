"""What the tests of models at work share: models that can be foreseen, a form, and doing what is marked."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import orjson

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.session import Database
from deployments.forms.contracts import Form
from deployments.forms.deployment import Forms
from deployments.inference.deployment import Inference
from deployments.inference.enrichment.marking import ENRICH, on_events, select_wanted
from deployments.inference.enrichment.working import Enrich
from deployments.inference.search.keeping import Indexes
from deployments.kit.principal import Principal
from deployments.models.contracts import (
    Embeddings,
    Entities,
    Entity,
    Frame,
    HeadRef,
    InstalledModel,
    Judgements,
)
from deployments.models.heads.learning import Learning
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.events.envelope import Event, Origin
from eventing.jobs import Done
from tests.deployments.inference.scene import attempt_of
from tests.eventing.harness import rows
from tests.factories import make_form

DIMENSIONS = 64
TYPES = ("response.submitted", "response.updated", "response.restored", "response.released")
VISITOR = Principal.anonymous("acme", Origin())
DEFINITION = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "comment", "type": "long_text", "title": "Comment"},
                {"id": "story", "type": "long_text", "title": "Story", "personal": True},
                {"id": "score", "type": "nps", "title": "Recommend us?"},
            ],
        }
    ]
}
AI: dict[str, Any] = {
    "classify": [{"head": "sentiment", "fields": ["comment", "story"]}],
    "extract": {"fields": ["comment"]},
    "embed": {"fields": ["comment", "story"]},
}


class FakeModels:
    """Texts with "bad" are negative, "fine" ones positive, others undecided; an address is an entity; texts are near
    when they share words. `before` runs ahead of each answer about labels."""

    def __init__(self, version: int = 1, before: Callable[[Sequence[str]], Awaitable[None]] | None = None) -> None:
        self.version = version
        self.before = before
        self.asked = 0

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        vectors = np.array([_direction(text) for text in texts], dtype=np.float32)
        return Embeddings(model=f"words@{self.version}", dimensions=DIMENSIONS, vectors=vectors.tobytes())

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        self.asked += 1
        if self.before is not None:
            await self.before(texts)
        scores = tuple((0.9, 0.1) if "bad" in text else (0.2, 0.8) if "fine" in text else (0.5, 0.5) for text in texts)
        return Judgements(
            model=f"{head.name}@{self.version}", labels=("negative", "positive"), threshold=0.6, scores=scores
        )

    async def extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        found = tuple(
            tuple(
                Entity(type="email", text=match[0], start=match.start(), end=match.end(), value=match[0].lower())
                for match in re.finditer(r"\S+@\S+", text)
            )
            for text in texts
        )
        return Entities(model=f"finder@{self.version}", entities=found)

    async def installed(self) -> tuple[InstalledModel, ...]:
        return ()

    async def close(self) -> None:
        pass


def _direction(text: str) -> Any:
    vector = np.full(DIMENSIONS, 1e-3)
    for word in re.findall(r"\w+", text.lower()):
        vector[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest()) % DIMENSIONS] += 1
    return vector / np.linalg.norm(vector)


def door(database: Database, models: Any, responses: Responses, indexes: Indexes | None = None) -> Inference:
    """The context, with models that teach nothing."""
    return Inference(database, models, Learning(), responses, Forms(database), indexes)


async def make_survey(database: Database, principal: Principal, **settings: Any) -> Form:
    return await make_form(database, principal, definition=DEFINITION, **{"ai": AI, **settings})


async def submit(responses: Responses, comment: str | None = None, tenant: str = "acme", **answers: Any) -> str:
    given = answers if comment is None else {"comment": comment, **answers}
    body = SubmitResponse(body=orjson.dumps({"answers": given}), slug="party")
    return (await responses.submit(Principal.anonymous(tenant, Origin()), body)).id


async def mark(database: Database, tenant: str = "acme") -> None:
    """Give all events to the consumer, as a replay of all would."""
    events = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    events = [event for event in events if event.type in TYPES and event.tenant_id == tenant]
    async with database.read(tenant) as unit:
        wanted = await select_wanted(unit, events)
    async with database.write(tenant) as unit:
        await on_events(unit, wanted)


async def orders(database: Database, kind: str = ENRICH) -> list[Job]:
    return sorted((job for job in await rows(database, Job) if job.kind == kind), key=lambda job: job.id)


async def work(database: Database, models: Any, tenant: str = "acme", **options: Any) -> Done | None:
    """Do what the latest job of the tenant is for, and end it as the runner does."""
    job = [job for job in await orders(database) if job.tenant_id == tenant][-1]
    done = await Enrich(database, models, **options).run(attempt_of(job))
    if done is not None and done.effect is not None:
        async with database.write(tenant) as unit:
            await done.effect(unit)
    return done


async def enrich(database: Database, models: Any, tenant: str = "acme") -> None:
    await mark(database, tenant)
    await work(database, models, tenant)
