"""A2: the heads that come with the package are what their records say, and say what they are for."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deployments.kit.enrichment import BuiltInHead
from deployments.models.contracts import HeadRef, Judgements
from deployments.models.deployment import Models
from deployments.models.errors import ModelMissing
from deployments.models.heads.builtin import FOLDER, NAMES, builtin
from deployments.models.heads.recipes import calibration, sentiment, spam, toxicity
from deployments.models.heads.recipes.ngrams import CHARACTERS, OPERATORS, WORDS, Ngrams
from deployments.models.heads.recipes.record import RECORD, Figures, Record
from deployments.models.registry import sha256_of
from deployments.models.settings import ModelsSettings

SPAM = (
    "URGENT! You have won a £1000 prize GUARANTEED. Call 09061701461 now, claim code KL341. Valid 12 hours only.",
    "Buy followers now!! 50% off, visit www.cheap-followers.example and text WIN to 87121",
)
HAM = ("I'll be home at six, do you want me to buy bread?", "The corn was great, thank you for the invitation.")
RUDE = (
    "You are a stupid idiot.",
    "Shut up, you worthless fool!",
    "I hate you, you pathetic loser.",
    "You people are disgusting liars, go to hell.",
)
POLITE = (
    "The service was terrible and the room was dirty.",
    "I am very disappointed: nobody has answered any of my five letters.",
    "This is the worst hotel that I have ever stayed at, and I want my money back.",
    "The waiter was rude to my mother.",
    "I am a gay man and I felt welcome.",
    "It opens at nine.",
)


@pytest.fixture(scope="module")
def models(models_folder: Path) -> Models:
    return Models(ModelsSettings(folder=models_folder))


async def said(models: Models, name: str, *texts: str) -> tuple[Judgements, list[str]]:
    found = await models.classify(HeadRef(name=name), texts)
    return found, [found.labels[int(np.argmax(row))] for row in found.scores]


@pytest.mark.parametrize(
    ("recipe", "least"),
    [(spam, 0.97), (sentiment, 0.4), (toxicity, 0.85)],
    ids=["spam", "sentiment", "toxicity"],
)
def test_a_head_is_the_one_that_its_recipe_made_and_its_card_tells_how_good_it_is(recipe: Any, least: float) -> None:
    """When this fails, the recipe has changed: run it, see its docstring, and write its figures into the card."""
    folder = FOLDER / recipe.NAME
    record = Record.model_validate_json((folder / RECORD).read_bytes())
    assert record.head == sha256_of(folder / f"{recipe.NAME}.onnx")
    assert record.recipe == {path.name: sha256_of(path) for path in recipe.SOURCES}
    card = (folder / "card.md").read_text()
    assert all(each.f1 > least and f"{each.f1:.4f}" in card for each in record.held_out.values())


def test_forms_and_requests_may_ask_for_each_of_them() -> None:
    assert sorted(get_args(BuiltInHead)) == sorted(NAMES)


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


async def test_insults_are_told_from_complaints(models: Models) -> None:
    found, labels = await said(models, "toxicity", *RUDE, *POLITE)
    assert labels == ["toxic"] * len(RUDE) + ["civil"] * len(POLITE)
    assert min(max(row) for row in found.scores) >= found.threshold > 0.5
    assert (found.model, found.labels) == ("toxicity@1", ("civil", "toxic"))
    other, _ = await said(models, "toxicity", "Das Essen war leider kalt und die Bedienung unfreundlich.")
    assert max(other.scores[0]) < other.threshold
    assert np.allclose(np.sum([*found.scores, *other.scores], axis=1), 1)


async def test_a_head_that_is_none_is_named(models: Models) -> None:
    with pytest.raises(ModelMissing, match=r"no built-in head 'astrology'; there are language, .*, toxicity"):
        await models.classify(HeadRef(name="astrology"), ["x"])


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


class TestMarkedTexts:
    """What the head `toxicity` is learnt from, and what it is only measured on."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in sentiment.FILES.values():
            (tmp_path / name).write_text("1_1\t2.5\tLovely.\n1_2\t0.5\tIt opens at nine.\n")
        words = [f"fool {chr(97 + first)}{chr(97 + second)}" for first in range(26) for second in range(20)]
        rows = [f'{number},3,0,3,0,{number % 3},"!!! RT @somebody: {word}"\n' for number, word in enumerate(words)]
        header = ",count,hate_speech,offensive_language,neither,class,tweet\n"
        (tmp_path / "labeled_data.csv").write_text(header + "".join(rows))
        comments = [f"good {word},{'Not ' * (number % 2)}Toxic\n" for number, word in enumerate(words)]
        (tmp_path / "toxicity_en.csv").write_text("text,is_toxic\n" + "".join(comments))
        (tmp_path / spam.FILE).write_text("ham\thello there\nspam\tWIN a prize\n" * 20)
        return tmp_path

    def test_are_read_with_what_they_are_and_part_of_them_set_apart(self, folder: Path) -> None:
        texts = toxicity.read(folder)
        assert texts.texts[0] == "fool aa"
        assert texts.origins[:3].tolist() == ["hate", "offensive", "neither"]
        assert texts.targets[:3].tolist() == [1, 1, 0]
        assert texts.targets[520:522].tolist() == [1, 0]
        assert not texts.targets[1040:].any()
        assert "WIN a prize" not in texts.texts
        assert "My best friend is deaf." in texts.texts
        assert 0.15 < texts.apart[:520].mean() < 0.25
        assert 0.45 < texts.apart[520:1040].mean() < 0.55
        learnt = toxicity.seen(texts)
        assert not learnt.apart.any()
        assert len(learnt.texts) == (~texts.apart).sum()

    def test_of_large_kinds_only_a_part_is_learnt_from(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(toxicity, "_MOST", {"offensive": 30, "sentences": 3, toxicity.MESSAGES: 0})
        origins = toxicity.seen(toxicity.read(folder)).origins
        assert (origins == "offensive").sum() == 30
        assert np.isin(origins, list(sentiment.FILES)).sum() == 3
        assert (origins == toxicity.MESSAGES).sum() == 0

    @pytest.mark.parametrize(("name", "row"), [("labeled_data.csv", "0,3,0,3,0,3,x"), ("toxicity_en.csv", "x,Rude")])
    def test_a_row_that_is_none_is_named(self, folder: Path, name: str, row: str) -> None:
        with (folder / name).open("a") as file:
            file.write(f"{row}\n")
        with pytest.raises(ValueError, match=f"{name}, row 521"):
            toxicity.read(folder)

    def test_tweets_name_nobody(self) -> None:
        said = "&#8220;@Some_body: see https://t.co/abc, RT @other write to me@example.com &amp;amp; win!&#8221;"
        assert toxicity.plain(said) == "see write to me@example.com & win!”"


def test_margins_are_those_of_machines_that_have_not_seen_the_text() -> None:
    """Nor a copy of it: what is learnt by heart is worth nothing there."""
    texts = [f"{word} {number}" for word in ("alpha", "beta", "gamma", "delta", "omega") for number in range(4)]
    targets = np.array([0, 1, 0, 1, 0]).repeat(4)
    vectors = np.zeros((len(texts), 384), dtype=np.float32)
    margins = calibration.unseen(lambda: (Ngrams(WORDS, (1, 1), least=1),), 10.0, texts, targets, vectors)
    assert ((margins > 0) == targets).mean() < 1
    slope, offset = calibration.platt(np.array([-2.0, -1.0, 1.0, 2.0, -1.0, 1.0]), np.array([0, 0, 1, 1, 1, 0]))
    assert slope > 0
    assert offset == pytest.approx(0, abs=1e-3)


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
