"""What the tests of the life of responses share."""

from typing import Any

import orjson

from db.models.events import Event as EventRow
from db.models.forms import FormCounter
from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import PartialResponse
from eventing.events.envelope import Event, Origin
from tests.eventing.harness import rows
from tests.factories import ANSWERS, PARTY

VISITOR = Principal.anonymous("acme", Origin())


async def submit(responses: Responses, answers: dict[str, Any] | None = None, **more: Any) -> str:
    return (await begin(responses, ANSWERS if answers is None else answers, status="complete", **more)).id


async def begin(
    responses: Responses, answers: dict[str, Any], *, key: str | None = None, status: str = "partial", **more: Any
) -> SubmittedResponse:
    body = orjson.dumps({"answers": answers, "status": status, **more})
    return await responses.submit(VISITOR, SubmitResponse(body=body, slug="party", idempotency_key=key))


async def save(responses: Responses, token: str | None, *, key: str | None = None, **body: Any) -> PartialResponse:
    return await responses.save_partial(VISITOR, token or "", orjson.dumps(body), key)


async def facts(database: Database, *types: str) -> list[Event]:
    """The recorded events of these types, in order."""
    events = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    return sorted((event for event in events if event.type in types), key=lambda event: event.id)


async def held(database: Database) -> int:
    """How many responses the only form holds."""
    (counter,) = await rows(database, FormCounter)
    return int(counter.responses)


async def changes_are_sound(database: Database) -> bool:
    """Whether no two responses have the same number of a change, and none is beyond the counter."""
    (counter,) = await rows(database, FormCounter)
    numbers = [row.change for row in await rows(database, ResponseRow)]
    return len(set(numbers)) == len(numbers) and all(0 < number <= counter.changes for number in numbers)


async def publish(database: Database, principal: Principal, form_id: str, *more: dict[str, Any]) -> int:
    """A version of the party with more questions."""
    page = PARTY["pages"][0]
    definition = {**PARTY, "pages": [{**page, "elements": [*page["elements"], *more]}]}
    await Forms(database).update(principal, form_id, UpdateForm(definition=definition))
    return (await Forms(database).publish(principal, form_id)).version
