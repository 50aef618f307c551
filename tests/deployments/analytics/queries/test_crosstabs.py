"""L3: cross-tabs of what has several answers, of numbers, and of few people; judged as SciPy judges the same."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from db.settings import DatabaseSettings
from deployments.analytics.queries import crosstabs
from deployments.analytics.queries.crosstabs import crosstab
from deployments.analytics.queries.errors import TooManyGroups
from deployments.analytics.queries.significance import of_counts
from deployments.analytics.query_contracts import AskCrosstab, Crosstab
from deployments.kit.errors import Invalid
from tests.deployments.analytics.queries.scene import Scene, open_scene


@pytest.fixture
async def scene(sqlite_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(sqlite_settings, tmp_path) as opened:
        yield opened


async def cross(scene: Scene, row: str, column: str, **wanted: Any) -> Crosstab:
    return await crosstab(
        scene.asking, scene.acme, AskCrosstab(form_id=scene.form_id, row=row, column=column, **wanted)
    )


async def test_of_several_options_each_is_tested_alone(scene: Scene) -> None:
    """Whoever chose two is counted in two rows, and once in the totals."""
    found = await cross(scene, "many", "one")
    frame = scene.frame.dropna(subset=["many", "one"])
    assert found.respondents == len(frame)
    assert sum(found.row.totals) > len(frame)
    across = [key.value for key in found.column.keys]
    assert found.column.totals == [int((frame["one"] == value).sum()) for value in across]
    for key, total, line, test in zip(found.row.keys, found.row.totals, found.cells, found.tests, strict=True):
        chosen = frame["many"].map(lambda values, value=key.value: value in values)
        counts = [int((chosen & (frame["one"] == value)).sum()) for value in across]
        assert ([cell.count for cell in line], total) == (counts, int(chosen.sum()))
        rest = [all_ - count for all_, count in zip(found.column.totals, counts, strict=True)]
        statistic, p, degrees, _ = stats.chi2_contingency([counts, rest], correction=False)
        assert (test.key, test.degrees, test.p) == (key, [degrees], pytest.approx(p))
        assert test.statistic == pytest.approx(statistic)
    assert (found.cramers_v, found.warnings[0].code) == (None, "crosstab.several_answers")
    both = await cross(scene, "many", "cells.r1")
    assert (both.tests, [warning.code for warning in both.warnings]) == ([], ["crosstab.several_answers"])


def test_two_by_two_is_tested_without_a_correction_and_exactly_where_few_are_expected() -> None:
    """The tea tasting of Fisher, "The Design of Experiments" (1935): p = 0.486; and what textbooks compute by hand."""
    (many,), v, least = of_counts([[30, 10], [20, 40]])
    assert (many.test, many.statistic, many.degrees) == ("chi_square", pytest.approx(16.667, abs=5e-4), (1,))
    assert (v, least) == (pytest.approx(0.408, abs=5e-4), 20.0)
    _, exact = of_counts([[3, 1], [1, 3]])[0]
    assert (exact.test, exact.p) == ("fisher", pytest.approx(0.486, abs=5e-4))


async def test_cells_that_differ_are_marked(scene: Scene) -> None:
    """The adjusted residual squared is the chi-square of its cell alone against all others."""
    found = await cross(scene, "grid.r1", "cells.r1")
    for line, row in zip(found.cells, found.row.totals, strict=True):
        for cell, column in zip(line, found.column.totals, strict=True):
            others = (
                [cell.count, row - cell.count],
                [column - cell.count, found.respondents - row - column + cell.count],
            )
            if 0 in (row, column) or found.respondents in (row, column):
                assert cell.residual is None
                continue
            assert cell.residual is not None
            assert cell.residual**2 == pytest.approx(stats.chi2_contingency(others, correction=False).statistic)
            assert (cell.differs is not None) == (abs(cell.residual) > 1.96)


@pytest.mark.parametrize("number", ["score", "spot.latitude"])
async def test_means_of_groups_are_compared(scene: Scene, number: str) -> None:
    """From sums and ranks that are made in the table, with many equal numbers."""
    found = await cross(scene, "one", number)
    frame = scene.frame.dropna(subset=["one", number])
    samples = [frame[frame["one"] == group.key.value][number].astype(float) for group in found.groups]
    assert (found.kind, found.respondents, found.column.keys) == ("means", len(frame), [])
    for group, sample in zip(found.groups, samples, strict=True):
        assert (group.count, group.minimum, group.maximum) == (len(sample), sample.min(), sample.max())
        assert [group.mean, group.stdev, group.median] == pytest.approx([sample.mean(), sample.std(), sample.median()])
    anova, kruskal = stats.f_oneway(*samples), stats.kruskal(*samples)
    assert [test.test for test in found.tests] == ["anova", "kruskal"]
    assert [test.p for test in found.tests] == pytest.approx([anova.pvalue, kruskal.pvalue])
    assert [test.statistic for test in found.tests] == pytest.approx([anova.statistic, kruskal.statistic])
    several = await cross(scene, number, "many")
    assert (several.tests, several.row.keys) == ([], [])


async def test_of_few_people_fisher_is_asked(scene: Scene) -> None:
    few = sorted(scene.frame.dropna(subset=["fine", "grid.r1"])["submitted_at"])[9]
    until = {"until": few.isoformat()}
    found = await cross(scene, "fine", "grid.r1", time=until)
    table = [[cell.count for cell in line] for line in found.cells]
    assert sum(map(sum, table)) < 12
    assert [test.test for test in found.tests] == ["chi_square", "fisher"]
    assert found.tests[1].p == pytest.approx(stats.fisher_exact(table).pvalue)
    assert [warning.code for warning in found.warnings] == ["crosstab.few_expected"]
    nobody = await cross(scene, "fine", "grid.r1", filters={"name": {"eq": "nobody"}})
    assert (nobody.respondents, nobody.cells, nobody.tests) == (0, [], [])
    assert [warning.code for warning in nobody.warnings] == ["crosstab.nothing_to_test"]


async def test_a_span_has_its_first_moment_and_not_its_last(scene: Scene) -> None:
    moment = sorted(scene.frame["submitted_at"])[9]
    before = await scene.ask(time={"until": moment.isoformat()})
    after = await scene.ask(time={"since": moment.isoformat()})
    earlier = int((scene.frame["submitted_at"] < moment).sum())
    assert (before.totals, after.totals) == ([earlier], [len(scene.frame) - earlier])


@pytest.mark.parametrize("column", ["one", "score"])
async def test_too_many_values_are_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch, column: str) -> None:
    """Also when so many rows come of them that some are left out."""
    monkeypatch.setattr(crosstabs, "_MAX_SIDE", 3)
    monkeypatch.setattr(crosstabs, "_MAX_ROWS", 6)
    with pytest.raises(TooManyGroups) as caught:
        await cross(scene, "name", column)
    assert caught.value.members["limit"]["most"] == 3


async def test_what_cannot_be_crossed_is_named(scene: Scene) -> None:
    with pytest.raises(Invalid) as caught:
        await cross(scene, "nothing", "guests", filters={"name": {"gt": 1}, "nobody": "x"})
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/row", "query.unknown_field"),
        ("/column", "query.not_a_dimension"),
        ("/filter/name/gt", "filter.type"),
        ("/filter/nobody", "filter.unknown_field"),
    }
