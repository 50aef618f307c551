"""Reading, listing and deleting responses on both dialects, and what another tenant sees of them."""

from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.events import Event as EventRow
from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.forms.deployment import Forms
from deployments.kit.errors import Invalid
from deployments.kit.pagination import encode_cursor
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormNotFound, ResponseNotFound
from deployments.responses.life_contracts import ChangeTags, PutComment
from eventing.events.envelope import Event
from tests.eventing.harness import rows
from tests.factories import ANSWERS, make_form, make_tenant, owner


async def submit(responses: Responses, principal: Principal) -> str:
    body = orjson.dumps({"answers": ANSWERS, "meta": {"source": "poster"}})
    return (await responses.submit(principal, SubmitResponse(body=body, slug="party"))).id


async def test_a_response_is_read_as_it_was_given(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    found = await responses.get(acme, await submit(responses, acme))
    assert (found.form_id, found.version, found.status) == (form.id, 1, "complete")
    assert (found.answers, found.meta, found.submitted_by) == (ANSWERS, {"source": "poster"}, acme.subject)
    assert abs((datetime.now(UTC) - found.submitted_at).total_seconds()) < 60


async def test_what_is_handed_on_as_json_says_what_the_objects_say(database: Database) -> None:
    """Property for property and in the same order, defaults included."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    first, last = await submit(responses, acme), await submit(responses, acme)
    await responses.change_tags(acme, first, ChangeTags(add=["late", "early"]))
    await responses.add_comment(acme, first, PutComment(text="Call back."))
    await responses.delete(acme, last)
    async with database.write("acme") as unit:
        verdict = {"name": {"sentiment": {"model": "small", "revision": 1, "label": "positive"}}}
        await unit.session.execute(update(ResponseRow).where(col(ResponseRow.id) == first).values(inference=verdict))
    query = ListResponses(form_id=form.id, include_total=True)
    one = await responses.get_as_json(acme, first)
    assert one.revision == 1
    for text, said in (
        (one.content, await responses.get(acme, first)),
        (await responses.list_as_json(acme, query), await responses.list_responses(acme, query)),
        (
            await responses.changes_as_json(acme, form.id, None, 10),
            await responses.list_changes(acme, form.id, None, 10),
        ),
    ):
        assert orjson.dumps(orjson.loads(text)) == said.model_dump_json().encode()


async def test_a_deleted_response_is_gone_and_its_event_says_so(database: Database) -> None:
    """R8, E1."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    gone, kept = await submit(responses, acme), await submit(responses, acme)
    await responses.delete(acme, gone)
    for act in (responses.get, responses.delete):
        with pytest.raises(ResponseNotFound):
            await act(acme, gone)
    page = await responses.list_responses(acme, ListResponses(form_id=form.id, include_total=True))
    assert ([found.id for found in page.data], page.meta.total) == ([kept], 1)
    events = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    (deleted,) = [event for event in events if event.type == "response.deleted"]
    assert deleted.data == {"response_id": gone, "form_id": form.id}
    assert deleted.actor == acme.subject


async def test_responses_of_a_form_in_the_trash_are_not_there(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses, acme)
    await Forms(database).delete(acme, form.id)
    with pytest.raises(ResponseNotFound):
        await responses.get(acme, response_id)
    with pytest.raises(FormNotFound):
        await responses.list_responses(acme, ListResponses(form_id=form.id))


async def test_another_tenants_responses_do_not_exist(database: Database) -> None:
    """T5: the same answer as for one that nobody has, and nothing changes."""
    acme = await make_tenant(database)
    await make_tenant(database, "globex")
    form = await make_form(database, acme)
    responses, stranger = Responses(database), owner("globex")
    response_id = await submit(responses, acme)
    for principal, wanted in ((stranger, response_id), (acme, "rsp_none")):
        for act in (responses.get, responses.delete):
            with pytest.raises(ResponseNotFound) as caught:
                await act(principal, wanted)
            assert caught.value.status == 404
    for principal, wanted in ((stranger, form.id), (acme, "frm_none")):
        with pytest.raises(FormNotFound):
            await responses.list_responses(principal, ListResponses(form_id=wanted))
    assert (await responses.get(acme, response_id)).answers == ANSWERS


@pytest.mark.parametrize(
    ("sort", "values"),
    [
        ("nonsense", ["2024-01-01T00:00:00+00:00", "rsp_1"]),
        ("-submitted_at", ["yesterday", "rsp_1"]),
        ("-submitted_at", ["2024-01-01T00:00:00+00:00"]),
    ],
)
async def test_a_forged_cursor_is_refused(database: Database, sort: str, values: list[str]) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    query = ListResponses(form_id=form.id, cursor=encode_cursor(form.id + sort, values))
    with pytest.raises(Invalid) as caught:
        await Responses(database).list_responses(acme, query)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/cursor", "cursor.invalid")]


async def test_a_cursor_belongs_to_its_form_and_order(database: Database) -> None:
    """H: taken elsewhere it is refused, not misread."""
    acme = await make_tenant(database)
    form, other = await make_form(database, acme), await make_form(database, acme, slug="other")
    responses = Responses(database)
    for _ in range(2):
        await submit(responses, acme)
    page = await responses.list_responses(acme, ListResponses(form_id=form.id, limit=1))
    cursor = page.meta.next_cursor
    assert cursor is not None
    for query in (
        ListResponses(form_id=other.id, cursor=cursor),
        ListResponses(form_id=form.id, cursor=cursor, sort="submitted_at"),
    ):
        with pytest.raises(Invalid):
            await responses.list_responses(acme, query)
