"""R3: what a team makes of a response, on both dialects: decisions, comments, tags, who deals with it."""

import asyncio
from dataclasses import replace

import pytest
from pydantic import ValidationError

from db.models.identity import User
from db.session import Database
from db.types import utc_now
from deployments.identity.invitation_contracts import PutFormGrant
from deployments.identity.service import grants
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.responses import commenting
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.errors import (
    CommentFixed,
    CommentForeign,
    CommentNotFound,
    InvalidChange,
    ResponseNotFound,
    TooManyComments,
)
from deployments.responses.life_contracts import AssignResponse, ChangeTags, PutComment, PutReview
from tests.deployments.responses.lives import changes_are_sound, facts, submit
from tests.factories import make_form, make_tenant, owner


async def person(database: Database, name: str, role: str, *, status: str = "active", tenant: str = "acme") -> str:
    async with database.write(tenant) as unit:
        unit.session.add(
            User(
                tenant_id=tenant,
                id=f"usr_{name}",
                email=f"{name}@example.org",
                name=name,
                role=role,
                password_hash="x",
                status=status,
                created_at=utc_now(),
            )
        )
    return f"usr_{name}"


def reader(form_id: str, subject: str = "usr_reader") -> Principal:
    """Somebody who may read one form's responses and nothing else."""
    return Principal("acme", subject, "user", "guest", grants={form_id: frozenset({"responses:read"})})


async def test_a_decision_is_kept_with_its_remark(database: Database) -> None:
    """R3."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    decided = await responses.review(acme, response_id, PutReview(state="has_issues", comment="No date."))
    assert (decided.review, decided.reviewed_by) == ("has_issues", acme.subject)
    assert [(comment.text, comment.review) for comment in decided.comments] == [("No date.", "has_issues")]
    again = await responses.review(acme, response_id, PutReview(state="has_issues"))
    assert again.reviewed_at == decided.reviewed_at
    assert (await responses.review(acme, response_id, PutReview(state="none"))).review == "none"
    told = await facts(database, "response.reviewed")
    assert [(fact.data["previous"], fact.data["review"]) for fact in told] == [
        ("none", "has_issues"),
        ("has_issues", "none"),
    ]
    listed = (await responses.list_responses(acme, ListResponses(form_id=form.id))).data
    assert [row.reviewed_by for row in listed] == [acme.subject]
    (remark,) = decided.comments
    for act in (
        responses.edit_comment(acme, response_id, remark.id, PutComment(text="Nothing.")),
        responses.delete_comment(acme, response_id, remark.id),
    ):
        with pytest.raises(CommentFixed):
            await act
    assert await changes_are_sound(database)


async def test_a_comment_is_its_authors(database: Database) -> None:
    """R3: others may not change it, and those who change responses may remove it."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    one, other = reader(form.id), reader(form.id, "usr_other")
    made = await responses.add_comment(one, response_id, PutComment(text=" Looks odd. "))
    assert (made.text, made.author, made.edited_at) == ("Looks odd.", "usr_reader", None)
    edited = await responses.edit_comment(one, response_id, made.id, PutComment(text="Looks fine."))
    assert edited.edited_at is not None
    for act in (
        responses.edit_comment(other, response_id, made.id, PutComment(text="Mine.")),
        responses.delete_comment(other, response_id, made.id),
        responses.edit_comment(acme, response_id, made.id, PutComment(text="Mine.")),
    ):
        with pytest.raises(CommentForeign):
            await act
    second = await responses.add_comment(one, response_id, PutComment(text="So."))
    assert [comment.id for comment in (await responses.list_comments(one, response_id)).data] == [made.id, second.id]
    await responses.delete_comment(one, response_id, second.id)
    await responses.delete_comment(acme, response_id, made.id)
    with pytest.raises(CommentNotFound):
        await responses.delete_comment(acme, response_id, made.id)
    assert (await responses.get(acme, response_id)).comments == []
    told = await facts(database, "response.commented")
    assert [fact.data["action"] for fact in told] == ["added", "edited", "added", "deleted", "deleted"]
    assert "odd" not in str([fact.data for fact in told])


async def test_a_comment_is_found_at_its_response_only(database: Database) -> None:
    acme = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    one, other = await submit(responses), await submit(responses)
    made = await responses.add_comment(acme, one, PutComment(text="So."))
    with pytest.raises(CommentNotFound):
        await responses.edit_comment(acme, other, made.id, PutComment(text="So?"))


async def test_comments_are_bounded_exactly(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commenting, "MAX_COMMENTS", 5)
    acme = await make_tenant(database)
    await make_form(database, acme)
    replicas = [Responses(database), Responses(database)]
    response_id = await submit(replicas[0])
    outcomes = await asyncio.gather(
        *(replicas[n % 2].add_comment(acme, response_id, PutComment(text=str(n))) for n in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, TooManyComments) for outcome in outcomes) == 7
    assert len((await replicas[0].get(acme, response_id)).comments) == 5


