"""An edge that serves one published form, whose answers are checked as the platform checks them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from deployments.forms.contracts import PublishedForm
from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.errors import DomainError
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.errors import FormNotFound, InvalidAnswers
from tests.serve_app.edge.fakes import NOW, Fakes, running
from tests.serve_app.edge.form_pages.definitions import every_type

ADDRESS = "/f/acme/party"


@dataclass
class Hosted:
    """The form, and what was stored of it: answers by idempotency key."""

    definition: dict[str, Any] = field(default_factory=every_type)
    title: str = "The feast"
    version: int = 1
    state: dict[str, Any] = field(default_factory=lambda: {"open": True, "opens_at": None, "closes_at": None})
    failure: DomainError | None = None
    commands: list[SubmitResponse] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)

    async def get_published(self, principal: Principal, slug: str) -> PublishedForm:
        if (principal.tenant_id, slug) != ("acme", "party"):
            raise FormNotFound
        state = {"languages": self.definition.get("languages", ["en"]), **self.state}
        return PublishedForm(
            id="frm_1", slug=slug, title=self.title, version=self.version, definition=self.definition, **state
        )

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        if self.failure is not None:
            raise self.failure
        self.commands.append(command)
        document = orjson.loads(command.body)
        answers, faults = compile_form(parse_definition(self.definition)).check(document["answers"])
        if faults:
            raise InvalidAnswers(faults=faults)
        self.stored.append(answers)
        return SubmittedResponse(id="rsp_1", status="complete", version=1, submitted_at=NOW)

    def publish(self, definition: dict[str, Any]) -> None:
        """Publish another version."""
        self.definition = definition
        self.version += 1


@pytest.fixture
def hosted(fakes: Fakes) -> Hosted:
    hosted = Hosted()
    fakes.forms.get_published = hosted.get_published  # type: ignore[method-assign]
    fakes.responses.submit = hosted.submit  # type: ignore[method-assign]
    return hosted


@pytest.fixture
async def visitor(hosted: Hosted, fakes: Fakes) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who reads English, at a platform with the form."""
    async with running(fakes) as client:
        client.headers["accept-language"] = "en"
        yield client
