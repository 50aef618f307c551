"""R4, H: what a list refuses, how it pages, and which answers it gives."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from db.repositories import response_query
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.identity.contracts import scopes_of
from deployments.kit.errors import DeadlineExceeded, Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportResponses, ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormNotFound, SearchBehind
from deployments.responses.query.indexing import AnswerIndexer
from deployments.responses.query.listing import searching
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant, owner


async def ids(responses: Responses, principal: Principal, form_id: str, **query: Any) -> list[str]:
    page = await responses.list_responses(principal, ListResponses(form_id=form_id, limit=1000, **query))
    return [each.id for each in page.data]


async def indexed(database: Database) -> None:
    indexer = AnswerIndexer(database, at_least=1, rest=False)
    while await indexer.round():
        pass


@pytest.fixture
async def form(database: Database) -> tuple[Responses, Principal, str]:
    """A form with a few responses."""
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, made.id, 40, seed=5)
    return responses, acme, made.id


async def test_what_is_taken_for_spam_is_listed_only_when_it_is_asked_for(
    database: Database, form: tuple[Responses, Principal, str]
) -> None:
    """R6: with and without the index, in lists, counts, searches and the changes."""
    responses, acme, form_id = form
    everything = await ids(responses, acme, form_id)
    for name, before in (("by reading", False), ("by the index", True)):
        if before:
            await indexed(database)
        suspect, *rest = await ids(responses, acme, form_id)
        await responses.quarantine(acme, suspect)
        if before:
            await indexed(database)
        assert await ids(responses, acme, form_id) == rest, name
        assert suspect not in await ids(responses, acme, form_id, filter={"status": {"ne": "partial"}})
        assert suspect not in await ids(responses, acme, form_id, where="not status = 'partial'")
        page = await responses.list_responses(acme, ListResponses(form_id=form_id, include_total=True, limit=1))
        assert page.meta.total == len(rest)
        assert suspect in await ids(responses, acme, form_id, status="quarantined")
        assert suspect in await ids(responses, acme, form_id, filter={"status": {"in": "quarantined,complete"}})
        changes = (await responses.list_changes(acme, form_id, None, 1000)).data
        assert [change.deleted for change in changes if change.id == suspect] == [True]
    for suspect in set(everything) - set(rest):
        await responses.release(acme, suspect)
    assert set(await ids(responses, acme, form_id)) == set(everything)


async def test_who_does_not_see_an_answer_cannot_find_it_out(database: Database) -> None:
    """R8: not by a filter, nor the order, nor a search; the others' answers can be asked for."""
    acme = await make_tenant(database)
    definition = {"pages": [{"id": "p1", "elements": [
        {"id": "name", "type": "short_text", "title": "Name", "personal": True},
        {"id": "side", "type": "short_text", "title": "Side"},
    ]}]}  # fmt: skip
    form_id = (await make_form(database, acme, definition=definition)).id
    responses = Responses(database)
    body = orjson.dumps({"answers": {"name": "Ada", "side": "corn"}})
    await responses.submit(acme, SubmitResponse(body=body, form_id=form_id))
    viewer = Principal("acme", "usr_viewer", "user", "viewer", scopes_of("viewer"))
    assert len(await ids(responses, viewer, form_id, filter={"side": "corn"})) == 1
    refused: list[tuple[dict[str, Any], str]] = [
        ({"filter": {"name": "Ada"}}, "filter.unknown_field"),
        ({"filter": {"answers.name": {"exists": "true"}}}, "filter.unknown_field"),
        ({"where": "name = 'Ada'"}, "filter.unknown_field"),
        ({"sort": "name"}, "sort.unknown_field"),
        ({"q": "ada"}, "search.personal"),
    ]
    for query, code in refused:
        with pytest.raises(Invalid) as error:
            await ids(responses, viewer, form_id, **query)
        assert [fault.code for fault in error.value.faults] == [code], query
        if "q" not in query:
            assert await ids(responses, acme, form_id, **query)
    with pytest.raises(Invalid):
        await responses.export_chunk(viewer, form_id, None, ExportResponses(filter={"name": "Ada"}))


