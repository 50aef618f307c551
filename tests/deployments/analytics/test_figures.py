"""L1: figures from counts are those that pandas computes from the answers, and each is for who may see it."""

import random
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from db.repositories.responses import COMPLETE
from db.session import Database
from db.types import utc_now
from deployments.analytics.errors import FormNotFound, InvalidQuestion
from deployments.analytics.metric_contracts import FieldFigures, FormViews, NumberFigures, ViewBatch
from deployments.analytics.metrics.cells import EVER
from deployments.analytics.metrics.figures import fields_of
from deployments.analytics.metrics.parts import CountedVersion
from deployments.analytics.metrics.tally import Tally
from deployments.kit.engine import Definition, compile_form, parse_definition
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from tests.deployments.analytics.door import analytics
from tests.deployments.responses.query import survey
from tests.factories import PARTY, make_form, make_tenant

MORE = [
    {"id": "stars", "type": "rating", "title": "Stars", "max": 4},
    {"id": "step", "type": "scale", "title": "Step", "min": -1, "max": 1},
    {"id": "sum", "type": "calculated", "title": "Sum", "value": "answers.stars * 2"},
]


def figures(definitions: list[Definition], all_answers: list[dict[str, Any]], **more: Any) -> dict[str, FieldFigures]:
    version, tally = CountedVersion(compile_form(definitions[-1])), Tally()
    for answers in all_answers:
        row = SimpleNamespace(
            status=COMPLETE, deleted_at=None, started_at=None, submitted_at=utc_now(), seconds=None, answers=answers
        )
        tally.add(version.part(row))
    counts = {name: count for (moment, name), count in tally.counts.items() if moment == EVER}
    hidden = more.get("hidden", ())
    return {each.field: each for each in fields_of(definitions, counts, tally.added_to({}), hidden, hidden)}


def require_numbers(found: NumberFigures | None, values: "pd.Series[float]") -> None:
    assert found is not None
    assert found.count == values.count()
    assert (found.sum, found.mean) == (pytest.approx(values.sum()), pytest.approx(values.mean()))
    assert found.stdev == pytest.approx(values.std())
    assert found.median == pytest.approx(values.median())
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert sum(each.count for each in found.bins) == found.count
    for each in found.bins[:-1]:
        assert each.count == ((values >= each.lower) & (values < each.upper)).sum()


def test_every_kind_of_field_is_counted_as_pandas_does() -> None:
    dice = random.Random(5)
    page = survey.SURVEY["pages"][0]
    definition = parse_definition({"pages": [{**page, "elements": [*page["elements"], *MORE]}]})
    rules = compile_form(definition)
    given = [{**survey.answers_by(dice), "stars": dice.randint(1, 4), "step": dice.randint(-1, 1)} for _ in range(150)]
    for each in given:
        each["amount"] = dice.choice([dice.randint(-500, 9_000), round(dice.uniform(-20, 20), 1)])
    answers = [rules.check(each)[0] for each in given]
    table = pd.DataFrame(answers)
    found = figures([definition], answers)
    assert {name: each.answered for name, each in found.items()} == {
        field.id: int(table[field.id].notna().sum()) if field.id in table else 0 for field in definition.fields
    }
    for name in ("amount", "score", "stars", "step", "sum"):
        require_numbers(found[name].numbers, table[name].dropna().astype(float))
    assert [(each.lower, each.upper) for each in _numbers(found["stars"]).bins] == [(1, 2), (2, 3), (3, 4), (4, 5)]
    nps, scores = found["score"].nps, table["score"].dropna()
    assert nps is not None
    assert nps.score == pytest.approx(100 * ((scores >= 9).mean() - (scores <= 6).mean()))
    assert nps.promoters + nps.passives + nps.detractors == len(scores)
    truths = {option.value: option.count for option in found["fine"].options}
    assert truths == {"true": (table["fine"] == True).sum(), "false": (table["fine"] == False).sum()}  # noqa: E712
    for row in found["cells"].rows:
        chosen = table["cells"].dropna().map(lambda cell, row=row: cell.get(row.row))
        assert row.answered == chosen.notna().sum()
        assert {
            each.value: each.count for each in row.options if each.count
        } == chosen.explode().value_counts().to_dict()
    assert not found["name"].options
    assert found["day"].kind == "dates"


def _numbers(found: FieldFigures) -> NumberFigures:
    assert found.numbers is not None
    return found.numbers


