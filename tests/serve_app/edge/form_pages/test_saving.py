"""R2, Y1: answers are saved on the platform and gone on with elsewhere, by the contract of partial responses."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from deployments.kit.errors import Conflict, NotFound
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.form_pages.conftest import ADDRESS, Hosted
from tests.serve_app.edge.form_pages.definitions import three_pages
from tests.serve_app.edge.form_pages.reading import Html

UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
TOKEN = "fsr_secret"


class Completed(Conflict):
    code = "response.completed"


@dataclass
class Partials:
    """Partial responses in memory: one, under TOKEN, while it is there."""

    hosted: Hosted
    answers: dict[str, Any] | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, int] = field(default_factory=dict)
    status: str = "partial"
    version: int = 2
    form_id: str = "frm_1"
    keys: list[str | None] = field(default_factory=list)

    async def submit(self, principal: Principal, command: SubmitResponse) -> Any:
        document = orjson.loads(command.body)
        if document.pop("status", "complete") == "complete":
            return await self.hosted.submit(principal, command)
        self.answers, self.meta, self.timings = document["answers"], document["meta"], document["timings"]
        return SimpleNamespace(resume_token=TOKEN, expires_at=UNTIL)

    async def save_partial(self, principal: Principal, token: str, body: bytes, key: str | None) -> Any:
        document = orjson.loads(body)
        if token != TOKEN or self.answers is None:
            raise NotFound
        if self.status == "complete":
            raise Completed
        merged = self.answers | document["answers"]
        self.answers = {name: value for name, value in merged.items() if value is not None}
        self.meta |= document["meta"]
        self.timings |= document.get("timings", {})
        if document["status"] == "complete":
            command = SubmitResponse(orjson.dumps({"answers": self.answers, "meta": self.meta}), "party", None, key)
            await self.hosted.submit(principal, command)
            self.status = "complete"
        self.keys.append(key)
        return SimpleNamespace(expires_at=UNTIL)

    async def resume(self, principal: Principal, token: str) -> Any:
        if token != TOKEN or self.answers is None:
            raise NotFound
        if self.status == "complete":
            raise Completed
        return SimpleNamespace(
            form_id=self.form_id,
            version=self.version,
            status="partial",
            answers=self.answers,
            meta=self.meta,
            timings=self.timings,
        )


@pytest.fixture
def partials(hosted: Hosted, fakes: Fakes) -> Partials:
    hosted.publish(three_pages())
    partials = Partials(hosted)
    for name in ("submit", "save_partial", "resume"):
        setattr(fakes.responses, name, getattr(partials, name))
    return partials


async def saved(visitor: httpx.AsyncClient, **entries: str) -> httpx.Response:
    headers = {"accept": "application/json"}
    return await visitor.post(ADDRESS, data={"_go": "save", "_page": "p2"} | entries, headers=headers)


async def test_what_is_right_is_saved(visitor: httpx.AsyncClient, partials: Partials) -> None:
    """Nothing is required yet; saved again, the same response holds exactly what is on the page."""
    answer = await saved(visitor, name="Ada", town="Ulm")
    assert answer.json() == {"resume": TOKEN, "until": UNTIL.isoformat()}
    assert (partials.answers, partials.meta) == ({"name": "Ada", "town": "Ulm"}, {"page": "p2"})
    again = await saved(visitor, name="Bea", town="", reason="x" * 3000, _resume=TOKEN)
    assert again.json()["resume"] == TOKEN
    assert partials.answers == {"name": "Bea"}
    assert partials.hosted.stored == []


async def test_the_time_on_each_page_goes_on_elsewhere(visitor: httpx.AsyncClient, partials: Partials) -> None:
    """R2: what was measured is saved, and what comes is added to it."""
    await saved(visitor, name="Ada", _timings='{"p1": 4000, "p2": 10, "elsewhere": 7}')
    assert partials.timings == {"p1": 4000, "p2": 10}
    page = Html((await visitor.post(ADDRESS, data={"_go": "resume", "_resume": TOKEN})).text)
    assert orjson.loads(page.one("input", name="_timings")["value"]) == {"p1": 4000, "p2": 10}


async def test_it_is_gone_on_with_elsewhere(visitor: httpx.AsyncClient, partials: Partials) -> None:
    await saved(visitor, name="Ada", town="Ulm")
    page = Html((await visitor.post(ADDRESS, data={"_go": "resume", "_resume": TOKEN})).text)
    assert page.shown() == ["p2"]
    assert (page.with_id("f-name")["value"], page.with_id("f-town")["value"]) == ("Ada", "Ulm")
    assert page.one("input", name="_resume")["value"] == TOKEN
    entries = {"_resume": TOKEN, "_key": page.key(), "_page": "p3", "name": "Ada", "town": "", "reason": "x"}
    refused = await visitor.post(ADDRESS, data=entries)
    assert (refused.status_code, "e-town" in Html(refused.text).ids()) == (422, True)
    assert Html(refused.text).one("input", name="_resume")["value"] == TOKEN
    assert (await visitor.post(ADDRESS, data=entries | {"town": "Ulm"})).status_code == 303
    assert partials.hosted.stored == [{"name": "Ada", "town": "Ulm", "reason": "x"}]
    assert partials.keys == [f"page-{page.key()}"]

    gone = await visitor.post(ADDRESS, data={"_go": "resume", "_resume": TOKEN})
    assert (gone.status_code, "not there any more" in gone.text) == (404, True)
    other = Html((await visitor.post(ADDRESS, data=entries | {"town": "Bonn"})).text)
    assert "already sent" in other.text
    assert other.one("input", name="_resume")["value"] == ""


async def test_a_newer_version_begins_anew_with_the_answers(visitor: httpx.AsyncClient, partials: Partials) -> None:
    await saved(visitor, name="Ada")
    partials.hosted.publish(three_pages(title="Version 3"))
    page = Html((await visitor.post(ADDRESS, data={"_go": "resume", "_resume": TOKEN})).text)
    assert (page.with_id("f-name")["value"], page.one("input", name="_resume")["value"]) == ("Ada", "")


async def test_tokens_of_other_forms_and_expired_ones(visitor: httpx.AsyncClient, partials: Partials) -> None:
    """T5: a token says nothing on another form's page; an expired one costs no answers."""
    await saved(visitor, name="Ada")
    partials.form_id = "frm_2"
    answer = await visitor.post(ADDRESS, data={"_go": "resume", "_resume": TOKEN})
    assert (answer.status_code, "Ada" in answer.text) == (404, False)
    assert (await visitor.post(ADDRESS, data={"_go": "resume"})).status_code == 404
    partials.answers = None
    entries = {"_resume": TOKEN, "_page": "p3", "_go": "submit", "name": "Ada", "town": "Ulm"}
    assert (await visitor.post(ADDRESS, data=entries)).status_code == 303
    assert partials.hosted.stored == [{"name": "Ada", "town": "Ulm"}]
    assert (await saved(visitor, name="Bea", _resume="fsr_other")).json()["resume"] == TOKEN
    assert partials.answers == {"name": "Bea"}


async def test_it_is_offered(visitor: httpx.AsyncClient, partials: Partials) -> None:
    page = Html((await visitor.get(ADDRESS)).text)
    assert "hidden" in page.with_id("save")  # until the script is there
