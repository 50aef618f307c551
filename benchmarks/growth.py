"""A form that already has responses: put into the database as the platform leaves them, but in bulk.

What one submission through the platform left is copied with other ids and answers, then what follows in the background
is done: the index of answers, live figures.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, text
from sqlmodel import col

from benchmarks.databases import analyze
from benchmarks.form import ANSWERS, Form
from db.models.events import Event
from db.models.forms import FormCounter
from db.models.responses import Response
from db.session import Database
from db.types import new_id
from deployments.analytics.metrics.keeping import Counting
from deployments.responses.query.indexing import AnswerIndexer
from eventing.events.envelope import Event as Envelope

_PIECE = 10_000
_AT_ONCE = 2_000
_APART = timedelta(milliseconds=100)

# For every consumer that has entered the event which is copied: not every consumer needs an inbox.
_HEARD = text("""
INSERT INTO processed_event (tenant_id, consumer, event_id, generation, processed_at)
SELECT event.tenant_id, done.consumer, event.id, '', done.processed_at
FROM event JOIN processed_event AS done ON done.tenant_id = event.tenant_id AND done.event_id = :like
WHERE event.tenant_id = :tenant AND event.form_id = :form AND event.type = 'response.submitted'
ON CONFLICT DO NOTHING""")
_CHANGES = text(
    "UPDATE form_counter SET responses = responses + :more, changes = changes + :more "
    "WHERE tenant_id = :tenant AND form_id = :form RETURNING changes"
)
_SEQUENCE = text("UPDATE event_counter SET last = last + :more WHERE tenant_id = :tenant RETURNING last")


async def grow(form: Form, rows: int) -> None:
    """Bring the form to so many responses with all that belongs to them. The platform has to be stopped, and everything
    that was submitted heard of."""
    async with Database(form.platform.database) as database:
        there, response, event = await _latest(database, form)
        for start, number in _pieces(rows - there):
            await _add(database, form, response, event, start, number)
        async with database.write(form.tenant) as unit:
            await unit.session.execute(_HEARD, {"tenant": form.tenant, "form": form.id, "like": event["id"]})
        await _digest(database, form)
    form.answered += max(0, rows - there)
    await analyze(form.platform.database)


async def _latest(database: Database, form: Form) -> tuple[int, Mapping[str, Any], Mapping[str, Any]]:
    """How many responses the form has, its latest, and the event of that one."""
    async with database.read(form.tenant) as unit:
        mine = col(FormCounter.tenant_id) == form.tenant, col(FormCounter.form_id) == form.id
        there = await unit.session.scalar(select(FormCounter.responses).where(*mine))
        responses = select(*Response.__table__.columns).where(col(Response.form_id) == form.id)
        response = (await unit.session.execute(responses.order_by(col(Response.change).desc()).limit(1))).mappings()
        latest = dict(response.one())
        events = select(*Event.__table__.columns).where(col(Event.entity_id) == latest["id"])
        event = (await unit.session.execute(events.where(col(Event.type) == "response.submitted"))).mappings()
        return there or 0, latest, dict(event.one())


def _pieces(rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, rows, _PIECE):
        yield start, min(_PIECE, rows - start)


async def _add(
    database: Database, form: Form, response: Mapping[str, Any], event: Mapping[str, Any], start: int, number: int
) -> None:
    like = Envelope.decode(event["envelope"])
    mine = {"more": number, "tenant": form.tenant, "form": form.id}
    responses, events = [], []
    async with database.write(form.tenant) as unit:
        changes = await unit.session.scalar(_CHANGES, mine) - number
        sequence = await unit.session.scalar(_SEQUENCE, mine) - number
        for place in range(1, number + 1):
            at = response["submitted_at"] - _APART * (start + place)
            row = {**response, "id": new_id("rsp"), "submitted_at": at, "change": changes + place}
            row["answers"] = varied(random.Random(changes + place))
            responses.append(row)
            data = like.data | {"response_id": row["id"], "answers": row["answers"]}
            told = replace(like, id=new_id("evt"), timestamp=at, entity_id=row["id"], data=data)
            events.append(_row(event, told, sequence + place))
        connection = await unit.session.connection()
        await connection.execute(insert(Response), responses)
        await connection.execute(insert(Event), events)


def _row(event: Mapping[str, Any], told: Envelope, sequence: int) -> dict[str, Any]:
    moments: dict[str, datetime] = {"occurred_at": told.timestamp, "published_at": told.timestamp}
    names = {"id": told.id, "entity_id": told.entity_id, "envelope": told.encode(), "sequence": sequence}
    return {**event, **moments, **names}


def varied(dice: random.Random) -> dict[str, Any]:
    """What somebody answers, as long as `ANSWERS`."""
    number = dice.randrange(10**6)
    return ANSWERS | {
        "name": f"Visitor {number}",
        "email": f"v{number}@example.org",
        "age": dice.randrange(18, 99),
        "born": f"{dice.randrange(1930, 2008)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
        "side": dice.sample(["corn", "yams"], dice.randrange(1, 3)),
        "main": dice.choice(["turkey", "tofu"]),
        "score": dice.randrange(11),
        "again": dice.random() < 0.5,
    }


async def _digest(database: Database, form: Form) -> None:
    indexer, counting = AnswerIndexer(database, piece=_AT_ONCE, rest=False), Counting(database, piece=_AT_ONCE)
    while await indexer.round():
        pass
    while await counting.advance(form.tenant, form.id):
        pass
