"""A2: the heads that come with the package are what their records say, and say what they are for."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deployments.models.contracts import HeadRef, Judgements
from deployments.models.deployment import Models
from deployments.models.errors import ModelMissing
from deployments.models.heads.builtin import FOLDER, NAMES, builtin
from deployments.models.heads.recipes import sentiment, spam
from deployments.models.heads.recipes.ngrams import CHARACTERS, OPERATORS, WORDS, Ngrams
from deployments.models.heads.recipes.record import RECORD, Figures, Record
from deployments.models.registry import sha256_of
from deployments.models.settings import ModelsSettings

SPAM = (
    "URGENT! You have won a £1000 prize GUARANTEED. Call 09061701461 now, claim code KL341. Valid 12 hours only.",
    "Buy followers now!! 50% off, visit www.cheap-followers.example and text WIN to 87121",
)
HAM = ("I'll be home at six, do you want me to buy bread?", "The corn was great, thank you for the invitation.")


@pytest.fixture(scope="module")
def models(models_folder: Path) -> Models:
    return Models(ModelsSettings(folder=models_folder))


async def said(models: Models, name: str, *texts: str) -> tuple[Judgements, list[str]]:
    found = await models.classify(HeadRef(name=name), texts)
    return found, [found.labels[int(np.argmax(row))] for row in found.scores]


@pytest.mark.parametrize(("recipe", "least"), [(spam, 0.97), (sentiment, 0.4)], ids=["spam", "sentiment"])
def test_a_head_is_the_one_that_its_recipe_made_and_its_card_tells_how_good_it_is(recipe: Any, least: float) -> None:
    """When this fails, the recipe has changed: run it, see its docstring, and write its figures into the card."""
    folder = FOLDER / recipe.NAME
    record = Record.model_validate_json((folder / RECORD).read_bytes())
    assert record.head == sha256_of(folder / f"{recipe.NAME}.onnx")
    assert record.recipe == {path.name: sha256_of(path) for path in recipe.SOURCES}
    card = (folder / "card.md").read_text()
    assert all(each.f1 > least and f"{each.f1:.4f}" in card for each in record.held_out.values())


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_card_and_names_itself(name: str) -> None:
    card = builtin(name).card
    assert (card.name, bool(card.version), 0 < card.threshold < 1) == (name, True, True)
    assert (FOLDER / name / "card.md").read_text().startswith(f"# {name}\n")


async def test_spam_is_told_from_what_people_write(models: Models) -> None:
    found, labels = await said(models, "spam", *SPAM, *HAM, "", "\0", "é" * 5_000)
    assert labels == ["spam"] * len(SPAM) + ["ham"] * (len(HAM) + 3)
    assert found.model == "spam@2"
    assert np.allclose(np.sum(found.scores, axis=1), 1, atol=1e-5)


async def test_languages_are_told(models: Models) -> None:
    texts = {
        "en": "Where is my order? It should have arrived last week.",
        "de": "Wo bleibt meine Bestellung? Sie sollte letzte Woche ankommen.",
        "fr": "Où est ma commande ? Elle devait arriver la semaine dernière.",
        "ar": "أين طلبي؟ كان من المفترض أن يصل الأسبوع الماضي.",
        "ru": "Где мой заказ? Он должен был прийти на прошлой неделе.",
        "ja": "注文した商品はどこですか。先週届くはずでした。",
    }
    found, labels = await said(models, "language", *texts.values())
    assert labels == list(texts)
    assert len(found.labels) >= 40
    assert min(max(row) for row in found.scores) >= found.threshold
    nothing, _ = await said(models, "language", "")
    assert max(nothing.scores[0]) < nothing.threshold


async def test_the_sentiment_of_english_is_told_and_of_the_rest_nothing(models: Models) -> None:
    texts = ("The food was awful and the staff rude.", "It opens at nine.", "What a lovely evening, thank you!")
    found, labels = await said(models, "sentiment", *texts)
    assert labels == ["negative", "neutral", "positive"] == list(found.labels)
    other, _ = await said(models, "sentiment", "Das Essen war leider kalt und die Bedienung unfreundlich.")
    assert max(other.scores[0]) < other.threshold
    assert np.allclose(np.sum([*found.scores, *other.scores], axis=1), 1)


async def test_a_head_that_is_none_is_named(models: Models) -> None:
    with pytest.raises(ModelMissing, match=r"no built-in head 'toxicity'; there are language, sentiment, spam"):
        await models.classify(HeadRef(name="toxicity"), ["x"])


def test_texts_are_scored_in_any_number_and_order() -> None:
    """Long and short ones are computed apart, and none at all is no error."""
    head = builtin("spam")
    texts = ["x " * 50_000, *HAM, "y" * 100_000, *SPAM]
    vectors = np.random.default_rng(0).normal(size=(len(texts), 384)).astype(np.float32)
    alone = [head.score([text], vector[None])[0] for text, vector in zip(texts, vectors, strict=True)]
    assert np.allclose(head.score(texts, vectors), alone, atol=1e-6)
    assert head.score([], vectors[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    "block",
    [
        Ngrams(WORDS, (1, 2), least=1),
        Ngrams(CHARACTERS, (2, 4), least=1),
        Ngrams(CHARACTERS, (1, 3), 1, 40, lower=False),
    ],
    ids=["words", "characters", "as written"],
)
def test_what_is_learnt_and_what_is_served_are_the_same_numbers(block: Ngrams) -> None:
    texts = ["Win £100 NOW!\nCall 0871", "ÄÖ äö 日本 😀", "win win", "the", "", "a"]
    learnt = block.learn(texts).toarray()
    nodes, constants, output = block.nodes("block")
    asked = [helper.make_tensor_value_info("texts", TensorProto.STRING, ["texts", 1])]
    told = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    operators = [helper.make_opsetid(domain, version) for domain, version in OPERATORS.items()]
    graph = helper.make_graph(nodes, "block", asked, told, constants)
    session = _session(helper.make_model(graph, opset_imports=operators, ir_version=8))
    for chosen in (slice(None), slice(4, 5)):  # one text without a token is the smallest batch
        given = {"texts": np.array(texts[chosen], dtype=object).reshape(-1, 1)}
        assert np.allclose(session.run(None, given)[0], learnt[chosen], atol=1e-5)


def _session(model: onnx.ModelProto) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_messages_that_differ_in_numbers_are_on_one_side() -> None:
    copies = [f"Call 0800 {number} now! You have WON £{number}" for number in range(50)]
    assert len(set(spam.held_out(copies))) == 1
    letters = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(2_000)]
    assert 0.17 < spam.held_out(letters).mean() < 0.23


def test_sentences_of_a_document_are_on_one_side_and_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    for name in sentiment.FILES.values():
        (tmp_path / name).write_text("1_1\t2.5\tLovely.\n1_2\t0.5\tIt opens at nine.\n2_1\t-0.51\tRude.\n")
    found = sentiment.read(tmp_path)
    assert (found.targets.tolist(), found.origins[0]) == ([2, 1, 0] * 4, "tweets")
    assert len({*zip(found.documents, sentiment.held_out(found.documents), strict=True)}) == 8
    (tmp_path / "tweets_GroundTruth.txt").write_text("1\t2.5\tLovely.\n2\tLovely.\n")
    with pytest.raises(ValueError, match=r"tweets_GroundTruth.txt, line 2"):
        sentiment.read(tmp_path)


def test_a_line_that_is_no_message_is_named(tmp_path: Path) -> None:
    (tmp_path / spam.FILE).write_text("Label\tSMS\nham\thello\nspam\twin\nsapm\toops\n")
    with pytest.raises(ValueError, match=f"{spam.FILE}, line 4"):
        spam.read(tmp_path)


def test_figures_are_counted() -> None:
    scores = np.array([0.9, 0.6, 0.4, 0.1, 0.2], dtype=np.float32)
    figures = Figures.of(scores, np.array([1, 0, 1, 0, 0]))
    assert figures.confusion == ((2, 1), (1, 1))
    assert (figures.precision, figures.recall, figures.f1, figures.accuracy) == (0.5, 0.5, 0.5, 0.6)
    assert [each.texts for each in figures.reliability] == [1, 1, 1, 1, 1]
