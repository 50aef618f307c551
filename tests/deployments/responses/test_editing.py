"""R3: edits with history, on both dialects: every version kept, nothing overwritten unseen."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow, ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.errors import (
    IdempotencyMismatch,
    InvalidAnswers,
    InvalidChange,
    ResponseNotFound,
    RevisionNotFound,
    RevisionOutdated,
)
from deployments.responses.life_contracts import EditResponse, RevertResponse
from tests.deployments.responses.lives import changes_are_sound, facts, publish, submit
from tests.factories import ANSWERS, make_form, make_tenant, owner

WINE = {"id": "wine", "type": "short_text", "title": "Wine", "required": True}


async def edit(responses: Responses, principal: Principal, response_id: str, **command: Any) -> Any:
    return await responses.edit(principal, response_id, EditResponse(**command), None)


async def test_every_version_is_kept(database: Database) -> None:
    """R3: who, when, what and why; the diff; and back again as a new version."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    untouched = await responses.get(acme, response_id)
    assert [version.revision for version in (await responses.list_versions(acme, response_id, None, 20)).data] == [1]
    editor = replace(acme, subject="usr_editor")

    edited = await edit(responses, editor, response_id, answers={"name": "Ada L.", "score": None}, reason="misspelt")

    assert (edited.revision, edited.answers) == (2, {"name": "Ada L.", "email": "ada@example.org", "side": ["corn"]})
    await edit(responses, acme, response_id, answers={"side": ["yams"]}, if_match=2)
    reverted = await responses.revert(acme, response_id, RevertResponse(revision=1, if_match=3), None)
    assert (reverted.revision, reverted.answers) == (4, ANSWERS)
    page = await responses.list_versions(acme, response_id, None, 3)
    rest = await responses.list_versions(acme, response_id, page.meta.next_cursor, 3)
    versions = [*page.data, *rest.data]
    assert [(version.revision, version.made_by, version.reason) for version in versions] == [
        (4, acme.subject, None),
        (3, acme.subject, None),
        (2, "usr_editor", "misspelt"),
        (1, "anonymous", None),
    ]
    assert versions[-1].made_at == untouched.submitted_at
    assert (await responses.get_version(acme, response_id, 2)).answers == edited.answers
    changed = await responses.diff(acme, response_id, 1, 2)
    assert [(change.field, change.before, change.after) for change in changed.changes] == [
        ("name", "Ada", "Ada L."),
        ("score", 9, None),
    ]
    latest = await responses.diff(acme, response_id, None, None)
    assert (latest.before, latest.after, len(latest.changes)) == (3, 4, 3)
    told = await facts(database, "response.updated")
    assert [(fact.data["revision"], fact.data["changed"], fact.actor) for fact in told] == [
        (2, ["name", "score"], "usr_editor"),
        (3, ["side"], acme.subject),
        (4, ["name", "score", "side"], acme.subject),
    ]
    listed = await responses.list_responses(acme, ListResponses(form_id=form.id))
    assert [(row.revision, row.submitted_at) for row in listed.data] == [(4, untouched.submitted_at)]
    assert await changes_are_sound(database)


async def test_an_edit_that_changes_nothing_makes_no_version(database: Database) -> None:
    acme = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    assert (await edit(responses, acme, response_id, answers={"name": "Ada"})).revision == 1
    assert (await facts(database, "response.updated")) == []


async def test_an_edit_is_checked_as_a_submission_is(database: Database) -> None:
    """F2: all faults at once; the response stays as it was."""
    acme = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    with pytest.raises(InvalidAnswers) as caught:
        await edit(responses, acme, response_id, answers={"name": None, "email": "nobody", "score": 11, "colour": 1})
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/answers/name", "required"),
        ("/answers/email", "format.email"),
        ("/answers/score", "range.max"),
        ("/answers/colour", "unknown_field"),
    }
    assert (await responses.get(acme, response_id)).answers == ANSWERS


