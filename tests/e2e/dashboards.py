"""Tenants whose forms change while many look at them over HTTP: how old is what they see, and is it ever another's?"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.e2e.platform import Platform

COUNTED = frozenset({"live figures", "live figures over time"})
"""What the worker has to count before it can be seen."""

_FORMS = 5
_WARM_S = 5.0
_COUNTED_S = 120.0
_OVERLOADED = frozenset({429, 503, 504})


@dataclass
class Writes:
    """When each of the writes that follow each other was answered, the first one at place 0."""

    times: list[float] = field(default_factory=list)

    def done(self, number: int | None = None) -> None:
        """Another one was answered; or all up to this number, of which some were made though they were not answered."""
        missing = 1 if number is None else number - len(self.times)
        self.times += [time.monotonic()] * missing

    def age(self, seen: int, asked: float) -> float:
        """Who saw so many of them, by a question of that time, saw what had not been true for so many seconds."""
        return max(0.0, asked - self.times[seen]) if seen < len(self.times) else 0.0


@dataclass
class WatchedForm:
    """A form of a tenant, and what was written to it: titles are numbered, and so are versions and responses."""

    id: str
    slug: str
    titles: Writes = field(default_factory=Writes)
    versions: Writes = field(default_factory=Writes)
    responses: Writes = field(default_factory=Writes)


@dataclass
class Sightings:
    """What viewers saw: the age of each answer in seconds by what was looked at, how long they waited for it, and how
    many questions were turned away."""

    ages: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: list[float] = field(default_factory=list)
    written: int = 0
    strangers: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Forget what was seen until now."""
        self.ages.clear()
        self.waits.clear()
        self.refused.clear()
        self.written = self.strangers = 0


