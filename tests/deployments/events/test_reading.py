"""E1, E6: looking events up, and what of them is for whom."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from db.session import Database
from deployments.events.contracts import Event, FindEvents, FollowEvents, StreamEvents
from deployments.events.deployment import Events
from deployments.events.errors import EventHasNoPlace, EventNotFound
from deployments.events.showing import NEEDED, NEEDED_BY_TYPE
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from eventing.events.catalogue import CATALOGUE
from eventing.events.envelope import EventData, Origin
from eventing.events.forms import FormDeleted
from eventing.events.identity import UserRegistered
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import record

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin("req-1", "192.0.2.1", "agent", TRACE)
ANALYST = frozenset({"events:read", "responses:read"})
ALL = FindEvents()


def person(*scopes: str, tenant_id: str = "acme", **grants: frozenset[str]) -> Principal:
    return Principal(tenant_id, "usr_1", "user", scopes=frozenset(scopes), grants=grants)


@pytest.fixture
async def events(database: Database) -> Events:
    facts: list[EventData] = [
        UserRegistered(user_id="usr_2", email="ada@example.com", role="editor"),
        ResponseSubmitted(
            response_id="rsp_1",
            form_id="frm_1",
            form_version=1,
            status="complete",
            answers={"email": "ada@example.com"},
        ),
        FormDeleted(form_id="frm_2"),
    ]
    for tenant_id in ("acme", "other"):
        async with database.write(tenant_id) as unit:
            for fact in facts:
                record(unit, fact, actor="usr_1", origin=ORIGIN)
    return Events(database)


async def listed(events: Events, principal: Principal, query: FindEvents = ALL) -> list[Event]:
    return (await events.list_events(principal, query, None, 100)).data


async def test_everything_is_there_for_those_who_may_see_all(events: Events) -> None:
    """E1: type, version, time, tenant, actor, entity, payload, address, agent, request id and trace."""
    deleted, submitted, registered = await listed(events, person("*"))
    assert [event.type for event in (deleted, submitted, registered)] == [
        *("form.deleted", "response.submitted", "user.registered"),
    ]
    assert (submitted.version, submitted.tenant_id, submitted.entity_id, submitted.form_id, submitted.actor) == (
        *(1, "acme", "rsp_1", "frm_1", "usr_1"),
    )
    assert (submitted.request_id, submitted.traceparent) == ("req-1", TRACE)
    assert (submitted.address, submitted.user_agent, submitted.hidden) == ("192.0.2.1", "agent", [])
    assert abs(submitted.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    detail = await events.get(person("*"), submitted.id)
    assert detail.data["answers"] == {"email": "ada@example.com"}
    assert detail.cloudevent.model_dump() == {
        "specversion": "1.0",
        "id": submitted.id,
        "source": "/tenants/acme",
        "type": "response.submitted",
        "subject": "rsp_1",
        "time": submitted.timestamp,
        "datacontenttype": "application/json",
        "traceparent": TRACE,
    }


async def test_what_is_about_people_needs_the_permission_for_that(events: Events) -> None:
    """R8: an analyst sees that something happened, and not what somebody answered or where they were."""
    deleted, submitted, registered = await listed(events, person(*ANALYST))
    for event in (deleted, submitted, registered):
        assert (event.address, event.user_agent) == (None, None)
    assert (submitted.data["answers"], registered.data["email"]) == (None, None)
    assert submitted.hidden == ["/address", "/user_agent", "/data/answers"]
    assert submitted.data["response_id"] == "rsp_1"
    (seen,) = await listed(events, person(*ANALYST, "responses:read_personal"), FindEvents(entity_id="rsp_1"))
    assert seen.data["answers"] == {"email": "ada@example.com"}
    for permission, member in (("users:read", "data"), ("audit:read", "address")):
        (seen,) = await listed(events, person(*ANALYST, permission), FindEvents(types=frozenset({"user.registered"})))
        assert not [pointer for pointer in seen.hidden if pointer.startswith(f"/{member}")]
        assert seen.hidden


async def test_a_grant_shows_the_events_of_its_form(events: Events) -> None:
    """U5: and a form without one is as if it were not there."""
    grants = {"frm_1": frozenset({"events:read", "responses:read_personal"})}
    guest = person(**grants)
    (seen,) = await listed(events, guest)
    assert (seen.type, seen.data["answers"]) == ("response.submitted", {"email": "ada@example.com"})
    assert await listed(events, guest, FindEvents(form_id="frm_1")) == [seen]
    with pytest.raises(Forbidden):
        await listed(events, guest, FindEvents(form_id="frm_2"))
    with pytest.raises(Forbidden):
        await listed(events, person("forms:read"))
    others = [event.id for event in await listed(events, person("*")) if event.id != seen.id]
    assert (await events.get(guest, seen.id)).id == seen.id
    for event_id in others:
        with pytest.raises(EventNotFound):
            await events.get(guest, event_id)


async def test_another_tenants_events_are_not_there(events: Events) -> None:
    """T5."""
    foreign = (await listed(events, person("*", tenant_id="other")))[0]
    assert foreign.id not in {event.id for event in await listed(events, person("*"))}
    with pytest.raises(EventNotFound):
        await events.get(person("*"), foreign.id)
    with pytest.raises(EventHasNoPlace):
        await events.begin(person("*"), StreamEvents(after=foreign.id))


async def test_pages_follow_each_other(events: Events) -> None:
    page = await events.list_events(person("*"), ALL, None, 2)
    rest = await events.list_events(person("*"), ALL, page.meta.next_cursor, 2)
    assert [event.type for event in (*page.data, *rest.data)] == [
        *("form.deleted", "response.submitted", "user.registered"),
    ]
    assert rest.meta.next_cursor is None
    with pytest.raises(Invalid):
        await events.list_events(person("*"), ALL, "bm9uc2Vuc2U", 2)


async def test_unknown_types_are_all_named(events: Events) -> None:
    """H1: every fault at once, in the list as in the stream."""
    unknown = frozenset({"form.deleted", "form.exploded", "no.such"})
    with pytest.raises(Invalid) as refused:
        await listed(events, person("*"), FindEvents(types=unknown))
    assert [fault.pointer for fault in refused.value.faults] == ["/type", "/type"]
    with pytest.raises(Invalid) as refused:
        await events.begin(person("*"), StreamEvents(types=unknown))
    assert "form.exploded" in refused.value.faults[0].detail


async def test_what_is_no_event_is_left_out(events: Events, database: Database) -> None:
    """E4: a row that cannot be read is a dead letter, and neither hides nor fails the others."""
    async with database.write("acme") as unit:
        record(unit, FormDeleted(form_id="frm_3"), actor="usr_1", origin=ORIGIN)
        for row in unit.session.new:
            if getattr(row, "type", "") == "form.deleted":
                row.envelope = "{}"  # type: ignore[attr-defined]
    assert len(await listed(events, person("*"))) == 3


async def test_only_the_platform_reads_for_others(events: Events) -> None:
    """E6: what is read there is whole, so no caller of the API may ask for it."""
    with pytest.raises(Forbidden):
        await events.follow(person("*"), FollowEvents(after=0, limit=1))
    assert (await events.follow(Principal.system("acme", "stream"), FollowEvents(after=0, limit=1))).last == 0


def test_somebody_decided_about_every_member_that_may_be_personal() -> None:
    """R8: name it in `deployments/events/showing.py`, or here with the reason why it is for all who see events."""
    open_to_all = {
        "user.phone_changed.present": "tells that there is a number, not which",
        "response.assigned.assignee": "an id",
        "person.erasure_requested.subject_kind": "by what the person was named, not who it was",
    }
    looks_personal = re.compile(r"mail|address|phone|recipient|answers|subject|assignee|present")
    undecided = [
        f"{kind.type}.{member}"
        for kind in CATALOGUE
        for member in kind.__slots__
        if looks_personal.search(member) and member not in NEEDED | NEEDED_BY_TYPE.get(kind.type, {})
    ]
    assert set(undecided) == set(open_to_all)
