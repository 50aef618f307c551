"""R2: partial responses, on both dialects: saved, resumed elsewhere, completed exactly once."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from db.models.response_life import ResumeToken
from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import BadRequest, TenantSuspended
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import (
    AlreadyCompleted,
    FormClosed,
    FormFull,
    IdempotencyMismatch,
    IdempotencyRunning,
    InvalidAnswers,
    NotComplete,
    PartialNotFound,
)
from deployments.responses.life_contracts import EditResponse, PartialResponse
from deployments.responses.partials import token_hash
from eventing.events.envelope import Origin
from tests.deployments.responses.lives import (
    VISITOR,
    begin,
    changes_are_sound,
    facts,
    held,
    publish,
    save,
    submit,
)
from tests.eventing.harness import count, rows
from tests.factories import ANSWERS, make_form, make_tenant

WINE = {"id": "wine", "type": "short_text", "title": "Wine", "required": True}


async def test_a_response_is_begun_and_completed_elsewhere(database: Database) -> None:
    """R2: required answers are asked for at the end, the time it took is kept, the facts are told once each."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    here, elsewhere = Responses(database), Responses(database)
    begun = await begin(here, {"name": "Ada"}, meta={"source": "poster"}, timings={"p1": 1500})
    assert (begun.status, begun.version, held_token(begun.resume_token)) == ("partial", 1, True)
    assert begun.expires_at is not None
    assert timedelta(days=29) < begun.expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert await held(database) == 0

    found = await elsewhere.resume(VISITOR, begun.resume_token or "")
    assert (found.answers, found.meta, found.definition) == (
        {"name": "Ada"},
        {"source": "poster"},
        (await Forms(database).get_version(acme, form.id, 1)).definition,
    )
    saved = await save(elsewhere, begun.resume_token, answers={"email": "ada@example.org", "name": None})
    assert (saved.status, saved.answers, saved.submitted_at) == ("partial", {"email": "ada@example.org"}, None)
    with pytest.raises(InvalidAnswers) as caught:
        await save(elsewhere, begun.resume_token, status="complete")
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/answers/name", "required")]

    done = await save(
        elsewhere, begun.resume_token, answers={"name": "Ada L."}, status="complete", timings={"p1": 4000}
    )

    assert (done.status, done.answers) == ("complete", {"name": "Ada L.", "email": "ada@example.org"})
    stored = await here.get(acme, begun.id)
    assert (stored.status, stored.answers, stored.timings) == ("complete", done.answers, {"p1": 4000})
    assert (stored.meta, stored.submitted_at) == ({"source": "poster"}, done.submitted_at)
    assert stored.started_at is not None
    assert stored.seconds == pytest.approx((stored.submitted_at - stored.started_at).total_seconds())
    told = await facts(database, "response.started", "response.submitted")
    assert [(fact.type, fact.entity_id) for fact in told] == [
        ("response.started", begun.id),
        ("response.submitted", begun.id),
    ]
    assert told[1].data["answers"] == done.answers
    assert (await held(database), await changes_are_sound(database)) == (1, True)


def held_token(token: str | None) -> bool:
    return token is not None and token.startswith("fsr_acme.") and len(token) > 40


async def test_only_the_hash_of_a_token_is_kept(database: Database) -> None:
    await make_form(database, await make_tenant(database))
    begun = await begin(Responses(database), {})
    (kept,) = await rows(database, ResumeToken)
    assert kept.token_hash == token_hash(begun.resume_token or "")
    assert begun.resume_token not in repr(kept)


async def test_answers_that_are_given_are_checked(database: Database) -> None:
    await make_form(database, await make_tenant(database))
    responses = Responses(database)
    for body in (
        {"answers": {"email": "nobody"}, "timings": {"p9": 1}},
        {"answers": {"email": "nobody"}, "timings": {"p9": 1}, "status": "complete"},
    ):
        with pytest.raises(InvalidAnswers) as caught:
            await responses.submit(VISITOR, command(body))
        codes = {(fault.pointer, fault.code) for fault in caught.value.faults}
        assert codes >= {("/answers/email", "format.email"), ("/timings/p9", "unknown_page")}
    begun = await begin(responses, {"name": "Ada"})
    with pytest.raises(InvalidAnswers) as caught:
        await save(responses, begun.resume_token, answers={"email": "nobody", "name": "Eve"}, timings={"p9": 1})
    assert {fault.pointer for fault in caught.value.faults} == {"/answers/email", "/timings/p9"}
    assert (await responses.resume(VISITOR, begun.resume_token or "")).answers == {"name": "Ada"}


