"""A5: answers by what they mean, each reader's own, and none that is gone."""

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from db.models.inference import AnswerVector
from db.session import Database
from db.settings import DatabaseSettings
from deployments.inference.deployment import Inference
from deployments.inference.enrichment_contracts import SearchResponses
from deployments.inference.errors import FormNotFound
from deployments.inference.search.index import VectorIndex
from deployments.inference.search.keeping import Indexes, search_file
from deployments.inference.search.vectors import rows_of
from deployments.kit.errors import Invalid, NotFound
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.vectors import small
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from deployments.tenancy.people.copies import SearchIndexes
from tests.deployments.inference.survey import FakeModels, door, enrich, make_survey, submit
from tests.eventing.harness import rows
from tests.factories import make_tenant

VIEWER = Principal("acme", "usr_viewer", "user", role="viewer", scopes=frozenset({"responses:read"}))


@dataclass
class Scene:
    database: Database
    acme: Principal
    form_id: str
    responses: Responses
    indexes: Indexes
    api: Inference

    async def found(self, query: str, principal: Principal | None = None, **more: object) -> list[str]:
        command = SearchResponses.model_validate({"query": query, "limit": 5, **more})
        hits = await self.api.search(principal or self.acme, self.form_id, command)
        return [hit.response.id for hit in hits.data if hit.score > 0.3]


@pytest.fixture
async def scene(sqlite_settings: DatabaseSettings) -> AsyncIterator[Scene]:
    database = Database(sqlite_settings)
    made = await _scene(database, ObjectStore("memory:///"))
    yield made
    await made.api.close()
    await database.close()


async def _scene(database: Database, objects: ObjectStore) -> Scene:
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses = Responses(database)
    indexes = Indexes(database, objects, memory=1 << 30, worth_keeping=1)
    return Scene(database, acme, form.id, responses, indexes, door(database, FakeModels(), responses, indexes))


async def test_the_nearest_answers_are_found_first(database: Database) -> None:
    """On both databases: with a filter, in one field, and near to one response."""
    scene = await _scene(database, ObjectStore("memory:///"))
    late = await submit(scene.responses, "the delivery was late", score=1)
    later = await submit(scene.responses, "the delivery was very late again", score=9)
    other = await submit(scene.responses, "lovely colours", story="the delivery was late")
    await enrich(database, FakeModels())
    assert await scene.found("late delivery") == [late, other, later]
    assert await scene.found("late delivery", where="score > 5") == [later]
    assert await scene.found("late delivery", field="story") == [other]
    near = await scene.api.similar(scene.acme, late, "comment", 5)
    assert [hit.response.id for hit in near.data][:1] == [later]
    with pytest.raises(Invalid):
        await scene.found("late", where="nothing = 1")
    await scene.api.close()


async def test_what_is_gone_or_changed_is_not_found(scene: Scene) -> None:
    """Trash, spam, edits and purges, each followed at once."""
    first, second = await submit(scene.responses, "late train"), await submit(scene.responses, "late train again")
    await enrich(scene.database, FakeModels())
    assert await scene.found("late train") == [first, second]
    await scene.responses.delete(scene.acme, first)
    assert await scene.found("late train") == [second]
    await scene.responses.restore(scene.acme, first)
    await enrich(scene.database, FakeModels())
    await scene.responses.quarantine(scene.acme, second)
    assert await scene.found("late train") == [first]
    await scene.responses.edit(scene.acme, first, EditResponse(answers={"comment": "soup"}), None)
    assert await scene.found("late train") == []
    await enrich(scene.database, FakeModels())
    assert await scene.found("soup") == [first]
    await scene.responses.delete(scene.acme, first)
    await scene.responses.purge(scene.acme, first)
    assert await scene.found("soup") == []


async def test_answers_that_a_reader_does_not_see_are_not_found(scene: Scene) -> None:
    """R8: not by searching, not as near ones, not as duplicates."""
    one = await submit(scene.responses, "garden", story="ill since spring")
    two = await submit(scene.responses, "kitchen", story="ill since spring")
    await enrich(scene.database, FakeModels())
    assert sorted(await scene.found("ill since spring")) == [one, two]
    assert await scene.found("ill since spring", VIEWER) == []
    shown = (await scene.api.similar(VIEWER, one, None, 5)).data
    assert [(hit.field, hit.response.answers["story"]) for hit in shown] == [("comment", None)]
    assert (await scene.api.duplicates(VIEWER, scene.form_id, None, 0.9, 100, 10)).data == []
    (group,) = (await scene.api.duplicates(scene.acme, scene.form_id, None, 0.9, 100, 10)).data
    assert [(each.response_id, each.field) for each in group.answers] == [(one, "story"), (two, "story")]


async def test_no_tenant_finds_anything_of_another(scene: Scene) -> None:
    """T5: nor learns whether a form or response is there."""
    one = await submit(scene.responses, "late train")
    await enrich(scene.database, FakeModels())
    other = await make_tenant(scene.database, "other")
    await make_survey(scene.database, other)
    await submit(scene.responses, "late train", tenant="other")
    await enrich(scene.database, FakeModels(), "other")
    assert await scene.found("late train") == [one]
    for asked in (
        scene.found("late train", other),
        scene.api.enrichment(other, scene.form_id),
        scene.api.duplicates(other, scene.form_id, None, 0.9, 100, 10),
    ):
        with pytest.raises(FormNotFound):
            await asked
    with pytest.raises(NotFound):
        await scene.api.similar(other, one, None, 5)
    assert {row.tenant_id for row in await rows(scene.database, AnswerVector)} == {"acme", "other"}