class TestTags:
    async def test_tags_are_added_removed_and_counted(self, database: Database) -> None:
        """R3."""
        acme = await make_tenant(database)
        form = await make_form(database, acme)
        responses = Responses(database)
        one, other = await submit(responses), await submit(responses)
        found = await responses.change_tags(acme, one, ChangeTags(add=["urgent", " é ", "urgent"]))
        assert found.tags == ["urgent", "é"]
        await responses.change_tags(acme, other, ChangeTags(add=["urgent", "spam"], remove=["nothing"]))
        found = await responses.change_tags(acme, one, ChangeTags(remove=["é"]))
        assert found.tags == ["urgent"]
        assert (await responses.change_tags(acme, one, ChangeTags(add=["urgent"]))).updated_at == found.updated_at
        assert await counts(responses, acme, form.id) == [("urgent", 2), ("spam", 1)]
        listed = (await responses.list_responses(acme, ListResponses(form_id=form.id, sort="submitted_at"))).data
        assert [row.tags for row in listed] == [["urgent"], ["spam", "urgent"]]
        await responses.delete(acme, other)
        assert await counts(responses, acme, form.id) == [("urgent", 1)]
        told = await facts(database, "response.tagged")
        assert [(fact.data["added"], fact.data["removed"]) for fact in told] == [
            (["urgent", "é"], []),
            (["spam", "urgent"], []),
            ([], ["é"]),
        ]
        assert await changes_are_sound(database)

    async def test_a_response_has_at_most_fifty(self, database: Database) -> None:
        """Under concurrency, too: the row is locked."""
        acme = await make_tenant(database)
        await make_form(database, acme)
        replicas = [Responses(database), Responses(database)]
        response_id = await submit(replicas[0])
        await replicas[0].change_tags(acme, response_id, ChangeTags(add=[f"t{n}" for n in range(45)]))
        outcomes = await asyncio.gather(
            *(replicas[n % 2].change_tags(acme, response_id, ChangeTags(add=[f"u{n}"])) for n in range(10)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, InvalidChange) for outcome in outcomes) == 5
        assert len((await replicas[0].get(acme, response_id)).tags) == 50

    @pytest.mark.parametrize("tag", ["", "  ", "x" * 51, "a\nb", "a\0b"])
    def test_what_is_no_tag(self, tag: str) -> None:
        with pytest.raises(ValidationError):
            ChangeTags(add=[tag])


async def counts(responses: Responses, principal: Principal, form_id: str) -> list[tuple[str, int]]:
    return [(tag.tag, tag.count) for tag in (await responses.list_tags(principal, form_id)).data]


async def test_a_response_is_given_to_those_who_may_read_it(database: Database) -> None:
    """R3: by their role, or by a grant for the form."""
    acme = await make_tenant(database)
    await make_tenant(database, "other")
    form = await make_form(database, acme)
    elsewhere = await make_form(database, acme, slug="elsewhere")
    responses = Responses(database)
    response_id = await submit(responses)
    viewer, guest = await person(database, "viewer", "viewer"), await person(database, "guest", "guest")
    gone = await person(database, "gone", "owner", status="deactivated")
    foreign = await person(database, "foreign", "owner", tenant="other")
    assert (await responses.assign(acme, response_id, AssignResponse(user_id=viewer))).assignee == viewer
    async with database.write("acme") as unit:
        await grants.put(unit, acme, elsewhere.id, guest, PutFormGrant(role="viewer"))
    for nobody in (guest, gone, foreign, "usr_none"):
        with pytest.raises(InvalidChange) as caught:
            await responses.assign(acme, response_id, AssignResponse(user_id=nobody))
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/user_id", "user.unknown")]
    async with database.write("acme") as unit:
        await grants.put(unit, acme, form.id, guest, PutFormGrant(role="viewer"))
    assert (await responses.assign(acme, response_id, AssignResponse(user_id=guest))).assignee == guest
    assert (await responses.assign(acme, response_id, AssignResponse(user_id=None))).assignee is None
    told = await facts(database, "response.assigned")
    assert [fact.data["assignee"] for fact in told] == [viewer, guest, None]


async def test_reading_is_not_writing(database: Database) -> None:
    """U5: somebody who reads one form's responses changes none, and sees no other form's."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    one = reader(form.id)
    assert (await responses.get(one, response_id)).id == response_id
    for act in (
        responses.review(one, response_id, PutReview(state="approved")),
        responses.assign(one, response_id, AssignResponse(user_id=None)),
        responses.change_tags(one, response_id, ChangeTags(add=["x"])),
        responses.delete(one, response_id),
        responses.get(reader("frm_other"), response_id),
        responses.add_comment(reader("frm_other"), response_id, PutComment(text="So.")),
        responses.add_comment(owner("other"), response_id, PutComment(text="So.")),
    ):
        with pytest.raises(ResponseNotFound):
            await act
    with pytest.raises(Forbidden):
        await responses.list_tags(replace(one, grants={}), form.id)