async def test_what_an_import_lacks_need_not_be_made_up(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    await responses.import_rows(acme, form.id, [ImportRow(key="1", line=1, answers={"name": "Ada"})])
    (row,) = (await responses.list_responses(acme, ListResponses(form_id=form.id))).data
    assert (await edit(responses, acme, row.id, answers={"score": 3})).answers == {"name": "Ada"}
    with pytest.raises(InvalidAnswers):
        await edit(responses, acme, row.id, answers={"name": None})


async def test_a_response_moves_to_a_later_version(database: Database) -> None:
    """R3, F4: everything that version asks for is checked then; there is no way to an earlier one but a revert."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    await publish(database, acme, form.id, WINE)
    with pytest.raises(InvalidAnswers) as caught:
        await edit(responses, acme, response_id, version=2)
    assert [fault.pointer for fault in caught.value.faults] == ["/answers/wine"]
    moved = await edit(responses, acme, response_id, version=2, answers={"wine": "Riesling"})
    assert (moved.version, moved.answers["wine"]) == (2, "Riesling")
    for version in (1, 3, 77):
        with pytest.raises(InvalidChange) as refused:
            await edit(responses, acme, response_id, version=version)
        assert refused.value.faults[0].pointer == "/version"
    back = await responses.revert(acme, response_id, RevertResponse(revision=1), None)
    assert (back.version, back.answers) == (1, ANSWERS)


async def test_nobody_overwrites_what_they_have_not_seen(database: Database) -> None:
    """R3: of ten edits based on one revision one is made, over two replicas; the others hear of it."""
    acme = await make_tenant(database)
    await make_form(database, acme)
    replicas = [Responses(database), Responses(database)]
    response_id = await submit(replicas[0])
    outcomes = await asyncio.gather(
        *(edit(replicas[n % 2], acme, response_id, answers={"name": f"Ada {n}"}, if_match=1) for n in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, RevisionOutdated) for outcome in outcomes) == 9
    found = await replicas[0].get(acme, response_id)
    assert found.revision == 2
    free = await asyncio.gather(
        *(edit(replicas[n % 2], acme, response_id, answers={"name": f"Eve {n}"}) for n in range(10))
    )
    assert sorted(each.revision for each in free) == list(range(3, 13))
    with pytest.raises(RevisionOutdated):
        await replicas[0].revert(acme, response_id, RevertResponse(revision=1, if_match=2), None)
    assert await changes_are_sound(database)


async def test_a_key_makes_an_edit_once(database: Database) -> None:
    """R1."""
    acme = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    command = EditResponse(answers={"name": "Eve"}, if_match=1)
    one = await responses.edit(acme, response_id, command, "k-1")
    two = await responses.edit(acme, response_id, command, "k-1")
    assert (one.replayed, two.replayed, two.revision) == (False, True, 2)
    with pytest.raises(IdempotencyMismatch):
        await responses.edit(acme, response_id, EditResponse(answers={"name": "Ada"}), "k-1")
    with pytest.raises(InvalidAnswers):
        await responses.edit(acme, response_id, EditResponse(answers={"name": None}), "k-2")
    # What was refused has not used its key.
    assert (await responses.edit(acme, response_id, EditResponse(answers={"name": "Ada"}), "k-2")).revision == 3


async def test_versions_that_are_not_there(database: Database) -> None:
    acme = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    await edit(responses, acme, response_id, answers={"name": "Eve"})
    for revision in (0, 3, 99):
        with pytest.raises(RevisionNotFound):
            await responses.get_version(acme, response_id, revision)
    with pytest.raises(RevisionNotFound):
        await responses.diff(acme, response_id, 1, 3)
    with pytest.raises(RevisionNotFound):
        await responses.revert(acme, response_id, RevertResponse(revision=3), None)
    with pytest.raises(Invalid):
        await responses.list_versions(acme, response_id, "nonsense", 5)


async def test_another_tenant_sees_no_version(database: Database) -> None:
    """T5."""
    acme = await make_tenant(database)
    await make_tenant(database, "other")
    await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    stranger = owner("other")
    for call in (
        edit(responses, stranger, response_id, answers={"name": "Eve"}),
        responses.revert(stranger, response_id, RevertResponse(revision=1), None),
        responses.list_versions(stranger, response_id, None, 5),
        responses.get_version(stranger, response_id, 1),
        responses.diff(stranger, response_id, None, None),
    ):
        with pytest.raises(ResponseNotFound):
            await call


NAMES = st.sampled_from(["Ada", "Grace", "Zoë"])
DEEDS = st.one_of(
    st.tuples(st.just("edit"), st.dictionaries(st.sampled_from(["name", "score"]), st.just(None) | NAMES, max_size=2)),
    st.tuples(st.just("revert"), st.integers(1, 8)),
    st.tuples(st.just("trash"), st.none()),
    st.tuples(st.just("restore"), st.none()),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(DEEDS, max_size=12))
async def test_no_sequence_of_deeds_loses_a_version(sqlite_settings: DatabaseSettings, deeds: list[Any]) -> None:
    """Shown by: whatever is edited, reverted, trashed and restored, every version is there as it was made."""
    async with Database(sqlite_settings) as database:
        await _deeds_keep_versions(database, deeds)


_RUNS = iter(range(10**6))


async def _deeds_keep_versions(database: Database, deeds: list[Any]) -> None:
    tenant = f"t{next(_RUNS)}"
    principal = await make_tenant(database, tenant)
    form = await make_form(database, principal)
    responses = Responses(database)
    await responses.import_rows(principal, form.id, [ImportRow(key="1", line=1, answers=ANSWERS)])
    (row,) = (await responses.list_responses(principal, ListResponses(form_id=form.id))).data
    expected, trashed = [ANSWERS], False
    for deed, value in deeds:
        try:
            if deed == "edit":
                made = await edit(responses, principal, row.id, answers=value)
            elif deed == "revert":
                made = await responses.revert(principal, row.id, RevertResponse(revision=value), None)
            elif deed == "trash":
                await responses.delete(principal, row.id)
                trashed = True
                continue
            else:
                made, trashed = await responses.restore(principal, row.id), False
        except InvalidAnswers:
            continue
        except RevisionNotFound:
            assert value > len(expected)
            continue
        except ResponseNotFound:
            assert trashed != (deed == "restore")
            continue
        if made.revision > len(expected):
            expected.append(made.answers)
    if trashed:
        await responses.restore(principal, row.id)
    kept = await responses.list_versions(principal, row.id, None, 50)
    assert [version.answers for version in reversed(kept.data)] == expected
    assert (await responses.get(principal, row.id)).answers == expected[-1]
