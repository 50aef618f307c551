"""Submitting, on both dialects: the door that must lose nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, text

from db.models.events import Event as EventRow
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import BadRequest, TenantSuspended
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses, SubmitResponse, SubmittedResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import (
    FormClosed,
    FormFull,
    FormNotFound,
    IdempotencyMismatch,
    InvalidAnswers,
)
from deployments.responses.published import PublishedForms
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from tests.factories import ANSWERS, make_form, make_tenant


def command(answers: Any = None, *, key: str | None = None, slug: str = "party", **more: Any) -> SubmitResponse:
    body = orjson.dumps({"answers": ANSWERS if answers is None else answers, **more})
    return SubmitResponse(body=body, slug=slug, idempotency_key=key)


def visitor(tenant_id: str = "acme") -> Principal:
    return Principal.anonymous(tenant_id, Origin(request_id="req-12345678", address="192.0.2.1"))


async def stored(database: Database, tenant_id: str = "acme") -> int:
    async with database.unscoped_read() as unit:
        statement = text("SELECT count(*) FROM response WHERE tenant_id = :t")
        return int(await unit.session.scalar(statement, {"t": tenant_id}) or 0)


async def test_a_submission_is_stored_with_its_event(database: Database) -> None:
    """R1, E2: the event row is in the transaction of the response."""
    form = await make_form(database, await make_tenant(database))
    receipt = await Responses(database).submit(visitor(), command())
    assert (receipt.status, receipt.version, receipt.replayed) == ("complete", 1, False)
    async with database.unscoped_read() as unit:
        row = (await unit.session.scalars(select(EventRow).where(EventRow.type == "response.submitted"))).one()  # type: ignore[arg-type]
    event = Event.decode(row.envelope)
    fact = event.read(ResponseSubmitted)
    assert (fact.response_id, fact.form_id, fact.answers) == (receipt.id, form.id, ANSWERS)
    assert (event.origin.request_id, event.actor, row.published_at) == ("req-12345678", "anonymous", None)


async def test_every_fault_is_named_at_once(database: Database) -> None:
    """F2: all errors at once, each with a pointer and a stable code."""
    await make_form(database, await make_tenant(database))
    with pytest.raises(InvalidAnswers) as caught:
        await Responses(database).submit(visitor(), command({"email": "nobody", "score": 11, "colour": "red"}))
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/answers/name", "required"),
        ("/answers/email", "format.email"),
        ("/answers/score", "range.max"),
        ("/answers/colour", "unknown_field"),
    }
    assert await stored(database) == 0


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", BadRequest),
        (b"{", BadRequest),
        (b'{"answers": {"name": "\xff"}}', BadRequest),
        (b"[" * 1000 + b"]" * 1000, InvalidAnswers),
        (b"[" * 5000 + b"]" * 5000, BadRequest),
        (b"[]", InvalidAnswers),
        (b"null", InvalidAnswers),
        (b"{}", InvalidAnswers),
        (b'{"answers": []}', InvalidAnswers),
        (b'{"answers": {"name": "A\\u0000", "email": "a@b.co"}}', InvalidAnswers),
        (b'{"answers": {"name": {"a": 1}, "email": 7}}', InvalidAnswers),
        (b'{"answers": {}, "meta": [1]}', InvalidAnswers),
        (b'{"answers": {"name": "A", "email": "a@b.co"}, "meta": {"x": "\\u0000"}}', InvalidAnswers),
        (b'{"answers": {"name": "A", "email": "a@b.co"}, "extra": 1}', InvalidAnswers),
    ],
)
async def test_hostile_bodies_are_refused_with_a_reason(
    sqlite_settings: Any, body: bytes, failure: type[Exception]
) -> None:
    database = Database(sqlite_settings)
    await make_form(database, await make_tenant(database))
    with pytest.raises(failure):
        await Responses(database).submit(visitor(), SubmitResponse(body=body, slug="party"))
    await database.close()


class TestIdempotency:
    async def test_fifty_parallel_calls_with_one_key_store_one_response(self, database: Database) -> None:
        """R1: the key is written in the business transaction."""
        await make_form(database, await make_tenant(database))
        one, other = Responses(database), Responses(database)
        receipts = await asyncio.gather(
            *(replica.submit(visitor(), command(key="k-1")) for replica in (one, other) for _ in range(25))
        )
        assert len({receipt.id for receipt in receipts}) == 1
        assert sum(not receipt.replayed for receipt in receipts) == 1
        assert await stored(database) == 1

    async def test_the_same_key_with_other_answers_is_refused(self, database: Database) -> None:
        await make_form(database, await make_tenant(database))
        responses = Responses(database)
        await responses.submit(visitor(), command(key="k-1"))
        with pytest.raises(IdempotencyMismatch):
            await responses.submit(visitor(), command({**ANSWERS, "name": "Eve"}, key="k-1"))

    async def test_a_key_belongs_to_its_tenant_and_form(self, database: Database) -> None:
        """T5: one tenant's key can neither read nor suppress another's submission."""
        responses = Responses(database)
        for tenant in ("acme", "other"):
            await make_form(database, await make_tenant(database, tenant))
            assert not (await responses.submit(visitor(tenant), command(key="k-1"))).replayed

    async def test_a_repeated_call_is_answered_although_the_form_has_closed(self, database: Database) -> None:
        principal = await make_tenant(database)
        form = await make_form(database, principal)
        first = await Responses(database).submit(visitor(), command(key="k-1"))
        closed = {"closes_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
        await Forms(database).update(principal, form.id, UpdateForm(settings=closed))
        again = await Responses(database).submit(visitor(), command(key="k-1"))
        assert (again.id, again.submitted_at, again.replayed) == (first.id, first.submitted_at, True)


class TestLimits:
    async def test_a_limit_is_exact_under_200_parallel_submissions(self, database: Database) -> None:
        """R9: max_responses holds exactly under concurrency, over two replicas."""
        await make_form(database, await make_tenant(database), max_responses=37)
        replicas = [Responses(database), Responses(database)]
        results = await asyncio.gather(
            *(replicas[n % 2].submit(visitor(), command()) for n in range(200)), return_exceptions=True
        )
        assert sum(isinstance(result, SubmittedResponse) for result in results) == 37
        assert sum(isinstance(result, FormFull) for result in results) == 163
        assert await stored(database) == 37

    async def test_the_tenants_quota_holds_too(self, database: Database) -> None:
        """T1: max_responses_per_form."""
        await make_form(database, await make_tenant(database, max_responses_per_form=1))
        responses = Responses(database)
        await responses.submit(visitor(), command())
        with pytest.raises(FormFull):
            await responses.submit(visitor(), command())

    async def test_a_deleted_response_frees_its_place(self, database: Database) -> None:
        principal = await make_tenant(database)
        await make_form(database, principal, max_responses=1)
        responses = Responses(database)
        receipt = await responses.submit(visitor(), command())
        await responses.delete(principal, receipt.id)
        await responses.submit(visitor(), command())
        with pytest.raises(FormFull):
            await responses.submit(visitor(), command())


class TestWhoMayAnswer:
    async def test_a_form_that_is_not_published_is_not_there(self, database: Database) -> None:
        await make_form(database, await make_tenant(database), publish=False)
        with pytest.raises(FormNotFound):
            await Responses(database).submit(visitor(), command())

    async def test_a_form_takes_answers_inside_its_window_only(self, database: Database) -> None:
        principal = await make_tenant(database)
        now = datetime.now(UTC)
        await make_form(database, principal, slug="early", opens_at=(now + timedelta(hours=1)).isoformat())
        await make_form(database, principal, slug="late", closes_at=(now - timedelta(hours=1)).isoformat())
        for slug in ("early", "late"):
            with pytest.raises(FormClosed):
                await Responses(database).submit(visitor(), command(slug=slug))

    async def test_a_window_begins_with_its_first_moment_and_is_over_at_its_last(self, database: Database) -> None:
        """F7: forms whose windows meet take no answer twice and leave no gap."""
        principal = await make_tenant(database)
        opens, closes, tick = datetime(2030, 5, 1, tzinfo=UTC), datetime(2030, 6, 1, tzinfo=UTC), timedelta.resolution
        window = {"opens_at": opens.isoformat(), "closes_at": closes.isoformat()}
        form = await make_form(database, principal, **window)
        found = await PublishedForms(database).renewed(principal.tenant_id, form.id)
        for moment in (opens, closes - tick):
            found.require_open(moment)
        for moment in (opens - tick, closes):
            with pytest.raises(FormClosed):
                found.require_open(moment)

    async def test_a_suspended_tenant_takes_no_answers(self, database: Database) -> None:
        """T1, T2."""
        await make_form(database, await make_tenant(database))
        async with database.unscoped_write() as unit:
            await unit.session.execute(text("UPDATE tenant SET status = 'suspended'"))
        with pytest.raises(TenantSuspended):
            await Responses(database).submit(visitor(), command())

    async def test_a_deleted_tenant_is_not_there(self, database: Database) -> None:
        """T1, T2."""
        await make_form(database, await make_tenant(database))
        async with database.unscoped_write() as unit:
            await unit.session.execute(text("UPDATE tenant SET status = 'deleted'"))
        with pytest.raises(FormNotFound):
            await Responses(database).submit(visitor(), command())


async def test_one_bad_row_never_fails_its_neighbours(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: what cannot be stored fails alone; the rest of its group is stored."""
    await make_form(database, await make_tenant(database))
    responses = Responses(database)
    first = await responses.submit(visitor(), command())
    ids = iter([first.id, "rsp_fresh", *(f"rsp_{n}" for n in range(50))])

    def next_id(prefix: str) -> str:
        return next(ids)

    monkeypatch.setattr("deployments.responses.submitting.new_id", next_id)
    results = await asyncio.gather(*(responses.submit(visitor(), command()) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, Exception) for result in results) == 1
    assert await stored(database) == 8


