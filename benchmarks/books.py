"""Whether the books balance after a load: what is answered is stored, what is stored is told, what is told is heard."""

import asyncio
import time
from contextlib import suppress

from sqlalchemy import TextClause, text

from benchmarks.form import Form
from db.session import Database, UnitOfWork

_HEARD_S = 600.0
_LOOK_S = 0.5

_STORED = text("SELECT count(*) FROM response WHERE tenant_id = :tenant AND form_id = :form")
_TOLD = text("SELECT count(*) FROM event WHERE tenant_id = :tenant AND form_id = :form AND type = 'response.submitted'")
_CONSUMERS = text("SELECT DISTINCT consumer FROM processed_event WHERE tenant_id = :tenant ORDER BY consumer")
_HEARD = text(
    "SELECT count(*) FROM event WHERE tenant_id = :tenant AND form_id = :form AND type = 'response.submitted' "
    "AND EXISTS (SELECT 1 FROM processed_event AS done WHERE done.tenant_id = event.tenant_id "
    "AND done.consumer = :consumer AND done.event_id = event.id)"
)


async def balance(form: Form) -> None:
    """Wait until every consumer has heard of every response of the form, and say so.

    Raises AssertionError when a response that was answered is not stored, more are stored than were sent, a response
    has no event or more than one, or a consumer does not hear of all.
    """
    database = Database(form.platform.database)
    try:
        async with database.read(form.tenant) as unit:
            stored, told = await _number(unit, form, _STORED), await _number(unit, form, _TOLD)
        if not form.answered <= stored <= form.answered + form.unanswered:
            raise AssertionError(
                f"{form.answered} were answered with 201 and at most {form.unanswered} more sent, {stored} are stored"
            )
        if told != stored:
            raise AssertionError(f"{stored} responses have {told} events")
        consumers = await _heard(database, form, told)
    finally:
        await database.close()
    print(
        f"books: {form.answered:,} answered with 201, {stored:,} stored, {told:,} events, each heard by "
        f"{', '.join(consumers)}",
        flush=True,
    )


async def _heard(database: Database, form: Form, told: int) -> list[str]:
    """The consumers that hear of responses, once each has heard of all."""
    pause, deadline = asyncio.Event(), time.monotonic() + _HEARD_S
    while True:
        async with database.read(form.tenant) as unit:
            names = [str(name) for name in await unit.session.scalars(_CONSUMERS, {"tenant": form.tenant})]
            heard = {name: await _number(unit, form, _HEARD, consumer=name) for name in names}
        # Others hear of forms, and never of responses.
        heard = {name: number for name, number in heard.items() if number}
        if heard and min(heard.values()) >= told:
            return list(heard)
        if time.monotonic() > deadline:
            raise AssertionError(f"of {told} events not every consumer has heard: {heard}")
        with suppress(TimeoutError):
            await asyncio.wait_for(pause.wait(), _LOOK_S)


async def _number(unit: UnitOfWork, form: Form, question: TextClause, **more: str) -> int:
    return await unit.session.scalar(question, {"tenant": form.tenant, "form": form.id, **more}) or 0
