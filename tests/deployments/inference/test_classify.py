"""A2: labels that come with the request: learned in it, kept for that tenant, and refused with every fault."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.inference.classifiers.answering import Kept
from deployments.inference.classify_contracts import ClassifyTexts, Label
from deployments.inference.errors import ClassifierNotFound, InvalidClassifier
from deployments.kit.errors import DeadlineExceeded
from deployments.kit.features import FeatureDisabled
from deployments.models.contracts import Embeddings
from deployments.models.deployment import Models
from tests.deployments.inference.scene import LABELS, Scene, labels, scene
from tests.factories import make_tenant, owner


class Counting:
    """The models, with a note of what was embedded."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.texts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.texts += texts
        return await self._models.embed(texts)


@pytest.fixture
async def acme(sqlite_settings: DatabaseSettings, tmp_path: Path, models_folder: Path) -> AsyncIterator[Scene]:
    database = Database(sqlite_settings)
    await make_tenant(database)
    await make_tenant(database, "other")
    async with scene(database, tmp_path, models_folder) as made:
        yield made
    await database.close()


ASKED = ["Has my card been sent?", "what are your exchange rates", "somebody stole my card"]
RIGHT = ["card_arrival", "exchange_rate", "lost_card"]


@pytest.mark.parametrize(
    "given",
    [
        [Label(name=name, examples=list(texts)) for name, texts in LABELS.items()],
        [
            Label(name="card_arrival", description="A new card has not come yet"),
            Label(name="exchange_rate", description="What another currency costs"),
            Label(name="lost_card", description="The card was lost or stolen"),
        ],
    ],
    ids=["few examples", "descriptions only"],
)
async def test_texts_get_their_labels(acme: Scene, given: list[Label]) -> None:
    found = await acme.inference.classify(owner(), ClassifyTexts(texts=ASKED, labels=given))
    assert [max(each.scores, key=each.scores.__getitem__) for each in found.results] == RIGHT
    assert [each.label for each in found.results] == RIGHT
    for each in found.results:
        assert each.confidence == max(each.scores.values())
        assert sum(each.scores.values()) == pytest.approx(1, abs=1e-3)


async def test_what_nothing_fits_gets_no_label(acme: Scene) -> None:
    """Abstention: null, and still the scores."""
    text = "The weather in Lisbon is lovely today"
    (found,) = (await acme.inference.classify(owner(), ClassifyTexts(texts=[text], labels=labels()))).results
    assert found.label is None
    assert set(found.scores) == set(LABELS)


async def test_examples_are_computed_once_for_each_tenant(acme: Scene) -> None:
    """The same labels again cost nothing; another tenant's are never used, for time would tell."""
    counting = Counting(acme.models)
    acme.inference._answering._models = counting  # type: ignore[assignment]
    command = ClassifyTexts(texts=["a text"], labels=labels())
    first = await acme.inference.classify(owner(), command)
    assert len(counting.texts) == 3 + 9 + 1
    assert await acme.inference.classify(owner(), command) == first
    assert counting.texts[13:] == ["a text"]
    more = ClassifyTexts(texts=["a text"], labels=[*labels(), Label(name="rest", examples=["Thank you"])])
    await acme.inference.classify(owner(), more)
    assert counting.texts[14:] == ["card arrival", "exchange rate", "lost card", "rest", "Thank you", "a text"]
    await acme.inference.classify(owner("other"), command)
    assert len(counting.texts) == 20 + 13


async def test_all_that_is_wrong_is_named_at_once(acme: Scene) -> None:
    many = [f"text {number}" for number in range(400)]
    twice = [Label(name="a", examples=many), Label(name="b", examples=many), Label(name="a")]
    with pytest.raises(InvalidClassifier) as failed:
        await acme.inference.classify(owner(), ClassifyTexts(texts=["x"], labels=twice, classifier_id="cls_1"))
    assert {(fault.pointer, fault.code) for fault in failed.value.faults} == {
        ("/labels", "classifier.one_of"),
        ("/labels/2/name", "classifier.label_twice"),
        ("/labels", "length.max"),
    }
    with pytest.raises(ClassifierNotFound):
        await acme.inference.classify(owner(), ClassifyTexts(texts=["x"], classifier_id="cls_none"))


async def test_heads_that_come_with_the_platform_are_asked_by_name(acme: Scene) -> None:
    texts = ["Wo ist denn hier der Bahnhof?", "Where is the railway station, please?"]
    languages = await acme.inference.classify(owner(), ClassifyTexts(texts=texts, head="language"))
    assert [each.label for each in languages.results] == ["de", "en"]
    feelings = await acme.inference.classify(owner(), ClassifyTexts(texts=["What a wonderful day!"], head="sentiment"))
    assert (feelings.results[0].label, feelings.model.partition("@")[0]) == ("positive", "sentiment")
    insults = ClassifyTexts(
        texts=["Shut up, you worthless fool!", "Du bist ein dummer Esel, halt den Mund."], head="toxicity"
    )
    rude = await acme.inference.classify(owner(), insults)
    assert ([each.label for each in rude.results], rude.model.partition("@")[0]) == (["toxic", None], "toxicity")


async def test_a_tenant_without_ai_gets_none(acme: Scene) -> None:
    await make_tenant(acme.database, "plain", features={"ai": False})
    with pytest.raises(FeatureDisabled):
        await acme.inference.classify(owner("plain"), ClassifyTexts(texts=["x"], labels=labels()))


async def test_what_takes_too_long_ends(acme: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.inference.classifiers.answering.DEADLINE_S", 0.001)
    with pytest.raises(DeadlineExceeded):
        await acme.inference.classify(owner(), ClassifyTexts(texts=["x"], labels=labels()))


def test_what_is_kept_is_bounded_in_bytes() -> None:
    kept: Kept[str] = Kept(10)
    for key in "abc":
        kept.put(key, b"1234")
    assert [kept.get(key) for key in "abc"] == [None, b"1234", b"1234"]
    kept.put("d", b"x" * 11)
    assert (kept.get("d"), kept.size) == (None, 0)
    kept.put("e", b"12")
    kept.put("e", b"123")
    assert kept.size == 3