async def test_a_new_version_is_answered_within_a_second(database: Database) -> None:
    """C2: nothing cached is stale for longer after a write."""
    principal = await make_tenant(database)
    form = await make_form(database, principal)
    responses, forms = Responses(database), Forms(database)
    await responses.submit(visitor(), command())
    await forms.update(principal, form.id, UpdateForm(title="Second"))
    await forms.publish(principal, form.id)
    async with asyncio.timeout(1.0):
        while (await responses.submit(visitor(), command())).version != 2:
            await asyncio.sleep(0.02)


async def test_pages_of_responses_hold_each_once_in_both_orders(database: Database) -> None:
    """R4: keyset paging."""
    principal = await make_tenant(database)
    form = await make_form(database, principal)
    responses = Responses(database)
    made = {(await responses.submit(visitor(), command())).id for _ in range(7)}
    for sort in ("submitted_at", "-submitted_at"):
        seen: list[tuple[datetime, str]] = []
        cursor = None
        while True:
            query = ListResponses(form_id=form.id, sort=sort, cursor=cursor, limit=3, include_total=True)  # type: ignore[arg-type]
            page = await responses.list_responses(principal, query)
            assert page.meta.total == 7
            seen += [(row.submitted_at, row.id) for row in page.data]
            cursor = page.meta.next_cursor
            if cursor is None:
                break
        assert {row_id for _, row_id in seen} == made
        assert seen == sorted(seen, reverse=sort.startswith("-"))
