"""R4: any filter gives what it means, whatever the index knows: nothing, a part, everything, or what was once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from db.repositories import response_query
from db.session import Database
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.query.indexing import AnswerIndexer
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant

COUNT = 90

texts = st.sampled_from([*survey.TEXTS, "A", "a", "aa", "ad", "z"])
numbers = st.sampled_from([*survey.NUMBERS, 0.3, 5, 10, -1e9])
days = st.sampled_from([*survey.DAYS, "2024-02-01"])
single = st.sampled_from(["x", "y", "z"])
several = st.sampled_from(["corn", "yams", "rice"])
columns = st.sampled_from(["c1", "c2"])
moments = st.sampled_from([datetime(2026, 1, 1, 0, 0, s, tzinfo=UTC) for s in (0, 7, 30, 59)])


def pairs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=2, max_size=2)


def asked(values: st.SearchStrategy[Any], kinds: str) -> st.SearchStrategy[tuple[str, Any]]:
    """An operator and its operand: e(quality), o(rder), t(ext), s(ets), p(resence)."""
    some = st.lists(values, min_size=1, max_size=4)
    known: dict[str, list[st.SearchStrategy[tuple[str, Any]]]] = {
        "e": [st.tuples(st.sampled_from(["eq", "ne"]), values), st.tuples(st.sampled_from(["in", "nin"]), some)],
        "o": [
            st.tuples(st.sampled_from(["lt", "lte", "gt", "gte"]), values),
            st.tuples(st.just("between"), pairs(values)),
        ],
        "t": [st.tuples(st.sampled_from(["contains", "starts_with"]), values)],
        "s": [st.tuples(st.sampled_from(["any", "all", "nin"]), some)],
        "p": [st.tuples(st.sampled_from(["exists", "empty"]), st.booleans())],
        "b": [st.tuples(st.sampled_from(["eq", "ne"]), values)],
    }
    return st.one_of(*(each for kind in kinds for each in known[kind]))


fields: dict[str, st.SearchStrategy[tuple[str, Any]]] = {
    "name": asked(texts, "eotp"),
    "answers.status": asked(st.sampled_from(["complete", "partial"]), "ep"),
    "amount": asked(numbers, "eop"),
    "score": asked(st.integers(0, 10), "eop"),
    "day": asked(days, "eop"),
    "fine": asked(st.booleans(), "bp"),
    "one": asked(single, "ep"),
    "one.other": asked(texts, "eotp"),
    "many": asked(several, "sp"),
    "many.other": asked(texts, "etp"),
    "rank": asked(st.none(), "p"),
    "rank.q": asked(st.integers(1, 2), "eop"),
    "grid.r1": asked(columns, "ep"),
    "grid": asked(st.none(), "p"),
    "cells.r1": asked(columns, "sp"),
    "submitted_at": asked(moments, "eo"),
    "status": asked(st.sampled_from(["complete", "partial"]), "e"),
    "version": asked(st.integers(1, 2), "eo"),
    "land": asked(st.sampled_from(["DE", "FR", "us"]), "ep"),
    "home.city": asked(st.sampled_from(["Ulm", "U", "Häuser"]), "eotp"),
    "home.country": asked(st.just("DE"), "ep"),
    "home": asked(st.none(), "p"),
    "spot.latitude": asked(st.sampled_from([-34, -33.9, 0, 52.5]), "eop"),
    "twice": asked(st.integers(0, 20), "eop"),
    "guests": asked(st.none(), "p"),
    "guests.who": asked(texts, "etp"),
    "guests.age": st.one_of(
        asked(st.sampled_from([3, 4, 18, 40]), "ep"),
        st.tuples(st.sampled_from(["lt", "lte", "gt", "gte"]), st.sampled_from([3, 18, 20])),
    ),
    "guests.meals": asked(st.sampled_from(["soup", "cake"]), "sp"),
    "review": asked(st.sampled_from(["none", "in_review", "approved", "rejected"]), "e"),
    "assignee": asked(st.sampled_from(["usr_1", "nobody"]), "ep"),
    "language": asked(st.sampled_from(["de", "en", "fr"]), "ep"),
    "tags": asked(st.sampled_from(["vip", "new", "old"]), "sp"),
}


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """Up to three filters, each of another field."""
    names = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True))
    return {name: dict([draw(fields[name])]) for name in names}


sorts = st.sampled_from(
    [
        *("submitted_at", "name", "amount", "score", "day", "fine", "one", "rank.q", "grid.r1", "version"),
        *("answers.status", "land", "home.city", "spot.latitude", "twice", "assignee", "language"),
    ]
)


@dataclass(frozen=True, repr=False)
class Filled:
    """A form with responses, and what they are."""

    responses: Responses
    acme: Principal
    form_id: str
    known: survey.Given


@pytest.fixture(params=["nothing", "a part", "everything", "what was once"])
async def filled(request: pytest.FixtureRequest, database: Database, monkeypatch: pytest.MonkeyPatch) -> Filled:
    """A form with responses, and an index that knows so much of them."""
    monkeypatch.setattr(response_query, "FEW", 8)
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await make_form(database, acme, slug="other", definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, COUNT, seed=1)
    await survey.mark(database, responses, acme, form.id, seed=4)
    indexer = AnswerIndexer(database, at_least=1, piece=7)
    if request.param == "a part":
        for _ in range(8):
            await indexer.round()
    elif request.param != "nothing":
        while await indexer.round():
            pass
    if request.param == "what was once":
        await survey.disturb(database, form.id, acme.tenant_id, 2, edits=15, trashed=10)
        await survey.fill(responses, acme, form.id, 10, seed=3)
    return Filled(responses, acme, form.id, await survey.given(responses, acme, form.id))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters(), sort=sorts, descending=st.booleans())
@example(wanted={"name": {"eq": survey.LONG + "b"}}, sort="submitted_at", descending=True)
@example(wanted={"name": {"gt": survey.LONG + "b"}}, sort="name", descending=False)
@example(wanted={"tags": {"all": ["vip", "new"]}}, sort="assignee", descending=False)
@example(wanted={"review": {"in": ["none", "approved"]}, "guests.age": {"gt": 3}}, sort="home.city", descending=True)
@example(wanted={"score": {"gte": 0}, "many": {"any": ["corn"]}}, sort="submitted_at", descending=True)
async def test_a_filter_gives_what_it_means(
    filled: Filled, wanted: dict[str, Any], sort: str, descending: bool
) -> None:
    expected = filled.known.ids(wanted)
    asked = {name: {op: jsonable(value) for op, value in tests.items()} for name, tests in wanted.items()}
    ordered = ("-" if descending else "") + sort
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = ListResponses(
            form_id=filled.form_id, filter=asked, sort=ordered, limit=13, cursor=cursor, include_total=True
        )
        page = await filled.responses.list_responses(filled.acme, query)
        assert page.meta.total == len(expected)
        found += [each.id for each in page.data]
        cursor = page.meta.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(expected)
    assert found == in_order([each for each in filled.known.responses if each.id in set(expected)], sort, descending)


def in_order(responses: list[Any], sort: str, descending: bool) -> list[str]:
    def key(each: Any) -> tuple[Any, ...]:
        value = survey.value_of(each, sort)
        value = value[:64] if isinstance(value, str) else survey.plain(value)
        return (value, each.submitted_at, each.id)

    has = [each for each in responses if survey.value_of(each, sort) is not None]
    has_not = [each for each in responses if survey.value_of(each, sort) is None]
    last = sorted(has_not, key=lambda each: (each.submitted_at, each.id), reverse=descending)
    return [each.id for each in (*sorted(has, key=key, reverse=descending), *last)]


def jsonable(value: Any) -> Any:
    if isinstance(value, list):
        return [jsonable(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
