"""L3: figures of three real surveys, equal to what pandas computes from their files."""

import io
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest
from scipy import stats

from db.settings import DatabaseSettings
from deployments.analytics.queries.crosstabs import crosstab
from deployments.analytics.query_contracts import AskCrosstab, QueryAnswer
from deployments.responses.deployment import Responses
from tests.deployments.analytics.queries.scene import OTHER, Scene, open_scene
from tests.deployments.exports.test_formats import fill
from tests.deployments.imports.reading import SHIPPED, SURVEYS, Reading, read

FILES = {
    "thanksgiving": (
        SHIPPED,
        0,
        ("US Region", "Age", "How much total combined money did all members of your HOUSEHOLD earn last year?"),
    ),
    "star-wars": (SURVEYS / "StarWars.csv", 1, ("Location (Census Region)", "Age", "Household Income")),
    "flying": (SURVEYS / "flying-etiquette.csv", 0, ("Location (Census Region)", "Age", "Household Income")),
}
SEVERAL = {"thanksgiving": 3, "star-wars": 1, "flying": 0}
"""How many questions of each survey take several options."""


@pytest.mark.parametrize("name", FILES)
async def test_counts_shares_and_crosstabs_are_those_of_the_file(
    sqlite_settings: DatabaseSettings, tmp_path: Path, name: str
) -> None:
    path, skipped, sides = FILES[name]
    source = read(tmp_path, path.read_bytes())
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).iloc[skipped:]
    frame.columns = frame.columns.str.strip()
    frame = frame.apply(lambda column: column.str.strip()).replace("", pd.NA)
    fields = questions(source, frame)
    async with open_scene(sqlite_settings, tmp_path, source.plan.definition) as scene:
        await fill(Responses(scene.database), scene.acme, scene.form_id, [row.answers for row in source.rows])
        for field, title in fields.items():
            counted = frame[title].value_counts()
            answer = await ask(scene, field)
            assert shares(answer) == {
                label: (count, pytest.approx(count / counted.sum())) for label, count in counted.items()
            }
            assert answer.respondents == counted.sum()
        by_title = {title: field for field, title in fields.items()}
        columns = several(source, text)
        assert len(by_title) > len(sides)
        assert len(columns) == SEVERAL[name]
        for side in sides:
            for title in by_title.keys() - {side}:
                wanted = AskCrosstab(form_id=scene.form_id, row=by_title[title], column=by_title[side])
                same(await crosstab(scene.asking, scene.acme, wanted), pd.crosstab(frame[title], frame[side]))
            for field, table in columns.items():
                wanted = AskCrosstab(form_id=scene.form_id, row=field, column=by_title[side])
                same_of_several(await crosstab(scene.asking, scene.acme, wanted), table, frame[side])
        if name == "thanksgiving":
            await several_are(scene, frame, by_title)


def questions(source: Reading, frame: Any) -> dict[str, str]:
    """The fields with one option whose answers stand in one column of the file, with its title."""
    return {
        name: element["title"]
        for name, element in source.elements.items()
        if element["type"] in ("choice", "dropdown")
        and list(frame.columns).count(element["title"]) == 1
        and set(frame[element["title"]].dropna()) <= {option["label"] for option in element["options"]}
    }


def several(source: Reading, text: str) -> dict[str, Any]:
    """The columns of the file that make each field with several options, the free text of "other" last."""
    table = pd.read_csv(
        io.StringIO(text), header=None, skiprows=source.layout.header_rows, dtype=str, keep_default_na=False
    )
    table = table.apply(lambda column: column.str.strip()).replace("", pd.NA)
    titles = {element["title"]: name for name, element in source.elements.items() if element["type"] == "multi_choice"}
    return {
        titles[group.title]: table[[heading.index for heading in group.headings]]
        for group in source.layout.groups
        if group.title in titles
    }


def same_of_several(found: Any, table: Any, side: Any) -> None:
    """Whether everybody who has chosen an option counts in its row, and nobody twice in a total."""
    side = side.set_axis(table.index)
    is_other = [key.value == OTHER for key in found.row.keys]
    offered = table.iloc[:, :-1] if any(is_other) else table
    for key, line, total in zip(found.row.keys, found.cells, found.row.totals, strict=True):
        chosen = table.iloc[:, -1].notna() if key.value == OTHER else (offered == key.label).fillna(False).any(axis=1)
        counted = side[chosen].value_counts()
        assert {value.label: cell.count for value, cell in zip(found.column.keys, line, strict=True) if cell.count} == (
            counted.to_dict()
        ), key.label
        assert total == counted.sum()
        assert [cell.row_share for cell in line] == [pytest.approx(cell.count / total) for cell in line]
    assert found.respondents == (table.notna().any(axis=1) & side.notna()).sum()


async def ask(scene: Scene, *by: str) -> QueryAnswer:
    measures = [{"name": "n", "op": "count"}, {"name": "share", "op": "share"}]
    return await scene.ask(measures=measures, dimensions=[{"field": field} for field in by])


def shares(answer: QueryAnswer) -> dict[Any, tuple[Any, ...]]:
    return {row.keys[0].label: tuple(row.values) for row in answer.rows}


def same(found: Any, expected: Any) -> None:
    """Whether a cross-tab is that of pandas, and its test that of SciPy."""
    down, across = [key.label for key in found.row.keys], [key.label for key in found.column.keys]
    assert sorted(down) == sorted(expected.index)
    assert sorted(across) == sorted(expected.columns)
    table = expected.loc[down, across]
    total = table.to_numpy().sum()
    assert found.respondents == total
    assert [[cell.count for cell in line] for line in found.cells] == table.to_numpy().tolist()
    by_row, by_column = table.div(table.sum(axis=1), axis=0), table.div(table.sum(axis=0), axis=1)
    for name, shares in (("row_share", by_row), ("column_share", by_column), ("total_share", table / total)):
        assert [[getattr(cell, name) for cell in line] for line in found.cells] == [
            pytest.approx(line) for line in shares.to_numpy().tolist()
        ]
    statistic, p, degrees, awaited = stats.chi2_contingency(table.to_numpy(), correction=False)
    assert [[cell.expected for cell in line] for line in found.cells] == [pytest.approx(line) for line in awaited]
    test = found.tests[0]
    assert (test.test, test.degrees) == ("chi_square", [degrees])
    assert (test.statistic, test.p) == (pytest.approx(statistic), pytest.approx(p))
    assert found.cramers_v == pytest.approx((statistic / total / (min(table.shape) - 1)) ** 0.5)
    assert any(warning.code == "crosstab.few_expected" for warning in found.warnings) == bool((awaited < 5).any())


async def several_are(scene: Scene, frame: Any, by_title: dict[str, str]) -> None:
    """Several options: everybody who has chosen one counts, by age."""
    name = "which_of_these_side_dishes_aretypically_served"
    columns = [title for title in frame.columns if title.startswith("Which of these side dishes") and " - " in title]
    titles = {title.rpartition(" - ")[2]: title for title in columns}
    answer = await ask(scene, name, by_title["Age"])
    found = {(row.keys[0].label, row.keys[1].label): row.values[0] for row in answer.rows}
    for label in ("Corn", "Carrots", "Mashed potatoes"):
        counted = frame[frame[titles[label]].notna()]["Age"].value_counts()
        assert {age: found[label, age] for age in counted.index} == counted.to_dict()
    chosen = frame[columns].notna().any(axis=1) & frame["Age"].notna()
    assert answer.respondents == chosen.sum()
