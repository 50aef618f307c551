"""What queries over one large form cost, on both databases, through the door of responses.

`python -m benchmarks.queries [--rows 10000 100000] [--rounds 30] [--databases sqlite postgresql]`
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import psutil
from sqlalchemy import insert, text, update
from sqlmodel import col

from benchmarks.databases import analyze, scratch
from benchmarks.machine import describe
from db.migrate import upgrade
from db.models.forms import FormCounter
from db.models.responses import Response
from db.session import Database
from db.settings import DatabaseSettings
from db.types import new_id
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.query.indexing import AnswerIndexer
from tests.factories import make_form, make_tenant

TAIL = 500
_PIECE = 10_000
_START = datetime(2024, 1, 1, tzinfo=UTC)
_WORDS = [
    f"{first}{last}"
    for first in ("bar", "cor", "del", "fin", "gol", "hal", "kin")
    for last in ("ado", "bus", "cil", "dra", "ent", "fur", "gan", "hop", "imp", "jor")
]

SURVEY: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Name"},
                {"id": "email", "type": "email", "title": "E-mail"},
                {"id": "score", "type": "nps", "title": "Score"},
                {"id": "amount", "type": "number", "title": "Amount"},
                {"id": "day", "type": "date", "title": "Day"},
                {
                    "id": "team",
                    "type": "choice",
                    "title": "Team",
                    "options": [{"id": each, "label": each} for each in ("often", "some", "old", "rare", "never")],
                },
                {
                    "id": "side",
                    "type": "multi_choice",
                    "title": "Sides",
                    "options": [{"id": each, "label": each} for each in ("corn", "yams", "rice")],
                },
                {"id": "note", "type": "long_text", "title": "Note"},
            ],
        }
    ],
    "languages": ["en"],
}


Answers: TypeAlias = Callable[[random.Random, int, int], dict[str, Any]]
"""What a response answers: dice, its place, and how many there are."""


def _answers(dice: random.Random, place: int, rows: int) -> dict[str, Any]:
    team = "old" if place < rows / 5 else "rare" if place % 10_000 == 7 else "some" if place % 3 == 0 else "often"
    note = " ".join(dice.choices(_WORDS, k=12)) + (" needle" if place % 10_000 == 9 else "")
    return {
        "name": f"Person {dice.randrange(10 * rows)}",
        "email": f"person{place}@example.com",
        "score": dice.randrange(11),
        "amount": dice.randrange(1_000_000) / 100,
        "day": (_START + timedelta(days=dice.randrange(700))).date().isoformat(),
        "team": team,
        "side": dice.sample(("corn", "yams", "rice"), dice.randint(1, 2)),
        "note": note,
    }


async def _fill(database: Database, principal: Principal, form_id: str, rows: int, answers: Answers = _answers) -> None:
    dice = random.Random(1)
    for start in range(0, rows, _PIECE):
        piece = [
            {
                "tenant_id": principal.tenant_id,
                "id": new_id("rsp"),
                "form_id": form_id,
                "version": 1,
                "status": "complete" if place % 50 else "partial",
                "answers": answers(dice, place, rows),
                "meta": {},
                "submitted_by": "anonymous",
                "submitted_at": _START + timedelta(seconds=place),
                "deleted_at": None,
                "change": place + 1,
            }
            for place in range(start, min(start + _PIECE, rows))
        ]
        async with database.write(principal.tenant_id) as unit:
            await (await unit.session.connection()).execute(insert(Response), piece)
            counted = {"responses": start + len(piece), "changes": start + len(piece)}
            await unit.session.execute(update(FormCounter).where(col(FormCounter.form_id) == form_id).values(**counted))


async def _measure(settings: DatabaseSettings, rows: int, rounds: int) -> None:
    await upgrade(settings)
    async with Database(settings) as database:
        principal = await make_tenant(database)
        form = await make_form(database, principal, definition=SURVEY)
        began = time.perf_counter()
        await _fill(database, principal, form.id, rows - TAIL)
        print(f"filled in {time.perf_counter() - began:.0f} s", end="; ")
        began = time.perf_counter()
        indexer = AnswerIndexer(database, at_least=1, rest=False)
        while await indexer.round():
            pass
        indexed = time.perf_counter() - began
        print(f"indexed in {indexed:.0f} s, {(rows - TAIL) / indexed:,.0f} responses a second", end="; ", flush=True)
        await analyze(settings)
        await _lag(database, principal, form.id, rows)
        print(f"{TAIL} responses are not in the index; {await _size(database)} MB")
        responses = Responses(database)
        await _queries(responses, principal, form.id, rows, rounds)
        await _walk(responses, principal, form.id, rows - TAIL)


async def _lag(database: Database, principal: Principal, form_id: str, rows: int) -> None:
    """Edit some, so that the index is behind."""
    async with database.write(principal.tenant_id) as unit:
        chosen = update(Response).where(col(Response.form_id) == form_id, col(Response.change) <= TAIL)
        await unit.session.execute(chosen.values(change=col(Response.change) + rows - TAIL))
        counter = update(FormCounter).where(col(FormCounter.form_id) == form_id)
        await unit.session.execute(counter.values(changes=rows))


async def _size(database: Database) -> str:
    question = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if database.is_sqlite
        else "SELECT pg_database_size(current_database())"
    )
    async with database.unscoped_read() as unit:
        return f"{int(await unit.session.scalar(text(question)) or 0) / 2**20:,.0f}"


async def _queries(responses: Responses, principal: Principal, form_id: str, rows: int, rounds: int) -> None:
    async def ask(**query: Any) -> Any:
        return await responses.list_responses(principal, ListResponses(form_id=form_id, **query))

    deep = await _middle(responses, principal, form_id, rows)
    change = (await responses.list_changes(principal, form_id, None, 1000)).next_cursor
    questions: dict[str, Callable[[], Awaitable[Any]]] = {
        "first page": ask,
        "deep page": lambda: ask(cursor=deep),
        "first page by a number": lambda: ask(sort="amount"),
        "first page by a text, descending": lambda: ask(sort="-name"),
        "answer, common": lambda: ask(filter={"team": {"eq": "often"}}),
        "answer, common long ago": lambda: ask(filter={"team": {"eq": "old"}}),
        "answer, rare": lambda: ask(filter={"team": {"eq": "rare"}}),
        "answer, none": lambda: ask(filter={"team": {"eq": "never"}}),
        "answer, unique": lambda: ask(filter={"email": {"eq": "person77@example.com"}}),
        "two answers": lambda: ask(filter={"side": {"all": "corn,yams"}, "score": {"gte": 9}}),
        "range, narrow": lambda: ask(filter={"amount": {"between": "5000,5001"}}),
        "range, wide": lambda: ask(filter={"amount": {"gte": 2000}}),
        "range, narrow, by name": lambda: ask(filter={"amount": {"between": "5000,5001"}}, sort="name"),
        "status, rare": lambda: ask(status="partial"),
        "full text, common": lambda: ask(q="barado"),
        "full text, two words": lambda: ask(q="barado corbus"),
        "full text, rare": lambda: ask(q="needle"),
        "full text, none": lambda: ask(q="nothing"),
        "full text, beginnings": lambda: ask(q="bara* corb*"),
        "review, none": lambda: ask(filter={"review": {"eq": "approved"}}),
        "tag, none, by name": lambda: ask(filter={"tags": {"any": "vip"}}, sort="name"),
        "count of all": lambda: ask(include_total=True),
        "count, answer common": lambda: ask(filter={"team": {"eq": "often"}}, include_total=True),
        "count, two answers": lambda: ask(filter={"team": {"eq": "often"}, "score": {"gte": 9}}, include_total=True),
        "count, full text": lambda: ask(q="barado", include_total=True),
        "contains, none": lambda: ask(filter={"name": {"contains": "zzz"}}),
        "sync, 1,000 changes": lambda: responses.list_changes(principal, form_id, change, 1000),
    }
    process = psutil.Process()
    before = process.memory_info().rss
    worst = ("", 0.0)
    print("| query | p50 ms | p95 ms |\n|---|---|---|")
    for name, question in questions.items():
        await question()
        taken = []
        for _ in range(rounds):
            began = time.perf_counter()
            await question()
            taken.append((time.perf_counter() - began) * 1e3)
            if sum(taken) > 30_000:
                break
        cuts = statistics.quantiles(taken, n=20) if len(taken) > 1 else taken * 20
        print(f"| {name} | {cuts[9]:,.1f} | {cuts[18]:,.1f} |", flush=True)
        worst = max(worst, (name, cuts[18]), key=lambda each: each[1])
    after = process.memory_info().rss
    print(f"highest p95: {worst[1]:,.1f} ms ({worst[0]})")
    print(f"memory of this process: {before / 2**20:,.0f} MB before, {after / 2**20:,.0f} MB after")


async def _walk(responses: Responses, principal: Principal, form_id: str, rows: int) -> None:
    """A copy of everything by incremental sync, which must find each response once, and what it costs in memory."""
    process = psutil.Process()
    change: str | None = None
    seen, taken, resident = 0, [], []
    while True:
        began = time.perf_counter()
        page = await responses.list_changes(principal, form_id, change, 1000)
        taken.append((time.perf_counter() - began) * 1e3)
        resident.append(process.memory_info().rss / 2**20)
        seen, change = seen + len(page.data), page.next_cursor
        if not page.has_more:
            break
    if seen != rows:
        raise SystemExit(f"{seen:,} of {rows:,} responses were told of")
    p95 = sorted(taken)[int(len(taken) * 0.95)]
    print(f"sync of all: {len(taken):,} pages, {sum(taken) / 1e3:,.1f} s, p95 {p95:,.1f} ms a page; memory", end=" ")
    print(f"{resident[len(resident) // 10]:,.0f} MB after a tenth, {resident[-1]:,.0f} MB after all\n")


async def _middle(responses: Responses, principal: Principal, form_id: str, rows: int) -> str | None:
    """A cursor in the middle."""
    cursor: str | None = None
    for _ in range(rows // 2000):
        query = ListResponses(form_id=form_id, limit=1000, cursor=cursor, fields=["score"])
        cursor = (await responses.list_responses(principal, query)).meta.next_cursor or cursor
    return cursor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    print(describe())
    for database in arguments.databases:
        for rows in arguments.rows:
            print(f"\n{database}, {rows:,} responses of one form:")
            with scratch(database) as settings:
                asyncio.run(_measure(settings, rows, arguments.rounds))


if __name__ == "__main__":
    main()
