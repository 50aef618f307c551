"""L1: three real surveys. Every figure is what pandas computes from the file, and again from empty projections."""

import io
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import delete

from db.models.events import Event as EventRow
from db.models.metrics import MetricCount, MetricPart, MetricState
from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.metric_contracts import FieldFigures, FormMetrics, OptionCount
from deployments.analytics.metrics.keeping import Counting, MetricKeeper, Nudges
from deployments.imports.layout import Layout
from deployments.responses.deployment import Responses
from eventing.events.envelope import Event
from tests.deployments.analytics.door import analytics
from tests.deployments.imports.reading import SHIPPED, SURVEYS, read
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant

CASES = (SHIPPED, SURVEYS / "StarWars.csv", SURVEYS / "flying-etiquette.csv")
SOME = 250


def told(options: list[OptionCount]) -> tuple[dict[str, int], int]:
    """How often each label was chosen, and how many wrote something else."""
    counts = {option.label: option.count for option in options if option.count and option.value != "other"}
    return counts, sum(option.count for option in options if option.value == "other")


def require_equal(figures: FieldFigures, columns: pd.DataFrame, people: int) -> None:
    """Compare the figures of a field with the columns of the file that belong to it."""
    answered = int(columns.notna().any(axis=1).sum())
    assert (figures.answered, figures.skipped) == (answered, people - answered), figures.field
    if figures.kind == "texts":
        assert not figures.options
        return
    if figures.rows:
        for row, (_, column) in zip(figures.rows, columns.items(), strict=True):
            assert row.answered == column.notna().sum(), row.label
            assert told(row.options)[0] == column.value_counts().to_dict()
            for option in row.options:
                assert option.share == pytest.approx((column == option.label).mean() / column.notna().mean())
            if figures.type == "ranking":
                assert row.mean_rank == pytest.approx(column.astype(float).mean())
        return
    # What was written where nothing offered would do stands in the last column.
    writes = any(option.value == "other" for option in figures.options)
    offered = columns.iloc[:, :-1] if writes else columns
    written = int(columns.iloc[:, -1].notna().sum()) if writes else 0
    assert told(figures.options) == (offered.stack().value_counts().to_dict(), written), figures.field
    for option in figures.options:
        if option.value != "other":
            assert option.share == pytest.approx((offered == option.label).any(axis=1).sum() / answered)


def _first(figures: FieldFigures) -> str:
    return figures.options[0].label if figures.options else ""


async def keep(database: Database) -> None:
    keeper = MetricKeeper(database, piece=1_000)
    while await keeper.round():
        pass


async def replay(database: Database) -> None:
    """Hand every event to the consumer again, the last one first."""
    nudges = Nudges(Counting(database))
    events = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    told = [event for event in events if event.type == "response.submitted"]
    assert told
    for event in reversed(told):
        async with database.write(event.tenant_id) as unit:
            await nudges.on_events(unit, [event])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_every_figure_of_a_survey_is_that_of_its_file(
    sqlite_settings: DatabaseSettings, tmp_path: Path, path: Path
) -> None:
    content = path.read_bytes()  # noqa: ASYNC240 - nothing else waits in this test
    reading = read(tmp_path, content)
    async with Database(sqlite_settings) as database:
        acme = await make_tenant(database)
        form = await make_form(database, acme, definition=reading.plan.definition)
        responses = Responses(database)
        for first in range(0, len(reading.rows), SOME):
            outcome = await responses.import_rows(acme, form.id, reading.rows[first : first + SOME])
            assert outcome.rejected == []
        await keep(database)
        found = await analytics(database).metrics(acme, form.id, None, None)
        require_all(found, path, reading.layout, len(reading.rows))
        async with database.unscoped_write() as unit:
            for table in (MetricCount, MetricPart, MetricState):
                await unit.session.execute(delete(table))
        await replay(database)
        again = await analytics(database).metrics(acme, form.id, None, None)
        assert again.model_copy(update={"as_of": found.as_of}) == found


def require_all(found: FormMetrics, path: Path, layout: Layout, people: int) -> None:
    text = io.StringIO(path.read_bytes().decode("utf-8", "replace"))
    table = pd.read_csv(text, header=None, skiprows=layout.header_rows, dtype=str, keep_default_na=False)
    table = table.map(str.strip).replace("", None)
    assert (found.submissions, found.starts, found.partials) == (people, people, 0)
    fields = {field.title: field for field in found.fields}
    assert len(fields) == len(found.fields) == len(layout.groups) + len(layout.metadata)
    for group in layout.groups:
        # Of what is one of many the file has the question before the option.
        (figures,) = (field for title, field in fields.items() if group.title in (title, f"{title} - {_first(field)}"))
        require_equal(figures, table[[heading.index for heading in group.headings]], people)