async def test_every_fault_of_a_query_is_told_at_once(form: tuple[Responses, Principal, str]) -> None:
    """H2: with pointers and stable codes."""
    responses, acme, form_id = form
    query = ListResponses(
        form_id=form_id,
        filter={
            "nobody": {"eq": "x"},
            "score": {"contains": "9", "gte": "many", "between": "1,2,3"},
            "one": "w",
            "many": {"eq": "corn"},
            "fine": {"exists": "perhaps"},
            "day": {"gt": "yesterday"},
            "amount": {"in": ",".join(str(number) for number in range(101))},
        },
        where="score >",
        status="lost",
        sort="many",
        fields=["name", "nothing"],
        q="!!!",
    )
    with pytest.raises(Invalid) as caught:
        await responses.list_responses(acme, query)
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/filter/nobody/eq", "filter.unknown_field"),
        ("/filter/score/contains", "filter.unknown_operator"),
        ("/filter/score/gte", "filter.type"),
        ("/filter/score/between", "filter.between"),
        ("/filter/one", "filter.type"),
        ("/filter/many/eq", "filter.unknown_operator"),
        ("/filter/fine/exists", "filter.type"),
        ("/filter/day/gt", "filter.type"),
        ("/filter/amount/in", "filter.too_many_values"),
        ("/where", "where.syntax"),
        ("/status", "filter.type"),
        ("/sort", "sort.not_one_value"),
        ("/fields", "fields.unknown_field"),
        ("/q", "search.no_words"),
    }


async def test_what_is_bounded(form: tuple[Responses, Principal, str]) -> None:
    responses, acme, form_id = form
    for query, code in (
        ({"where": " or ".join(["score = 1"] * 21)}, "filter.too_many"),
        ({"where": "not " * 17 + "score = 1"}, "where.depth"),
        ({"where": "(" * 4001}, "where.length"),
        ({"filter": {"score": {"eq": 1}, "amount": dict.fromkeys(map(str, range(20)), 1)}}, "filter.too_many"),
        ({"q": " ".join(f"w{number}" for number in range(17))}, "search.too_long"),
    ):
        with pytest.raises(Invalid) as caught:
            await responses.list_responses(acme, ListResponses(form_id=form_id, **query))  # type: ignore[arg-type]
        assert [fault.code for fault in caught.value.faults] == [code]


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize(
    ("where", "same"),
    [
        ("score >= 9 or fine = true", lambda v: (v("score") or 0) >= 9 or v("fine") is True),
        ("score >= 9 or fine = true and one = 'x'",
         lambda v: (v("score") or 0) >= 9 or (v("fine") is True and v("one") == "x")),
        ("not (score >= 5 and exists name)", lambda v: not ((v("score") or -1) >= 5 and v("name"))),
        ('many any ["corn", "rice"] and empty day', lambda v: set(v("many") or ()) & {"corn", "rice"} and not v("day")),
        ("one in ['x', 'y'] and score between [3, 7]", lambda v: v("one") in ("x", "y") and v("score") in range(3, 8)),
        ("answers.status = 'partial'", lambda v: v("answers.status") == "partial"),
    ],
)  # fmt: skip
async def test_the_text_form_knows_or_and_not(
    form: tuple[Responses, Principal, str], database: Database, where: str, same: Any, is_indexed: bool
) -> None:
    responses, acme, form_id = form
    if is_indexed:
        await indexed(database)
    known = await survey.given(responses, acme, form_id)
    expected = [each.id for each in known.responses if same(lambda name, each=each: survey.value_of(each, name))]
    assert 0 < len(expected) < len(known.responses)
    assert await ids(responses, acme, form_id, where=where, sort="submitted_at") == expected


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("HOUSES", {"house", "houses"}),
        ("haus", {"Häuser"}),
        ("runs", {"running", "runs"}),
        ("apf*", {"Apfel", "Äpfel"}),
        ("äpfel", {"Apfel", "Äpfel"}),
        ("ete", {"été"}),
        ("本", {"日本語", "日本"}),
        ("本語", {"日本語"}),
        ("日本語", {"日本語"}),
        ("nothing", set()),
    ],
)
async def test_words_are_found_whatever_their_case_accents_and_endings(
    form: tuple[Responses, Principal, str], database: Database, q: str, found: set[str], is_indexed: bool
) -> None:
    """R4: in the languages of the form, English and German here."""
    responses, acme, form_id = form
    if is_indexed:
        await indexed(database)
    known = await survey.given(responses, acme, form_id)
    texts = {each.id: survey.texts_of(each.answers) for each in known.responses}
    expected = [id_ for id_, its in texts.items() if any(word in text.split() for text in its for word in found)]
    assert await ids(responses, acme, form_id, q=q, sort="submitted_at") == expected


