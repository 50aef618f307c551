"""Whether the books balance after a load: what is answered is stored, what is stored is told, what is told is heard."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlalchemy import TextClause, text

from benchmarks.form import Form
from db.session import Database, UnitOfWork
from eventing import connection
from eventing.settings import EventingSettings
from eventing.streams import is_consumed, last_message

_HEARD_S = 600.0
_COUNTED_S = 60.0
_LOOK_S = 1.0

_STORED = text("SELECT count(*) FROM response WHERE tenant_id = :tenant AND form_id = :form")
_TOLD = text("SELECT count(*) FROM event WHERE tenant_id = :tenant AND form_id = :form AND type = 'response.submitted'")
_UNPUBLISHED = text("SELECT count(*) FROM event WHERE tenant_id = :tenant AND form_id = :form AND published_at IS NULL")


async def balance(form: Form) -> None:
    """Wait until every consumer has heard of every response of the form, and say so.

    Raises AssertionError when a response that was answered is not stored, more are stored than were sent, a response
    has no event or more than one, or a consumer does not acknowledge all that it gets.
    """
    async with Database(form.platform.database) as database:
        # Of one moment: what the generator left may be stored between two questions.
        async with database.snapshot(form.tenant, limit_s=_COUNTED_S) as unit:
            stored, told = await _number(unit, form, _STORED), await _number(unit, form, _TOLD)
        if not form.answered <= stored <= form.answered + form.unanswered:
            raise AssertionError(
                f"{form.answered} were answered with 201 and at most {form.unanswered} more sent, {stored} are stored"
            )
        if told != stored:
            raise AssertionError(f"{stored} responses have {told} events")
        await _heard(database, form)
    print(
        f"books: {form.answered:,} answered with 201, {stored:,} stored, {told:,} events, acknowledged by "
        "every consumer that gets them",
        flush=True,
    )


async def _heard(database: Database, form: Form) -> None:
    """Return once every event of the form is in the stream, and every consumer has acknowledged what it gets of it."""
    settings = EventingSettings(nats_url=form.platform.nats_url)
    client = await connection.connect(settings, "benchmark")
    try:
        await _until(lambda: _is_published(database, form), "not every event is in the stream")
        last = await last_message(client, _LOOK_S)
        await _until(lambda: is_consumed(client, last, _LOOK_S), "not every consumer has acknowledged what it gets")
    finally:
        await connection.close(client)


async def _is_published(database: Database, form: Form) -> bool:
    async with database.read(form.tenant) as unit:
        return await _number(unit, form, _UNPUBLISHED) == 0


async def _until(come: Callable[[], Awaitable[bool]], complaint: str) -> None:
    pause, deadline = asyncio.Event(), time.monotonic() + _HEARD_S
    while not await come():
        if time.monotonic() > deadline:
            raise AssertionError(complaint)
        with suppress(TimeoutError):
            await asyncio.wait_for(pause.wait(), _LOOK_S)


async def _number(unit: UnitOfWork, form: Form, question: TextClause) -> int:
    return await unit.session.scalar(question, {"tenant": form.tenant, "form": form.id}) or 0