def command(body: dict[str, object]) -> SubmitResponse:
    return SubmitResponse(body=orjson.dumps(body), slug="party")


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", BadRequest),
        (b"{", BadRequest),
        (b"[]", InvalidAnswers),
        (b'{"answers": []}', InvalidAnswers),
        (b'{"status": "done"}', InvalidAnswers),
        (b'{"timings": {"p1": -1}}', InvalidAnswers),
        (b'{"timings": {"p1": "x"}}', InvalidAnswers),
        (b'{"started_at": "2026-01-01T00:00:00Z"}', InvalidAnswers),
        (b'{"meta": {"x": "\\u0000"}}', InvalidAnswers),
        (b'{"extra": 1}', InvalidAnswers),
    ],
)
async def test_hostile_savings_are_refused(database: Database, body: bytes, failure: type[Exception]) -> None:
    await make_form(database, await make_tenant(database))
    responses = Responses(database)
    begun = await begin(responses, {"name": "Ada"})
    with pytest.raises(failure):
        await responses.save_partial(VISITOR, begun.resume_token or "", body, None)
    assert (await responses.resume(VISITOR, begun.resume_token or "")).answers == {"name": "Ada"}


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"status": "finished"}, "/status"),
        ({"started_at": "yesterday"}, "/started_at"),
        ({"started_at": "2026-01-01T00:00:00"}, "/started_at"),
        ({"timings": {"p1": 1.5}}, "/timings/p1"),
        ({"timings": [1]}, "/timings"),
        ({"timings": {"p1": 10**12}}, "/timings/p1"),
    ],
)
async def test_what_comes_with_answers_is_checked_too(database: Database, more: dict[str, Any], pointer: str) -> None:
    """F2: together with everything else that is wrong with the body."""
    await make_form(database, await make_tenant(database))
    with pytest.raises(InvalidAnswers) as caught:
        await Responses(database).submit(VISITOR, command({"answers": ANSWERS, "extra": 1, **more}))
    assert {fault.pointer for fault in caught.value.faults} == {"/extra", pointer}


