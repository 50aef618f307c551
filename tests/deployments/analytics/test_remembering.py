"""C1, C2: figures that are remembered: for whom, of which question, and for how long."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.analytics.deployment import Analytics
from deployments.analytics.errors import FormNotFound
from deployments.analytics.metric_contracts import FormMetrics
from deployments.analytics.metrics.keeping import Counting
from deployments.analytics.query_contracts import AskCrosstab, Query
from deployments.kit.cache import Caches
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from tests.deployments.analytics.door import analytics
from tests.deployments.responses.lives import submit
from tests.factories import ANSWERS, PARTY, make_form, make_tenant

MEASURED: dict[str, Any] = {"measures": [{"name": "sum", "op": "sum", "field": "score"}]}


@dataclass
class Scene:
    """A form whose score is personal, and a door that remembers; `reader` sees figures but nothing personal."""

    database: Database
    door: Analytics
    caches: Caches
    acme: Principal
    reader: Principal
    form_id: str

    async def submit(self, score: int) -> None:
        await submit(Responses(self.database), {**ANSWERS, "score": score})
        while await Counting(self.database).advance("acme", self.form_id):
            pass

    async def total(self, principal: Principal) -> Any:
        query = Query.model_validate({**MEASURED, "form_id": self.form_id})
        return (await self.door.query(principal, query)).totals[0]

    async def cross(self, principal: Principal) -> int:
        asked = AskCrosstab(form_id=self.form_id, row="side", column="score")
        return (await self.door.crosstab(principal, asked)).respondents

    def asked(self, name: str) -> tuple[int, int]:
        """How often a cache asked, and how often it answered by itself."""
        numbers = next(each for each in self.caches.numbers() if each.name == name)
        return numbers.misses, numbers.hits + numbers.renewed


@pytest.fixture
async def scene(sqlite_settings: DatabaseSettings) -> AsyncIterator[Scene]:
    database, caches = Database(sqlite_settings), Caches()
    acme = await make_tenant(database)
    page = PARTY["pages"][0]
    personal = [{**each, "personal": each["id"] == "score"} for each in page["elements"]]
    form = await make_form(database, acme, definition={"pages": [{**page, "elements": personal}]})
    reader = Principal("acme", "usr_2", "user", grants={form.id: frozenset({"analytics:read"})})
    made = Scene(database, analytics(database, caches), caches, acme, reader, form.id)
    await made.submit(9)
    yield made
    await made.door.close()
    await database.close()


def score_of(metrics: FormMetrics) -> Any:
    return next(each for each in metrics.fields if each.field == "score").numbers


@pytest.mark.parametrize("owner_first", [True, False])
async def test_what_the_owner_sees_is_not_handed_to_a_reader(scene: Scene, owner_first: bool) -> None:
    """And the other way round: what a reader is not shown is not missing for the owner."""
    for principal in (scene.acme, scene.reader) if owner_first else (scene.reader, scene.acme):
        numbers = score_of(await scene.door.metrics(principal, scene.form_id, None, None))
        if principal is scene.acme:
            assert numbers.sum == 9
            assert (await scene.total(principal), await scene.cross(principal)) == (9, 1)
            continue
        assert numbers is None
        for asked in (scene.total(principal), scene.cross(principal)):
            with pytest.raises(Invalid):
                await asked


async def test_nobody_else_gets_what_is_remembered(scene: Scene) -> None:
    """Neither another tenant nor who has lost the right since."""
    globex = await make_tenant(scene.database, "globex")
    metrics = await scene.door.metrics(scene.acme, scene.form_id, None, None)
    assert (metrics.submissions, await scene.total(scene.acme)) == (1, 9)
    for asked in (scene.door.metrics(globex, scene.form_id, None, None), scene.total(globex), scene.cross(globex)):
        with pytest.raises(FormNotFound):
            await asked
    without = replace(scene.reader, grants={})
    for asked in (scene.door.metrics(without, scene.form_id, None, None), scene.total(without)):
        with pytest.raises(Forbidden):
            await asked


async def test_an_answer_stands_until_the_form_has_another_response(scene: Scene) -> None:
    assert [await scene.total(scene.acme) for _ in range(3)] == [9, 9, 9]
    assert scene.asked("queries") == (1, 2)
    await scene.submit(5)
    # The change is heard of when the transaction is told of, and the number of the form's changes is read each time.
    scene.caches.changes.note("acme")
    assert (await scene.total(scene.acme), await scene.cross(scene.acme)) == (14, 2)


async def test_another_span_is_another_question(scene: Scene) -> None:
    now = utc_now()
    spans = [(None, None), (now + timedelta(hours=1), None), (None, now - timedelta(hours=1))]
    for _ in range(2):
        found = [await scene.door.metrics(scene.acme, scene.form_id, *span) for span in spans]
        assert [each.submissions for each in found] == [1, 0, 0]
        series = [
            await scene.door.timeseries(scene.acme, scene.form_id, measure, "day", "UTC", None, None, False)
            for measure in ("submissions", "views")
        ]
        assert [sum(point.value or 0 for point in each.points) for each in series] == [1, 0]
    assert scene.asked("figures") == (3, 3)
