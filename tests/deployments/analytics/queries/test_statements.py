"""L3: what somebody may ask, what is refused, and that nothing of a user gets into the text of SQL."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.models.files import File
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.analytics.errors import FormNotFound
from deployments.analytics.queries import asking, costs
from deployments.analytics.queries.errors import QueryTooExpensive, TooManyGroups
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow, ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import ChangeTags, PutComment
from tests.deployments.analytics.queries.scene import Scene, open_scene

HOSTILE = st.one_of(
    st.sampled_from(
        [
            *("'; DROP TABLE v; --", "\"; ATTACH 'x' AS y; --", "$1", "?", "x' OR '1'='1", "/* */", "\\'", "%s{}"),
            *("read_csv('/etc/passwd')", "zqzq UNION SELECT * FROM duckdb_settings()", "\u2019; COPY v TO 'x'"),
        ]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30),
).map(lambda text: f"zq{text}")
"""No word of the statements has "zq" in it."""

ODD: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "zq_text", "type": "short_text", "title": "zq'; DROP TABLE v; --"},
                {"id": "zq_number", "type": "number", "title": 'zq"'},
                {
                    "id": "zq_many",
                    "type": "multi_choice",
                    "title": "zq$1",
                    "options": [{"id": "zq_a", "label": "zq'"}, {"id": "zq_A", "label": "zq/*"}],
                    "allow_other": True,
                },
                {
                    "id": "zq_grid",
                    "type": "matrix",
                    "title": "zq",
                    "rows": [{"id": "zq_r", "label": "zq"}, {"id": "zq_R", "label": "zq"}],
                    "columns": [{"id": "zq_c", "label": "zq"}],
                },
                {
                    "id": "zq_group",
                    "type": "group",
                    "title": "zq",
                    "elements": [{"id": "zq_in", "type": "short_text", "title": "zq"}],
                },
                {"id": "zq_secret", "type": "integer", "title": "zq", "personal": True},
                {"id": "zq_day", "type": "datetime", "title": "zq"},
            ],
        }
    ],
    "languages": ["en", "de"],
    "translations": {"de": {"elements": {"zq_many": {"title": "Viele", "options": {"zq_a": "Klein"}}}}},
}


@pytest.fixture
async def odd(sqlite_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(sqlite_settings, tmp_path, ODD) as scene:
        rows = [
            ImportRow(key="1", line=1, answers={"zq_many": ["zq_a"], "zq_grid": {"zq_R": "zq_c"}, "zq_number": 1}),
            ImportRow(key="2", line=2, answers={"zq_many": ["zq_A", "zq_a"], "zq_secret": 5, "zq_number": 12.5}),
            ImportRow(key="3", line=3, answers={"zq_many": {"other": "zq"}, "zq_day": "2026-10-25T02:30:00+01:00"}),
            ImportRow(key="4", line=4, answers={"zq_day": "2026-10-25T02:30:00+02:00", "zq_number": -3}),
        ]
        outcome = await Responses(scene.database).import_rows(scene.acme, scene.form_id, rows)
        assert not outcome.rejected
        yield scene


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE, other=HOSTILE)
async def test_no_value_and_no_name_of_a_user_gets_into_the_sql(odd: Scene, text: str, other: str) -> None:
    """Names of fields, options, titles and values come from the tenant and its readers: all of them have "zq"."""
    filters = {
        "zq_text": {"in": [text, other]},
        "zq_many.other": {"contains": text},
        "zq_many": {"nin": ["zq_a"]},
        "zq_grid.zq_r": {"empty": True},
        "zq_group.zq_in": {"starts_with": other},
    }
    await odd.ask(
        measures=[
            {"name": "zq_m", "op": "count_distinct", "field": "zq_text"},
            {"name": "zq_n", "op": "percentile", "field": "zq_number", "p": 33},
        ],
        dimensions=[
            {"field": "zq_many", "name": "zq_d"},
            {"field": "zq_grid"},
            {"field": "zq_number", "bins": {"width": 7}},
        ],
        filters=filters,
        where="zq_text = '{}'".format(text.replace("\\", "\\\\").replace("'", "\\'")),
        time={"since": "2020-01-01", "zone": "Europe/Berlin"},
        order_by=["-zq_m", "zq_d"],
        top={"n": 1, "by": "zq_n"},
    )
    sql, parameters = odd.tables.asked[-1]
    assert "zq" not in sql.lower().replace(f'"{odd.form_id}"', "")
    assert "Berlin" not in sql
    assert {text, other} <= set(parameters)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            {
                "measures": [
                    {"name": "a", "op": "avg", "field": "nothing"},
                    {"name": "a", "op": "sum", "field": "zq_text"},
                    {"name": "b", "op": "percentile", "field": "zq_number"},
                    {"name": "c", "op": "median"},
                    {"name": "d", "op": "count_distinct", "field": "zq_many"},
                ],
                "dimensions": [
                    {"field": "zq_group"},
                    {"time": "zq_text"},
                    {"field": "zq_number", "bins": {"edges": [2, 1]}},
                    {"time": "submitted_at", "bucket": "day", "timezone": "../x"},
                ],
                "filters": {"nobody": "x", "tags": {"any": ["x"]}},
                "where": "zq_text =",
                "time": {"since": "yesterday", "until": "2026-01-01"},
                "order_by": ["-z"],
                "top": {"n": 1, "by": "y"},
            },
            {
                ("/measures/0/field", "query.unknown_field"),
                ("/measures/1/name", "query.name_twice"),
                ("/measures/1/field", "query.not_a_number"),
                ("/measures/2/p", "required"),
                ("/measures/3/field", "required"),
                ("/measures/4/field", "query.not_one_value"),
                ("/dimensions/0/field", "query.not_a_dimension"),
                ("/dimensions/1/time", "query.not_a_time"),
                ("/dimensions/1/bucket", "required"),
                ("/dimensions/2/bins/edges", "query.bins"),
                ("/dimensions/3/timezone", "query.zone"),
                ("/filters/nobody", "filter.unknown_field"),
                ("/where", "where.syntax"),
                ("/time/since", "format.datetime"),
                ("/order_by/0", "query.unknown_column"),
                ("/top/by", "query.unknown_column"),
            },
        ),
        ({"filters": {"suspicion": {"any": ["links"]}}}, {("/filters", "query.not_in_table")}),
    ],
    ids=["everything", "what the table lacks"],
)
async def test_everything_wrong_is_named_at_once(
    odd: Scene, wanted: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    with pytest.raises(Invalid) as caught:
        await odd.ask(**wanted)
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == expected
    assert not odd.tables.asked


async def test_a_personal_field_is_unknown_to_who_may_not_see_it(odd: Scene) -> None:
    """L3: in measures, dimensions and filters alike; a grant for the form is enough to ask."""
    reader = Principal("acme", "usr_1", "user", grants={odd.form_id: frozenset({"analytics:read"})})
    seen = await odd.ask(measures=[{"name": "sum", "op": "sum", "field": "zq_secret"}])
    assert seen.totals == [5.0]
    assert (await odd.ask(principal=reader)).totals == [4]
    with pytest.raises(Invalid) as caught:
        await odd.ask(
            principal=reader,
            measures=[{"name": "sum", "op": "sum", "field": "zq_secret"}],
            dimensions=[{"field": "zq_secret"}],
            filters={"zq_secret": {"gt": 1}},
        )
    assert {fault.code for fault in caught.value.faults} == {"query.unknown_field", "filter.unknown_field"}
    stranger = Principal("other", "usr_2", "user", scopes=frozenset({"*"}))
    with pytest.raises(FormNotFound):
        await odd.ask(principal=stranger)
    with pytest.raises(Forbidden):
        await odd.ask(principal=replace(reader, grants={}))


async def test_labels_bins_times_and_the_top(odd: Scene) -> None:
    answer = await odd.ask(dimensions=[{"field": "zq_many"}], language="de-AT")
    keys = [(row.keys[0].value, row.keys[0].label, row.values) for row in answer.rows]
    assert keys == [("zq_a", "Klein", [2]), ("zq_A", "zq/*", [1]), ("@other", "Other", [1])]
    assert (answer.columns[0].label, answer.respondents, answer.totals) == ("Viele", 3, [3])

    best = await odd.ask(dimensions=[{"field": "zq_many", "unanswered": True}], top={"n": 1, "by": "n"})
    rows = [(row.keys[0].value, row.keys[0].others, row.values) for row in best.rows]
    assert rows == [("zq_a", False, [2]), (None, True, [3])]  # the second is in both, and once in the rest
    alone = await odd.ask(dimensions=[{"field": "zq_many"}], top={"n": 1, "by": "n", "others": False})
    assert [row.keys[0].value for row in alone.rows] == ["zq_a"]

    bins = await odd.ask(dimensions=[{"field": "zq_number", "bins": {"width": 5}}], order_by=["-zq_number"])
    assert [(row.keys[0].value, row.keys[0].upper) for row in bins.rows] == [(10, 15), (0, 5), (-5, 0)]
    edges = await odd.ask(dimensions=[{"field": "zq_number", "bins": {"edges": [1, 10]}}])
    assert [(row.keys[0].value, row.keys[0].upper) for row in edges.rows] == [(None, 1), (1, 10), (10, None)]

    # In Berlin that hour comes twice; it is one hour of the day, and two that follow each other.
    hours = await odd.ask(dimensions=[{"time": "zq_day", "bucket": "hour", "timezone": "Europe/Berlin"}])
    assert [row.keys[0].value for row in hours.rows] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
    days = await odd.ask(dimensions=[{"time": "zq_day", "bucket": "month", "timezone": "America/New_York"}])
    assert [(row.keys[0].value, row.values) for row in days.rows] == [("2026-10-01T00:00:00-04:00", [2])]

    cut = await odd.ask(dimensions=[{"field": "zq_many"}], limit=1)
    assert (len(cut.rows), cut.groups, cut.truncated) == (1, 3, True)


async def test_what_a_team_makes_of_responses_is_asked_for(odd: Scene) -> None:
    """L3: what responses have beside their answers, as filters and as dimensions."""
    responses = Responses(odd.database)
    page = await responses.list_responses(odd.acme, ListResponses(form_id=odd.form_id))
    first, second, third, _ = sorted(each.id for each in page.data)
    await responses.change_tags(odd.acme, first, ChangeTags(add=["vip", "@other"]))
    await responses.change_tags(odd.acme, second, ChangeTags(add=["vip"]))
    await responses.add_comment(odd.acme, third, PutComment(text="Called back."))
    async with odd.database.write(odd.acme.tenant_id) as unit:
        mine = {"tenant_id": unit.tenant, "form_id": odd.form_id, "response_id": first, "created_at": utc_now()}
        unit.session.add(File(id="fil_1", field_id="f", state="stored", name="a", size=1, uploaded_by="usr_1", **mine))

    tags = await odd.ask(dimensions=[{"field": "tags", "unanswered": True}])
    keys = [(row.keys[0].value, row.keys[0].label, row.values) for row in tags.rows]
    assert keys == [("@other", None, [1]), ("vip", None, [2]), (None, None, [2])]
    assert (tags.columns[0].type, tags.columns[0].label, tags.respondents) == ("text", "Tags", 4)
    both = await odd.ask(dimensions=[{"field": "commented"}, {"field": "has_files"}])
    assert [([key.value for key in row.keys], row.values[0]) for row in both.rows] == [
        ([False, False], 2),
        ([False, True], 1),
        ([True, False], 1),
    ]
    for filters, count in (
        ({"tags": {"all": ["vip", "@other"]}}, 1),
        ({"tags": {"exists": False}}, 2),
        ({"commented": True, "has_files": False}, 1),
        ({"has_files": {"ne": True}}, 3),
        ({"language": {"exists": True}}, 0),
    ):
        assert (await odd.ask(filters=filters)).totals == [count], filters


async def test_what_costs_too_much_is_refused_and_says_why(odd: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = await odd.ask(dimensions=[{"field": "zq_many"}], dry_run=True)
    assert trial.sql is not None
    assert (trial.estimate.rows, trial.estimate.columns, trial.estimate.groups) == (4, 1, 3)
    assert not trial.rows
    assert not odd.tables.asked
    monkeypatch.setattr(costs, "MAX_CELLS", 3)
    with pytest.raises(QueryTooExpensive) as expensive:
        await odd.ask()
    assert "4 cells, more than 3; ask for fewer dimensions" in expensive.value.detail
    monkeypatch.setattr(costs, "MAX_CELLS", 100)
    monkeypatch.setattr(costs, "MAX_GROUPS", 2)
    with pytest.raises(TooManyGroups) as wide:
        await odd.ask(dimensions=[{"field": "zq_many"}])
    assert wide.value.members["limit"] == {"name": "groups", "most": 2, "asked": 3}
    # What was found counts, too: an estimate is one.
    monkeypatch.setattr(costs, "MAX_GROUPS", 100)
    monkeypatch.setattr(asking, "MAX_GROUPS", 2)
    with pytest.raises(TooManyGroups):
        await odd.ask(dimensions=[{"field": "zq_many"}])


async def test_a_table_that_changes_meanwhile_is_read_again(odd: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are called by their places: between looking and reading none may have moved."""
    run, moved = odd.tables.run, 0

    async def moving(*args: Any) -> Any:
        nonlocal moved
        found = await run(*args)
        moved += 1
        if moved == 1:
            schema = await odd.tables.table(odd.acme, odd.form_id)
            columns = (*schema.columns[:1], replace(schema.columns[1], title="moved"), *schema.columns[2:])
            monkeypatch.setattr(odd.tables, "_known", {odd.form_id: replace(schema, columns=columns)})
        return found

    monkeypatch.setattr(odd.tables, "run", moving)
    assert (await odd.ask()).totals == [4]
    assert moved == 2