async def test_a_filter_that_leaves_few_finds_all_of_them(scene: Scene) -> None:
    """However far from what is asked for they are, and however many are nearer."""
    wanted = await submit(scene.responses, "soup of the day", score=7)
    for number in range(60):
        await submit(scene.responses, f"late train {number}", score=1)
    await enrich(scene.database, FakeModels())
    hits = await scene.api.search(
        scene.acme, scene.form_id, SearchResponses(query="late train", where="score = 7", limit=3)
    )
    assert [hit.response.id for hit in hits.data] == [wanted]


async def test_an_index_is_loaded_and_followed_by_another_process(scene: Scene, tmp_path: Path) -> None:
    """What was kept is right for the change it was kept at; the rest is read. A damaged file is made anew."""
    store = ObjectStore(f"file://{tmp_path}")
    first = await submit(scene.responses, "late train")
    await enrich(scene.database, FakeModels())
    kept = Indexes(scene.database, store, memory=1 << 30, worth_keeping=1)
    await kept.current("acme", scene.form_id, "words@1")
    path = tmp_path / search_file("acme", scene.form_id)
    assert path.exists()
    second = await submit(scene.responses, "late bus")
    await enrich(scene.database, FakeModels())
    for content in (path.read_bytes(), path.read_bytes()[:-9] + b"forgotten"):
        path.write_bytes(content)
        indexes = Indexes(scene.database, store, memory=1 << 30)
        held = await indexes.current("acme", scene.form_id, "words@1")
        assert len(held.index) == 2
        ready = replace(scene, api=door(scene.database, FakeModels(), scene.responses, indexes))
        assert sorted(await ready.found("late")) == [first, second]
    # R8: the erasure of a person leaves no file that may hold them.
    copies = SearchIndexes(store)
    assert [await copies.remove_some("acme", [scene.form_id]) for _ in range(2)] == [1, 0]
    assert not path.exists()


async def test_an_index_with_erased_people_is_not_kept(scene: Scene, tmp_path: Path) -> None:
    """R8: what was removed would still be in its file."""
    store = ObjectStore(f"file://{tmp_path}")
    indexes = Indexes(scene.database, store, memory=1 << 30, worth_keeping=2)
    one = await submit(scene.responses, "late train")
    await enrich(scene.database, FakeModels())
    await indexes.current("acme", scene.form_id, "words@1")
    assert (tmp_path / search_file("acme", scene.form_id)).exists()
    await scene.responses.delete(scene.acme, one)
    await scene.responses.purge(scene.acme, one)
    await submit(scene.responses, "late bus")
    await enrich(scene.database, FakeModels())
    held = await indexes.current("acme", scene.form_id, "words@1")
    assert (len(held.index), held.index.removed) == (1, 1)
    assert not (tmp_path / search_file("acme", scene.form_id)).exists()


async def test_memory_is_bounded(scene: Scene) -> None:
    """The index that was not asked for longest goes."""
    other = await make_tenant(scene.database, "other")
    form = await make_survey(scene.database, other)
    await submit(scene.responses, "late train")
    await submit(scene.responses, "late train", tenant="other")
    await enrich(scene.database, FakeModels())
    await enrich(scene.database, FakeModels(), "other")
    indexes = Indexes(scene.database, None, memory=1)
    await indexes.current("acme", scene.form_id, "words@1")
    assert indexes.held == [("acme", scene.form_id)]
    await indexes.current("other", form.id, "words@1")
    assert indexes.held == [("other", form.id)]


def test_small_vectors_keep_their_directions() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kept = small(vectors).astype(np.float32)
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    assert np.abs(kept @ kept.T - vectors @ vectors.T).max() < 0.01


def test_an_approximate_index_agrees_with_an_exact_one() -> None:
    """Of the ten nearest among 3,000 most are found; what was dropped is never."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 64))
    vectors = small((centres[rng.integers(0, 40, 3_000)] + 0.6 * rng.normal(size=(3_000, 64))).astype(np.float32))
    exact, near = VectorIndex("m"), VectorIndex("m", exact_below=0)
    for index in (exact, near):
        index.put(range(3_000), vectors)
        assert index.drop([5, 7, 9_999]) == 2
    found = total = 0
    for row in vectors[:100]:
        right = {each.number for each in exact.nearest(row, 10)}
        found += len(right & {each.number for each in near.nearest(row, 10)})
        total += len(right)
        assert not right & {5, 7}
    assert found / total > 0.9
    again = VectorIndex.of_file(near.file())
    assert (len(again), again.model) == (2_998, "m")
    assert rows_of([row.tobytes() for row in vectors[:2]]).tolist() == vectors[:2].tolist()


def test_the_libraries_of_models_and_indexes_live_in_one_process() -> None:
    """Whoever loads the index first must not keep the models from being loaded: usearch before ONNX Runtime kills."""
    both = "import deployments.inference.search.index, deployments.models.encoder"
    subprocess.run([sys.executable, "-c", both], cwd=Path(__file__).parents[3], check=True, timeout=60)