async def test_the_version_that_was_begun_stays(database: Database) -> None:
    """R2: a newer version with another required question is not asked of those who began before it."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    begun = await begin(responses, {"name": "Ada"})
    assert await publish(database, acme, form.id, WINE) == 2
    done = await save(Responses(database), begun.resume_token, answers={"email": "a@b.co"}, status="complete")
    assert (done.status, done.version) == ("complete", 1)
    assert (await responses.get(acme, begun.id)).version == 1


class TestTokens:
    async def test_one_answer_for_every_token_that_leads_nowhere(self, database: Database) -> None:
        """T5: unknown, expired, another tenant's, of a response or form in the trash."""
        acme = await make_tenant(database)
        form = await make_form(database, acme)
        responses = Responses(database)
        trashed, expired, live = [await begin(responses, {"name": name}) for name in ("a", "b", "c")]
        await responses.delete(acme, trashed.id)
        await expire(database, expired.id)
        await make_tenant(database, "other")
        with pytest.raises(PartialNotFound):
            await responses.resume(Principal.anonymous("other", Origin()), live.resume_token or "")
        for token in ("", "fsr_acme." + "x" * 43, trashed.resume_token, expired.resume_token):
            await leads_nowhere(responses, token)
        await Forms(database).delete(acme, form.id)
        await leads_nowhere(Responses(database), live.resume_token)

    async def test_a_suspended_tenant_takes_nothing(self, database: Database) -> None:
        await make_form(database, await make_tenant(database))
        begun = await begin(Responses(database), {"name": "Ada"})
        async with database.unscoped_write() as unit:
            await unit.session.execute(text("UPDATE tenant SET status = 'suspended'"))
        with pytest.raises(TenantSuspended):
            await save(Responses(database), begun.resume_token, answers={})
        with pytest.raises(TenantSuspended):
            await Responses(database).resume(VISITOR, begun.resume_token or "")

    async def test_a_save_renews_the_token(self, database: Database) -> None:
        await make_form(database, await make_tenant(database))
        responses = Responses(database)
        begun = await begin(responses, {"name": "Ada"})
        soon = datetime.now(UTC) + timedelta(hours=1)
        async with database.unscoped_write() as unit:
            (await unit.session.get(ResumeToken, ("acme", begun.id))).expires_at = soon  # type: ignore[union-attr]
        saved = await save(responses, begun.resume_token, answers={"name": "Eve"})
        assert saved.expires_at > soon + timedelta(days=29)

    async def test_a_closed_form_takes_no_more(self, database: Database) -> None:
        acme = await make_tenant(database)
        form = await make_form(database, acme)
        begun = await begin(Responses(database), ANSWERS)
        closed = {"closes_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
        await Forms(database).update(acme, form.id, UpdateForm(settings=closed))
        for status in ("partial", "complete"):
            with pytest.raises(FormClosed):
                await save(Responses(database), begun.resume_token, status=status)

    async def test_a_partial_response_is_its_visitors_to_change(self, database: Database) -> None:
        acme = await make_tenant(database)
        await make_form(database, acme)
        responses = Responses(database)
        begun = await begin(responses, {"name": "Ada"})
        with pytest.raises(NotComplete):
            await responses.edit(acme, begun.id, EditResponse(answers={"name": "Eve"}), None)


async def leads_nowhere(responses: Responses, token: str | None) -> None:
    with pytest.raises(PartialNotFound):
        await responses.resume(VISITOR, token or "")
    with pytest.raises(PartialNotFound):
        await save(responses, token, answers={})


async def expire(database: Database, response_id: str) -> None:
    async with database.unscoped_write() as unit:
        token = await unit.session.get(ResumeToken, ("acme", response_id))
        assert token is not None
        token.expires_at = datetime.now(UTC) - timedelta(seconds=1)


class TestRepetition:
    async def test_the_completing_call_again_gets_the_same_answer(self, database: Database) -> None:
        acme = await make_tenant(database)
        await make_form(database, acme)
        responses = Responses(database)
        begun = await begin(responses, {"name": "Ada"})
        body = {"answers": {"email": "a@b.co"}, "status": "complete"}
        first = await save(responses, begun.resume_token, **body)
        await responses.edit(acme, begun.id, EditResponse(answers={"name": "What the team made of it"}), None)
        again = await save(responses, begun.resume_token, **body)
        assert (first.replayed, again.replayed) == (False, True)
        assert (again.answers, again.submitted_at, again.status) == (first.answers, first.submitted_at, "complete")
        assert len(await facts(database, "response.submitted")) == 1
        for other in ({"answers": {"email": "e@b.co"}, "status": "complete"}, {"answers": {}}):
            with pytest.raises(AlreadyCompleted):
                await save(responses, begun.resume_token, **other)
        with pytest.raises(AlreadyCompleted):
            await responses.resume(VISITOR, begun.resume_token or "")

    async def test_a_key_carries_out_a_call_once(self, database: Database) -> None:
        """R1: of savings and of the completion; with another body it is refused."""
        await make_form(database, await make_tenant(database))
        responses = Responses(database)
        begun = await begin(responses, {})
        one = await save(responses, begun.resume_token, key="k-1", answers={"name": "Ada"})
        two = await save(responses, begun.resume_token, key="k-1", answers={"name": "Ada"})
        assert (one.replayed, two.replayed) == (False, True)
        with pytest.raises(IdempotencyMismatch):
            await save(responses, begun.resume_token, key="k-1", answers={"name": "Eve"})
        full = {"answers": {"email": "a@b.co"}, "status": "complete"}
        done = await save(responses, begun.resume_token, key="k-2", **full)
        again = await save(responses, begun.resume_token, key="k-2", **full)
        assert (done.replayed, again.replayed, again.submitted_at) == (False, True, done.submitted_at)
        with pytest.raises(IdempotencyMismatch):
            await save(responses, begun.resume_token, key="k-2", answers={"name": "Eve"}, status="complete")

    async def test_a_second_call_during_the_first_is_refused(self, database: Database) -> None:
        """R1: 409 while the first is running, and one of them is carried out."""
        await make_form(database, await make_tenant(database))
        responses = Responses(database)
        begun = await begin(responses, {})
        calls = [save(responses, begun.resume_token, key="k-1", answers={"name": "Ada"}) for _ in range(10)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, PartialResponse) and not outcome.replayed for outcome in outcomes) == 1
        assert any(isinstance(outcome, IdempotencyRunning) for outcome in outcomes)
        assert all(isinstance(outcome, PartialResponse | IdempotencyRunning) for outcome in outcomes)

    async def test_the_same_beginning_again_is_the_same_response(self, database: Database) -> None:
        """A new token takes the place of the one that may have been lost, until somebody has gone on."""
        await make_form(database, await make_tenant(database))
        responses = Responses(database)
        first = await begin(responses, {"name": "Ada"}, key="k-1")
        second = await begin(responses, {"name": "Ada"}, key="k-1")
        assert (second.id, second.replayed, second.submitted_at) == (first.id, True, first.submitted_at)
        await leads_nowhere(responses, first.resume_token)
        await save(responses, second.resume_token, answers={"email": "secret@b.co"})
        third = await begin(responses, {"name": "Ada"}, key="k-1")
        assert (third.id, third.resume_token) == (first.id, None)
        assert (await responses.resume(VISITOR, second.resume_token or "")).answers["email"] == "secret@b.co"
        with pytest.raises(IdempotencyMismatch):
            await begin(responses, {"name": "Eve"}, key="k-1")
        with pytest.raises(IdempotencyMismatch):
            await begin(responses, ANSWERS, key="k-1", status="complete")
        assert await count(database, ResponseRow) == 1