class Dashboard:
    """One tenant's forms, who changes them and who looks at them."""

    def __init__(self, tenant: str, owner: httpx.AsyncClient, sightings: Sightings) -> None:
        self.tenant = tenant
        self.forms: list[WatchedForm] = []
        self._owner = owner
        self._seen = sightings
        self._looks: Sequence[Callable[[WatchedForm], Awaitable[None]]] = (
            self._form,
            self._list,
            self._public,
            self._total,
            self._figures,
            self._series,
            self._query,
        )

    async def open(self) -> None:
        """Publish the forms. Those of all tenants have the same slugs."""
        for number in range(_FORMS):
            body = {"slug": f"f{number}", "title": self._title(0), "definition": _definition(0)}
            made = await self._owner.post("/api/v1/forms", json=body)
            assert made.status_code == 201, made.text
            form = WatchedForm(made.json()["id"], body["slug"])
            assert (await self._owner.post(f"/api/v1/forms/{form.id}/publish")).status_code == 200
            self.forms.append(form)

    async def counted(self) -> None:
        """Wait until the live figures have every response that was answered."""
        for form in self.forms:
            while True:
                _, found = await self._get(f"/api/v2/analytics/forms/{form.id}/metrics")
                if found is not None and found["submissions"] >= len(form.responses.times):
                    break
                await asyncio.sleep(0.1)

    # Who writes.

    async def rename(self, form: WatchedForm, pause_s: float) -> None:
        """Give the form another title, again and again."""
        for number in count(len(form.titles.times) + 1):
            await self._write("patch", f"/api/v1/forms/{form.id}", {"title": self._title(number)})
            form.titles.done()
            await asyncio.sleep(pause_s)

    async def publish(self, form: WatchedForm, pause_s: float) -> None:
        """Publish version after version."""
        for number in count(len(form.versions.times) + 1):
            await self._write("patch", f"/api/v1/forms/{form.id}", {"definition": _definition(number)})
            published = await self._write("post", f"/api/v1/forms/{form.id}/publish", {})
            form.versions.done(published["version"] - 1)
            await asyncio.sleep(pause_s)

    async def submit(self, form: WatchedForm, pause_s: float) -> None:
        """Answer the form as visitors do."""
        path = f"/api/v1/public/{self.tenant}/{form.slug}/responses"
        for number in count(len(form.responses.times) + 1):
            await self._write("post", path, {"answers": {"a": self.tenant}}, key=f"{form.id}-{number}")
            form.responses.done()
            await asyncio.sleep(pause_s)

    async def _write(self, method: str, path: str, body: Any, key: str | None = None) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        while True:
            answer = await self._owner.request(method, path, json=body, headers=headers)
            if answer.status_code not in _OVERLOADED:
                assert answer.is_success, answer.text
                self._seen.written += 1
                return answer.json()
            self._seen.refused["writes"] += 1
            await asyncio.sleep(0.05)

    # Who looks.

    async def view(self, others: Sequence[WatchedForm]) -> None:
        """Look at one thing after the other; now and then at a form of another tenant, which is not there."""
        while True:
            (form,) = random.choices(self.forms, [1 / (place + 1) for place in range(len(self.forms))])
            await random.choice(self._looks)(form)
            if random.random() < 0.1:
                await self._stranger(random.choice(others))

    async def _form(self, form: WatchedForm) -> None:
        asked, found = await self._get(f"/api/v1/forms/{form.id}")
        if found is not None:
            assert found["id"] == form.id
            self._saw("form", form.titles, self._number(found["title"]), asked)

    async def _list(self, _: WatchedForm) -> None:
        asked, found = await self._get("/api/v1/forms")
        if found is not None:
            mine = {form.id: form for form in self.forms}
            assert {each["id"] for each in found["data"]} == mine.keys()
            ages = [mine[each["id"]].titles.age(self._number(each["title"]), asked) for each in found["data"]]
            self._seen.ages["list of forms"].append(max(ages))

    async def _public(self, form: WatchedForm) -> None:
        asked, found = await self._get(f"/api/v1/public/{self.tenant}/{form.slug}")
        if found is not None:
            assert found["id"] == form.id
            self._saw("published form", form.versions, found["version"] - 1, asked)

    async def _total(self, form: WatchedForm) -> None:
        asked, found = await self._get(f"/api/v1/forms/{form.id}/responses?include_total=true&limit=5")
        if found is not None:
            assert all(each["answers"] == {"a": self.tenant} for each in found["data"])
            self._saw("list of responses, counted", form.responses, found["meta"]["total"], asked)

    async def _figures(self, form: WatchedForm) -> None:
        asked, found = await self._get(f"/api/v2/analytics/forms/{form.id}/metrics")
        if found is not None:
            self._saw("live figures", form.responses, found["submissions"], asked)

    async def _series(self, form: WatchedForm) -> None:
        path = f"/api/v2/analytics/forms/{form.id}/timeseries?measure=submissions&bucket=day"
        asked, found = await self._get(path)
        if found is not None:
            seen = int(sum(point["value"] for point in found["points"]))
            self._saw("live figures over time", form.responses, seen, asked)

    async def _query(self, form: WatchedForm) -> None:
        body = {
            "form_id": form.id,
            "measures": [{"name": "n", "op": "count"}],
            "dimensions": [{"field": "a"}],
        }
        asked, found = await self._get("/api/v2/analytics/query", body)
        if found is not None:
            assert {row["keys"][0]["value"] for row in found["rows"]} <= {self.tenant}
            self._saw("query", form.responses, found["totals"][0], asked)

    async def _stranger(self, form: WatchedForm) -> None:
        path = random.choice(("/api/v1/forms/{}", "/api/v1/forms/{}/responses", "/api/v2/analytics/forms/{}/metrics"))
        answer = await self._owner.get(path.format(form.id))
        assert answer.status_code in {404, *_OVERLOADED}, answer.text
        self._seen.strangers += answer.status_code == 404

    async def _get(self, path: str, body: Any = None) -> tuple[float, Any]:
        """When it was asked, and the answer; None when the platform has too much to do."""
        asked = time.monotonic()
        answer = await self._owner.request("GET" if body is None else "POST", path, json=body)
        self._seen.waits.append(time.monotonic() - asked)
        if answer.status_code in _OVERLOADED:
            self._seen.refused["reads"] += 1
            await asyncio.sleep(0.05)
            return asked, None
        assert answer.status_code == 200, (path, answer.text)
        return asked, answer.json()

    def _saw(self, what: str, writes: Writes, seen: int, asked: float) -> None:
        self._seen.ages[what].append(writes.age(seen, asked))

    def _title(self, number: int) -> str:
        return f"{self.tenant} {number}"

    def _number(self, title: str) -> int:
        tenant, _, number = title.partition(" ")
        assert tenant == self.tenant
        return int(number)


@asynccontextmanager
async def dashboards(platform: Platform, *tenants: str) -> AsyncIterator[tuple[list[Dashboard], Sightings]]:
    """The dashboards of new tenants, and what will be seen there from now on: each was looked at and written to once,
    and everything that follows is at work."""
    sightings = Sightings()
    async with AsyncExitStack() as stack:
        found = []
        for tenant in tenants:
            owner = await stack.enter_async_context(await platform.sign_up(tenant))
            found.append(Dashboard(tenant, owner, sightings))
            await found[-1].open()
        await look(found, _WARM_S, viewers=1, writes=2 * _FORMS)
        async with asyncio.timeout(_COUNTED_S):
            await asyncio.gather(*(board.counted() for board in found))
        sightings.clear()
        yield found, sightings


async def look(boards: Sequence[Dashboard], seconds: float, *, viewers: int, writes: float) -> None:
    """Write to the forms of each tenant so often each second, half of that new titles and half responses, with a new
    version now and then, while so many viewers of each look."""
    loops: list[Awaitable[None]] = []
    pause_s = 2 * _FORMS / writes
    for board in boards:
        others = [form for other in boards if other is not board for form in other.forms]
        loops += [board.view(others) for _ in range(viewers)]
        for form in board.forms:
            loops += [board.rename(form, pause_s), board.submit(form, pause_s), board.publish(form, 10 * pause_s)]
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*loops)


def _definition(number: int) -> dict[str, Any]:
    question = {"id": "a", "type": "short_text", "title": f"Question {number}"}
    return {"pages": [{"id": "p", "elements": [question]}]}
