"""R8: personal data is for those who may see it, on both dialects, wherever answers are shown."""

import copy
import csv
import io
from typing import Any

import pytest

from db.session import Database
from deployments.identity.contracts import scopes_of
from deployments.kit.engine import parse_definition
from deployments.kit.personal import personal_fields
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.errors import InvalidAnswers
from deployments.responses.life_contracts import EditResponse
from deployments.responses.masking import masked
from tests.deployments.responses.lives import publish, submit
from tests.factories import ANSWERS, PARTY, make_form, make_tenant


def party(*personal: str) -> dict[str, Any]:
    definition = copy.deepcopy(PARTY)
    for element in definition["pages"][0]["elements"]:
        element["personal"] = element["id"] in personal
    return definition


def member(role: str) -> Principal:
    return Principal("acme", f"usr_{role}", "user", role, scopes_of(role))


def test_which_fields_are_personal() -> None:
    old, new = parse_definition(party("name")), parse_definition(party("email"))
    assert personal_fields([old, new]) == {"name", "email"}
    assert masked({"name": "Ada", "score": 3}, {"name", "email"}) == ({"name": None, "score": 3}, ["name"])
    who = {"id": "who", "type": "short_text", "title": "Who", "personal": True}
    group = {"id": "guests", "type": "group", "title": "Guests", "elements": [who]}
    inside = parse_definition({"pages": [{"id": "p1", "elements": [group]}]})
    assert personal_fields([old, inside]) == {"name", "guests"}


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("analyst", False), ("editor", True), ("owner", True)])
async def test_a_role_sees_what_it_may(database: Database, role: str, sees: bool) -> None:
    """R8: in the response, the list, the trash, the versions, the diff and the export."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=party("email", "name"))
    responses = Responses(database)
    response_id, trashed = await submit(responses), await submit(responses, {**ANSWERS, "name": "Zoë"})
    await responses.edit(acme, response_id, EditResponse(answers={"name": "Ada L.", "score": 3}), None)
    await responses.delete(acme, trashed)
    who = member(role)

    shown = [
        await responses.get(who, response_id),
        *(await responses.list_responses(who, ListResponses(form_id=form.id))).data,
        *(await responses.list_trash(who, form.id, None, 5)).data,
        *(await responses.list_versions(who, response_id, None, 5)).data,
        await responses.get_version(who, response_id, 1),
    ]
    changed = await responses.diff(who, response_id, 1, 2)
    chunk = await responses.export_chunk(who, form.id, None)
    (row,) = csv.DictReader(io.StringIO(chunk.content.decode()))

    assert len(shown) == 6
    for each in shown:
        assert each.masked == ([] if sees else ["email", "name"])
        assert (each.answers["email"] == "ada@example.org") is sees
        assert each.answers["score"] in (3, 9)
    assert [change.field for change in changed.changes] == ["name", "score"]
    assert changed.masked == ([] if sees else ["name"])
    assert changed.changes[0].after == ("Ada L." if sees else None)
    assert (row["Your name"], row["E-mail"]) == (("Ada L.", "ada@example.org") if sees else ("", ""))
    said = repr((shown, changed, chunk))
    assert ("ada@example.org" in said, "Ada" in said, "Zo" in said) == (sees, sees, sees)


async def test_a_grant_lets_one_see_one_form(database: Database) -> None:
    acme = await make_tenant(database)
    one = await make_form(database, acme, definition=party("name"))
    responses = Responses(database)
    response_id = await submit(responses)
    seeing = frozenset({"responses:read", "responses:read_personal"})
    for form_id, hidden in ((one.id, []), ("frm_other", ["name"])):
        guest = Principal("acme", "usr_g", "user", "viewer", scopes_of("viewer"), grants={form_id: seeing})
        assert (await responses.get(guest, response_id)).masked == hidden


async def test_what_was_once_personal_stays_so(database: Database) -> None:
    """R8: a later version that marks a field covers earlier answers, and one that no longer does uncovers none."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    viewer = member("viewer")
    assert (await responses.get(viewer, response_id)).masked == []
    await publish(database, acme, form.id, {"id": "phone", "type": "short_text", "title": "Phone", "personal": True})
    assert (await responses.get(viewer, response_id)).masked == []
    other = await submit(Responses(database), {**ANSWERS, "phone": "1"})
    assert (await responses.get(viewer, other)).masked == ["phone"]
    await publish(database, acme, form.id, {"id": "phone", "type": "short_text", "title": "Phone"})
    assert (await responses.get(viewer, other)).masked == ["phone"]


async def test_nobody_changes_what_they_do_not_see(database: Database) -> None:
    """A program that sends back the nulls it was shown must not wipe out answers."""
    acme = await make_tenant(database)
    await make_form(database, acme, definition=party("name"))
    responses = Responses(database)
    response_id = await submit(responses)
    key = Principal("acme", "key_1", "api_key", "", frozenset({"responses:read", "responses:write"}))
    shown = (await responses.get(key, response_id)).answers
    with pytest.raises(InvalidAnswers) as caught:
        await responses.edit(key, response_id, EditResponse(answers=shown), None)
    assert ("/answers/name", "personal") in {(fault.pointer, fault.code) for fault in caught.value.faults}
    edited = await responses.edit(key, response_id, EditResponse(answers={"score": 1}), None)
    assert (edited.answers["name"], edited.masked) == (None, ["name"])
    assert (await responses.get(acme, response_id)).answers["name"] == "Ada"
