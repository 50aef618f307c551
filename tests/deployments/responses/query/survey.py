"""A form with every kind of field, answers to it by a seed, and what a filter means, in plain Python."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from db.models.responses import Response as Row
from db.repositories.responses import ResponseRepository
from db.session import Database
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow, ListResponses, Response
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import ChangeTags, PutReview

LONG = "a" * 70
WORDS = ["Apfel", "Äpfel", "house", "houses", "Häuser", "running", "runs", "100%", "a_b", "été", "日本語"]


def options(*ids: str) -> list[dict[str, str]]:
    return [{"id": each, "label": each.title()} for each in ids]


SURVEY: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Name"},
                {"id": "note", "type": "long_text", "title": "Note"},
                {"id": "status", "type": "short_text", "title": "Named as metadata"},
                {"id": "amount", "type": "number", "title": "Amount"},
                {"id": "score", "type": "nps", "title": "Score"},
                {"id": "day", "type": "date", "title": "Day"},
                {"id": "fine", "type": "yes_no", "title": "Fine"},
                {"id": "one", "type": "choice", "title": "One", "options": options("x", "y", "z"), "allow_other": True},
                {
                    "id": "many",
                    "type": "multi_choice",
                    "title": "Many",
                    "options": options("corn", "yams", "rice"),
                    "allow_other": True,
                },
                {"id": "rank", "type": "ranking", "title": "Rank", "options": options("p", "q")},
                {
                    "id": "grid",
                    "type": "matrix",
                    "title": "Grid",
                    "rows": options("r1", "r2"),
                    "columns": options("c1", "c2"),
                },
                {
                    "id": "cells",
                    "type": "matrix_multi",
                    "title": "Cells",
                    "rows": options("r1"),
                    "columns": options("c1", "c2"),
                },
                {"id": "land", "type": "country", "title": "Land"},
                {"id": "home", "type": "address", "title": "Home"},
                {"id": "spot", "type": "location", "title": "Spot"},
                {"id": "twice", "type": "calculated", "title": "Twice", "value": "answers.score * 2"},
                {
                    "id": "guests",
                    "type": "group",
                    "title": "Guests",
                    "elements": [
                        {"id": "who", "type": "short_text", "title": "Who"},
                        {"id": "age", "type": "integer", "title": "Age"},
                        {"id": "meals", "type": "multi_choice", "title": "Meals", "options": options("soup", "cake")},
                    ],
                },
            ],
        }
    ],
    "languages": ["en", "de"],
}

TEXTS = ["Ada", "ada", "Zoë", "100%", "a_b", "é", "\U0001f600", "\uffff", LONG, LONG + "b", LONG + "c", "日本"]
NUMBERS = [-3, -0.5, 0, 0.25, 1, 1.5, 2, 1e300, 2**53 + 1, -(2**60)]
DAYS = ["1999-12-31", "2024-02-29", "2024-03-01", "2030-01-01"]


def answers_by(dice: random.Random) -> dict[str, Any]:
    """Answers to any of the questions."""
    found: dict[str, Any] = {
        "name": dice.choice(TEXTS),
        "note": " ".join(dice.choices(WORDS, k=dice.randint(1, 4))),
        "status": dice.choice(["complete", "partial"]),
        "amount": dice.choice(NUMBERS),
        "score": dice.randint(0, 10),
        "day": dice.choice(DAYS),
        "fine": dice.random() < 0.5,
        "one": dice.choice(["x", "y", {"other": "Häuser"}, {"option": "z", "other": "something"}]),
        "many": dice.choice([["corn"], ["yams", "corn"], {"options": ["rice"], "other": "runs"}, {"other": "é"}]),
        "rank": dice.choice([["p", "q"], ["q", "p"], {"q": 1}]),
        "grid": dice.choice([{"r1": "c1"}, {"r1": "c2", "r2": "c1"}]),
        "cells": dice.choice([{"r1": ["c1"]}, {"r1": ["c1", "c2"]}]),
        "land": dice.choice(["DE", "FR", "JP"]),
        "home": dice.choice([{"city": "Häuser", "country": "DE"}, {"street": "Elm 1", "city": "Ulm"}]),
        "spot": {"latitude": dice.choice([-33.9, 0, 52.5]), "longitude": 13.4},
        "guests": [_guest(dice) for _ in range(dice.randint(1, 3))],
    }
    return {name: value for name, value in found.items() if dice.random() < 0.8}


def _guest(dice: random.Random) -> dict[str, Any]:
    guest = {
        "who": dice.choice(TEXTS),
        "age": dice.choice([3, 18, 40]),
        "meals": dice.choice([["soup"], ["soup", "cake"]]),
    }
    return {name: value for name, value in guest.items() if name == "who" or dice.random() < 0.7}


@dataclass(frozen=True)
class Given:
    """The responses of a form as a reader sees them, oldest first."""

    responses: list[Response] = field(repr=False)

    def ids(self, wanted: Mapping[str, Mapping[str, Any]], words: Iterable[str] = ()) -> list[str]:
        """Those that meet every filter and have every word in their texts."""
        return [
            each.id
            for each in self.responses
            if all(
                meets(each, name, operator, operand)
                for name, tests in wanted.items()
                for operator, operand in tests.items()
            )
            and all(any(word in text for text in texts_of(each.answers)) for word in words)
        ]


async def fill(responses: Responses, principal: Principal, form_id: str, count: int, seed: int) -> None:
    """Store so many responses, several of them at each moment."""
    dice = random.Random(seed)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        ImportRow(
            key=f"{seed}-{line}",
            line=line,
            answers=answers_by(dice),
            meta=dice.choice([{}, {"language": "de"}, {"language": "en"}, {"language": 7}]),
            submitted_at=start + timedelta(seconds=dice.randint(0, count // 2)),
        )
        for line in range(count)
    ]
    outcome = await responses.import_rows(principal, form_id, rows)
    assert outcome.imported == count, outcome.rejected[:3]


async def disturb(database: Database, form_id: str, tenant_id: str, seed: int, *, edits: int, trashed: int) -> None:
    """Edit some responses, and put some into the trash."""
    dice = random.Random(seed)
    async with database.write(tenant_id) as unit:
        repository = ResponseRepository(unit.session, tenant_id)
        mine = select(Row).where(col(Row.form_id) == form_id, col(Row.deleted_at).is_(None)).order_by(col(Row.id))
        rows = list((await unit.session.scalars(mine)).all())
        for row in dice.sample(rows, edits):
            row.answers = answers_by(dice)
            row.change = await repository.next_change(form_id)
        for row in dice.sample(rows, trashed):
            await repository.delete(row, utc_now())


async def given(responses: Responses, principal: Principal, form_id: str) -> Given:
    """All of them, read without a filter."""
    found: list[Response] = []
    cursor: str | None = None
    while True:
        query = ListResponses(form_id=form_id, sort="submitted_at", limit=1000, cursor=cursor)
        page = await responses.list_responses(principal, query)
        found += page.data
        cursor = page.meta.next_cursor
        if cursor is None:
            return Given(found)


def meets(response: Response, name: str, operator: str, wanted: Any) -> bool:
    """Whether a field meets a comparison; of a group, whether one of its items does."""
    if not name.startswith("guests."):
        return holds(value_of(response, name), operator, wanted)
    if operator in ("ne", "nin", "empty"):
        opposite = {"ne": "eq", "nin": "any" if name == "guests.meals" else "in", "empty": "exists"}[operator]
        return not meets(response, name, opposite, wanted)
    items = [item.get(name.removeprefix("guests.")) for item in response.answers.get("guests", [])]
    if operator == "exists":
        return any(item is not None for item in items) is wanted
    return any(holds(item, operator, wanted) for item in items)


def value_of(response: Response, name: str) -> Any:
    """The value of a field, None when there is none."""
    if name in ("submitted_at", "status", "version", "submitted_by", "review", "assignee"):
        return getattr(response, name)
    if name == "tags":
        return response.tags or None
    if name == "language":
        language = response.meta.get("language")
        return language if isinstance(language, str) else None
    name = name.removeprefix("answers.")
    answers = response.answers
    if name == "one":
        value = answers.get("one")
        return value.get("option") if isinstance(value, dict) else value
    if name == "many":
        value = answers.get("many")
        return value.get("options") if isinstance(value, dict) else value
    if "." in name:
        field, part = name.split(".")
        value = answers.get(field)
        return value.get(part) if isinstance(value, dict) else None
    return answers.get(name)


def holds(value: Any, operator: str, wanted: Any) -> bool:  # noqa: C901
    """What an operator means."""
    match operator:
        case "exists" | "empty":
            return ((value is not None) == (operator == "exists")) is wanted
        case "ne":
            return value is None or not equal(value, wanted)
        case "nin":
            return not holds(value, "any" if isinstance(value, list) else "in", wanted)
    if value is None:
        return False
    match operator:
        case "eq":
            return equal(value, wanted)
        case "in":
            return any(equal(value, each) for each in wanted)
        case "any":
            return bool(set(value) & set(wanted))
        case "all":
            return set(value) >= set(wanted)
        case "contains":
            return bool(wanted in value)
        case "starts_with":
            return bool(value.startswith(wanted))
        case "between":
            return bool(plain(wanted[0]) <= plain(value) <= plain(wanted[1]))
    left, right = plain(value), plain(wanted)
    return bool({"lt": left < right, "lte": left <= right, "gt": left > right, "gte": left >= right}[operator])


def equal(value: Any, wanted: Any) -> bool:
    return bool(plain(value) == plain(wanted))


def plain(value: Any) -> Any:
    """A value to compare: numbers as floats, times as they are."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def texts_of(answers: Mapping[str, Any]) -> list[str]:
    """The texts that people wrote."""
    found = [answers.get(name) for name in ("name", "note", "status")]
    for name in ("one", "many"):
        value = answers.get(name)
        found.append(value.get("other") if isinstance(value, dict) else None)
    found += [(answers.get("home") or {}).get(part) for part in ("street", "city")]
    found += [item.get("who") for item in answers.get("guests", [])]
    return [text for text in found if text is not None]


async def mark(database: Database, responses: Responses, principal: Principal, form_id: str, seed: int) -> None:
    """Review some, give some to somebody, tag some."""
    dice = random.Random(seed)
    page = await responses.list_responses(principal, ListResponses(form_id=form_id, limit=1000))
    for each in dice.sample(sorted(page.data, key=lambda response: response.id), 30):
        await responses.review(principal, each.id, PutReview(state=dice.choice(["none", "in_review", "approved"])))
        await responses.change_tags(principal, each.id, ChangeTags(add=dice.choice([["vip"], ["new", "vip"], []])))
    async with database.write(principal.tenant_id) as unit:
        mine = select(Row).where(col(Row.form_id) == form_id).order_by(col(Row.id))
        for row in dice.sample(list((await unit.session.scalars(mine)).all()), 12):
            row.assignee = "usr_1"
            row.change = await ResponseRepository(unit.session, unit.tenant).next_change(form_id)