def test_what_a_newer_version_dropped_stays_while_it_was_answered() -> None:
    options = [{"id": "old", "label": "Old"}, {"id": "both", "label": "Before"}]
    first = {"id": "one", "type": "choice", "title": "One?", "options": options}
    gone = {"id": "gone", "type": "yes_no", "title": "Gone?"}
    never = {"id": "never", "type": "yes_no", "title": "Never?"}
    second = {**first, "title": "One!", "options": [{"id": "new", "label": "New"}, {"id": "both", "label": "After"}]}
    older = parse_definition({"pages": [{"id": "p", "elements": [first, gone, never]}]})
    newer = parse_definition({"pages": [{"id": "p", "elements": [second]}]})
    answers = [{"one": "old"}, {"one": "both", "gone": True}]
    found = figures([newer, older], answers)  # counted by the older one
    assert list(found) == ["one", "gone", "never"]
    again = fields_of(
        [older, newer], {"submissions": 2, "f:one": 2, "f:one:o:old": 1, "f:one:o:both": 1, "f:gone": 1}, {}, (), ()
    )
    assert [(each.field, each.title) for each in again] == [("one", "One!"), ("gone", "Gone?")]
    assert [(each.label, each.count) for each in again[0].options] == [("New", 0), ("After", 1), ("Old", 1)]


def test_sums_that_no_number_holds_are_the_greatest_there_is() -> None:
    definition = parse_definition({"pages": [{"id": "p", "elements": [{"id": "n", "type": "number", "title": "N"}]}]})
    found = _numbers(figures([definition], [{"n": 1.7e308}, {"n": 1.7e308}, {"n": -1.0}])["n"])
    assert found.sum == pytest.approx(1.797e308, rel=0.001)
    assert found.model_validate_json(found.model_dump_json()) == found


async def test_who_may_see_which_figures(database: Database) -> None:
    """L1, T3: personal fields only with their permission, per form, and nothing of another tenant's."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    page = PARTY["pages"][0]
    personal = [{**each, "personal": each["id"] in ("email", "score")} for each in page["elements"]]
    form = await make_form(database, acme, definition={"pages": [{**page, "elements": personal}]})
    door = analytics(database)
    granted = Principal("acme", "usr_2", "user", grants={form.id: frozenset({"analytics:read"})})
    found = {each.field: each for each in (await door.metrics(granted, form.id, None, None)).fields}
    assert (found["score"].personal, found["score"].numbers, found["score"].nps) == (True, None, None)
    assert found["side"].options
    for asking in (granted, acme):
        with pytest.raises(FormNotFound if asking is acme else Forbidden):
            await door.metrics(asking, "frm_none", None, None)
    for wanted in (door.metrics(globex, form.id, None, None), door.recount(globex, form.id)):
        with pytest.raises(FormNotFound):
            await wanted
    with pytest.raises(FormNotFound):
        await door.timeseries(globex, form.id, "views", "day", "UTC", None, None, False)
    with pytest.raises(InvalidQuestion) as failure:
        await door.timeseries(acme, form.id, "views", "day", "Mars/Base", utc_now(), form.created_at, False)
    assert [fault.code for fault in failure.value.faults] == ["span.empty", "timezone.unknown"]


async def test_views_that_are_handed_over_again_count_once(database: Database) -> None:
    """L1: a batch has a number; another edge, and a later batch, count; forms that are gone do not."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    one = await make_form(database, acme)
    two = await make_form(database, globex)
    door, now, edge = analytics(database), utc_now(), Principal.system("_platform", "edge")

    async def hand_over(name: str, number: int, *forms: tuple[str, str, int]) -> None:
        views = [FormViews(tenant_id=tenant, form_id=form, since=now, views=count) for tenant, form, count in forms]
        await door.count_views(edge, ViewBatch(edge=name, number=number, views=views))

    batch = (("acme", one.id, 2), ("globex", two.id, 1), ("acme", two.id, 50), ("nobody", one.id, 9))
    for _ in range(2):
        await hand_over("a", 1, *batch)
    await hand_over("a", 2, ("acme", one.id, 3))
    await hand_over("a", 1, *batch)
    await hand_over("b", 1, ("acme", one.id, 4))
    assert (await door.metrics(acme, one.id, None, None)).views == 9
    assert (await door.metrics(acme, one.id, now, None)).views == 9
    assert (await door.metrics(acme, one.id, None, form_long_ago())).views == 0
    assert (await door.metrics(globex, two.id, None, None)).views == 1
    series = await door.timeseries(acme, one.id, "views", "hour", "Asia/Kathmandu", None, None, True)
    assert sum(point.value or 0 for point in series.points) == 9
    assert series.previous is not None
    assert len(series.previous) == len(series.points)
    with pytest.raises(Forbidden):
        await door.count_views(acme, ViewBatch(edge="c", number=1, views=[]))


def form_long_ago() -> Any:
    return utc_now().replace(year=2000)
