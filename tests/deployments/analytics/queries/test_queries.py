"""L3: figures of groups, equal to what pandas says of the same responses."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from db.settings import DatabaseSettings
from tests.deployments.analytics.queries.scene import SEVERAL, Scene, open_scene
from tests.deployments.responses.query.test_filters import fields, jsonable

NUMBERS = ("amount", "score", "twice", "rank.q", "spot.latitude")
OPS: dict[str, tuple[str, ...]] = {
    "count": (*NUMBERS, "name", "many", "one", "grid", "day"),
    "count_distinct": (*NUMBERS, "name", "one", "day", "fine"),
    "sum": NUMBERS,
    "avg": NUMBERS,
    "min": NUMBERS,
    "max": NUMBERS,
    "median": NUMBERS,
    "percentile": NUMBERS,
    "stdev": ("score", "twice", "spot.latitude"),
    "share": ("name", "score"),
    "nps": ("score",),
}
DIMENSIONS = (
    "one",
    "many",
    "grid",
    "cells",
    "grid.r1",
    "cells.r1",
    "land",
    "home.city",
    "fine",
    "score",
    "day",
    "version",
    "language",
    "tags",
)


@pytest.fixture
async def scene(sqlite_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(sqlite_settings, tmp_path, marked=True) as opened:
        yield opened


@st.composite
def measures(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(sorted(OPS)))
    found = {"op": op, "field": draw(st.sampled_from(OPS[op]))}
    return {**found, "p": draw(st.sampled_from([0, 10, 50, 90, 100]))} if op == "percentile" else found


grouped = st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True)


@st.composite
def filtered(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(fields)))
    return {name: dict([draw(fields[name])])}


@settings(
    max_examples=30, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wanted=st.lists(measures(), min_size=1, max_size=4), by=grouped, unanswered=st.booleans(), only=filtered())
async def test_every_figure_of_every_group_is_what_pandas_says(
    scene: Scene, wanted: list[dict[str, Any]], by: list[str], unanswered: bool, only: dict[str, dict[str, Any]]
) -> None:
    filters = {name: {op: jsonable(value) for op, value in tests.items()} for name, tests in only.items()}
    answer = await scene.ask(
        measures=[{"name": "n", "op": "count"}, *({"name": f"m{n}", **each} for n, each in enumerate(wanted))],
        dimensions=[{"field": name, "unanswered": unanswered} for name in by],
        filters=filters,
        limit=10_000,
    )
    frame = scene.frame
    frame = frame[frame["id"].isin(scene.known.ids(only))]
    if not unanswered:
        frame = frame.dropna(subset=by)
    measured = [{"op": "count", "field": "id"}, *wanted]
    assert answer.respondents == len(frame)
    assert same(answer.totals, [figure(frame, each) for each in measured])
    rows = frame
    for place, name in enumerate(by):
        rows = rows.assign(**{f"k{place}": rows[name]})
        rows = rows.explode(f"k{place}") if name in SEVERAL else rows
    keys = [f"k{place}" for place in range(len(by))]
    groups = {tuple(map(plain, key)): group for key, group in rows.groupby(keys, dropna=False)} if by else {(): rows}
    groups = {key: group for key, group in groups.items() if len(group)}
    found = {tuple(plain(key.value) for key in row.keys): row.values for row in answer.rows}
    assert found.keys() == groups.keys()
    assert (answer.groups, answer.truncated) == (len(groups), False)
    for key, group in list(groups.items())[:12]:
        expected = [figure(group, each) for each in measured]
        assert same(found[key], expected), (key, found[key], expected)


def figure(rows: Any, asked: dict[str, Any]) -> Any:
    """One figure of pandas."""
    column = rows[asked["field"]]
    if asked["op"] == "count":
        return int(column.count())
    if asked["op"] == "count_distinct":
        return int(column.nunique())
    if asked["op"] == "share":
        return column.count() / len(rows) if len(rows) else None
    numbers = pd.to_numeric(column.dropna()).astype(float)
    if numbers.empty:
        return None
    match asked["op"]:
        case "percentile":
            found = numbers.quantile(asked["p"] / 100)
        case "stdev":
            found = numbers.std()
        case "avg":
            found = numbers.mean()
        case "nps":
            found = 100 * ((numbers >= 9).mean() - (numbers <= 6).mean())
        case _:
            found = getattr(numbers, asked["op"])()
    return None if math.isnan(found) else float(found)


def same(found: list[Any], expected: list[Any]) -> bool:
    """Whether figures are equal, but for the order in which floats are added."""
    pairs = zip(found, expected, strict=True)
    return all(a == b or (None not in (a, b) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)) for a, b in pairs)


def plain(value: Any) -> Any:
    """A key that can be compared: numbers as floats, what is not there as None."""
    if value is None or value is pd.NaT or value != value:
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