class TestConcurrency:
    async def test_a_limit_is_exact_under_parallel_completions(self, database: Database) -> None:
        """R9: completions and submissions together, over two replicas."""
        await make_form(database, await make_tenant(database), max_responses=17)
        replicas = [Responses(database), Responses(database)]
        begun = [await begin(replicas[0], ANSWERS) for _ in range(40)]
        calls = [save(replicas[n % 2], each.resume_token, status="complete") for n, each in enumerate(begun)]
        calls += [submit(replicas[n % 2]) for n in range(40)]  # type: ignore[misc]
        random.shuffle(calls)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, FormFull) for outcome in outcomes) == 63
        assert sum(isinstance(outcome, PartialResponse | str) for outcome in outcomes) == 17
        complete = [row for row in await rows(database, ResponseRow) if row.status == "complete"]
        assert (len(complete), await held(database)) == (17, 17)
        assert len(await facts(database, "response.submitted")) == 17
        assert await changes_are_sound(database)

    async def test_a_response_is_completed_once(self, database: Database) -> None:
        """Twenty different completions of one response at once: one holds, the others hear that it is done."""
        await make_form(database, await make_tenant(database))
        replicas = [Responses(database), Responses(database)]
        begun = await begin(replicas[0], ANSWERS)
        outcomes = await asyncio.gather(
            *(
                save(replicas[n % 2], begun.resume_token, answers={"name": f"Ada {n}"}, status="complete")
                for n in range(20)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, PartialResponse) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, AlreadyCompleted) for outcome in outcomes) == 19
        assert (await held(database), len(await facts(database, "response.submitted"))) == (1, 1)

    async def test_no_saved_answer_is_lost(self, database: Database) -> None:
        """Two devices that save different fields at once, and one that completes meanwhile."""
        await make_form(database, await make_tenant(database))
        replicas = [Responses(database), Responses(database)]
        begun = await begin(replicas[0], {"name": "Ada", "email": "a@b.co"})
        await asyncio.gather(
            save(replicas[0], begun.resume_token, answers={"score": 7}),
            save(replicas[1], begun.resume_token, answers={"side": ["corn"]}),
        )
        done = await save(replicas[1], begun.resume_token, status="complete")
        assert done.answers == {"name": "Ada", "email": "a@b.co", "score": 7, "side": ["corn"]}


async def test_a_clock_that_is_ahead_began_when_we_heard_of_it(database: Database) -> None:
    acme = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    minute = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    first = await responses.get(acme, await submit(responses, started_at=ahead))
    second = await responses.get(acme, await submit(responses, started_at=minute, timings={"p1": 59_000}))
    plain = await responses.get(acme, await submit(responses))
    assert (first.seconds, first.started_at) == (0, first.submitted_at)
    assert second.seconds == pytest.approx(60, abs=30)
    assert (second.timings, plain.timings, plain.seconds) == ({"p1": 59_000}, None, None)


async def test_those_with_and_without_timings_are_stored_together(database: Database) -> None:
    """D3: one group, every response with its own."""
    acme: Principal = await make_tenant(database)
    await make_form(database, acme)
    responses = Responses(database)
    ids = await asyncio.gather(*(submit(responses, **({"timings": {"p1": n}} if n % 2 else {})) for n in range(20)))
    found = [await responses.get(acme, response_id) for response_id in ids]
    assert [each.timings for each in found] == [{"p1": n} if n % 2 else None for n in range(20)]