async def test_words_and_filters_hold_together(
    form: tuple[Responses, Principal, str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4: the same with no index, with one that is complete, and with one of long ago; by any order."""
    responses, acme, form_id = form
    asked: dict[str, Any] = {"q": "run* hous*", "filter": {"score": {"gte": 2}}}

    async def answers() -> list[list[str]]:
        sorts = ("-submitted_at", "score", "-name")
        lists = [await ids(responses, acme, form_id, **asked, sort=sort) for sort in sorts]
        query = ListResponses(form_id=form_id, **asked, include_total=True)
        assert (await responses.list_responses(acme, query)).meta.total == len(lists[0])
        return lists

    before = await answers()
    assert before[0]
    await indexed(database)
    for few in (2_000, 1):
        monkeypatch.setattr(response_query, "FEW", few)
        assert await answers() == before
    await survey.disturb(database, form_id, acme.tenant_id, 7, edits=12, trashed=5)
    with_tail = await answers()
    assert with_tail != before
    await indexed(database)
    assert await answers() == with_tail


async def test_texts_cannot_be_searched_far_beyond_the_index(
    form: tuple[Responses, Principal, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    responses, acme, form_id = form
    monkeypatch.setattr(response_query, "LONGEST_TAIL", 20)
    monkeypatch.setattr(response_query, "_TAIL_PIECE", 10)
    with pytest.raises(SearchBehind) as caught:
        await ids(responses, acme, form_id, q="house")
    assert (caught.value.status, caught.value.retry_after) == (503, 10.0)


async def test_only_the_answers_that_are_asked_for_are_given(form: tuple[Responses, Principal, str]) -> None:
    responses, acme, form_id = form
    query = ListResponses(form_id=form_id, fields=["score", "answers.name"], limit=1000)
    page = await responses.list_responses(acme, query)
    assert set().union(*(each.answers for each in page.data)) == {"score", "name"}
    assert all(each.version == 1 and each.submitted_by for each in page.data)


async def test_a_cursor_belongs_to_what_was_asked(form: tuple[Responses, Principal, str]) -> None:
    responses, acme, form_id = form
    asked = ListResponses(form_id=form_id, filter={"score": {"gte": 0}}, limit=1)
    cursor = (await responses.list_responses(acme, asked)).meta.next_cursor
    for other in ({"filter": {"score": {"gte": 1}}}, {"q": "house"}, {"sort": "score"}, {"status": "complete"}):
        with pytest.raises(Invalid):
            await responses.list_responses(acme, asked.model_copy(update={"cursor": cursor, **other}))


async def test_nobody_counts_unasked(form: tuple[Responses, Principal, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """R4: counts are made on demand only."""
    responses, acme, form_id = form
    counted: list[Any] = []

    async def count(_: Any, search: Any) -> int:
        counted.append(search)
        return 7

    monkeypatch.setattr(response_query.ResponseQueryRepository, "count", count)
    for wanted, total in ((False, None), (True, 7)):
        page = await responses.list_responses(acme, ListResponses(form_id=form_id, include_total=wanted))
        assert (page.meta.total, len(counted)) == (total, int(wanted))


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize("sort", ["submitted_at", "-submitted_at", "score", "-name", "version"])
async def test_paging_gives_each_response_once_while_others_come(
    form: tuple[Responses, Principal, str], database: Database, sort: str, is_indexed: bool
) -> None:
    """R4: those that were there at the beginning, whatever is stored and indexed between the pages."""
    responses, acme, form_id = form
    if is_indexed:
        await indexed(database)
    indexer = AnswerIndexer(database, at_least=1, piece=9, rest=False)
    there = {each.id for each in (await survey.given(responses, acme, form_id)).responses}
    found: list[str] = []
    cursor: str | None = None
    turn = 0
    while turn == 0 or cursor is not None:
        turn += 1
        query = ListResponses(form_id=form_id, sort=sort, limit=7, cursor=cursor)
        page = await responses.list_responses(acme, query)
        found += [each.id for each in page.data]
        cursor = page.meta.next_cursor
        if turn < 8:
            await survey.fill(responses, acme, form_id, 3, seed=100 + turn)
        if is_indexed and turn % 2:
            await indexer.round()
    assert len(found) == len(set(found))
    assert set(found) >= there


async def test_versions_are_filtered_as_one_form(database: Database) -> None:
    """F4: options and fields of every published version are known."""
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition=_choice("a", "b"))
    responses, forms = Responses(database), Forms(database)
    await _submit(responses, acme, made.id, {"pick": "a"})
    await forms.update(acme, made.id, UpdateForm(definition=_choice("b", "c", more=True)))
    await forms.publish(acme, made.id)
    await asyncio.sleep(0.6)  # a published form is remembered for half a second
    await _submit(responses, acme, made.id, {"pick": "c", "later": "words"})
    for _ in range(2):
        for pick, count in (("a", 1), ("b", 0), ("c", 1)):
            assert len(await ids(responses, acme, made.id, filter={"pick": pick})) == count
        assert len(await ids(responses, acme, made.id, q="word")) == 1
        assert len(await ids(responses, acme, made.id, version=1)) == 1
        await indexed(database)


async def test_another_language_has_the_index_made_anew(database: Database) -> None:
    """R4: stems of before are not trusted; until the new ones are there, every response is read."""
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition={**_choice("a", more=True), "languages": ["en"]})
    responses, forms = Responses(database), Forms(database)
    await _submit(responses, acme, made.id, {"later": "die Häuser"})
    await indexed(database)
    assert await ids(responses, acme, made.id, q="Haus") == []
    await forms.update(acme, made.id, UpdateForm(definition={**_choice("a", more=True), "languages": ["en", "de"]}))
    await forms.publish(acme, made.id)
    for has_work in (True, False):
        assert len(await ids(responses, acme, made.id, q="Haus")) == 1
        assert await AnswerIndexer(database, at_least=1, rest=False).round() is has_work


async def test_another_tenants_form_does_not_exist(form: tuple[Responses, Principal, str], database: Database) -> None:
    """T5: the same answer as for one that nobody has."""
    responses, acme, form_id = form
    await make_tenant(database, "globex")
    for principal, wanted in ((owner("globex"), form_id), (acme, "frm_none")):
        for query in ({}, {"q": "house"}, {"filter": {"nobody": "x"}}):
            with pytest.raises(FormNotFound):
                await ids(responses, principal, wanted, **query)
        with pytest.raises(FormNotFound):
            await responses.list_changes(principal, wanted, None, 10)
    with pytest.raises(Forbidden):
        await ids(responses, Principal("acme", "usr_1", "user", scopes=frozenset({"forms:read"})), form_id)


async def test_a_query_that_takes_too_long_is_ended(database: Database) -> None:
    """O: by the database, and the answer is 504; the next one is not."""
    counting = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last) SELECT count(*) FROM n"
    )
    with pytest.raises(DeadlineExceeded), searching():
        async with database.snapshot("acme", limit_s=0.2) as unit:
            await unit.session.execute(counting, {"last": 10**9})
    async with database.snapshot("acme") as unit:
        assert await unit.session.scalar(counting, {"last": 100_000}) == 100_000


def _choice(*ids_: str, more: bool = False) -> dict[str, Any]:
    elements: list[dict[str, Any]] = [
        {"id": "pick", "type": "choice", "title": "Pick", "options": survey.options(*ids_)}
    ]
    if more:
        elements.append({"id": "later", "type": "short_text", "title": "Later"})
    return {"pages": [{"id": "p1", "elements": elements}], "languages": ["en"]}


async def _submit(responses: Responses, principal: Principal, form_id: str, answers: dict[str, Any]) -> None:
    await responses.submit(principal, SubmitResponse(body=orjson.dumps({"answers": answers}), form_id=form_id))
