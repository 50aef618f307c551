"""A2: what is learned from examples and descriptions, what that is worth, and that it is served as it was learned."""

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from threadpoolctl import threadpool_limits

from deployments.kit.vectors import Vectors, small, stretched
from deployments.models.contracts import Learned, Lesson
from deployments.models.encoder import Encoder
from deployments.models.heads import evaluation
from deployments.models.heads.cutting import cut
from deployments.models.heads.familiarity import MOST, UNUSUAL, Familiarity
from deployments.models.heads.head import Head
from deployments.models.heads.judging import judged
from deployments.models.heads.kernel import KernelPart
from deployments.models.heads.space import AT_ONCE, Space
from deployments.models.heads.training import learn
from deployments.models.heads.unlabelled import LANDMARKS, LEAST_EXAMPLES, continued, others
from deployments.models.heads.wording import Vocabulary
from deployments.models.registry import Registry
from tests.architecture.rooms import ROOT

ENCODER = "an-encoder@1-int8"


@cache
def _encoder(folder: Path) -> Encoder:
    return Encoder(Registry(folder))


@pytest.fixture(scope="module")
def encoder(models_folder: Path) -> Encoder:
    return _encoder(models_folder)


def read() -> list[tuple[str, str]]:
    """30 messages of each of 4 intents of Banking77 (PolyAI, CC BY 4.0)."""
    with (ROOT / "tests" / "fixtures" / "banking77_part.csv").open(newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def clouds(each: int, labels: int = 3, spread: float = 0.35, seed: int = 0) -> tuple[Vectors, list[int], Vectors]:
    """Vectors around a centre for each label, and the centres."""
    random = np.random.default_rng(seed)
    centres = np.eye(labels, 12, dtype=np.float32)
    places = [place for place in range(labels) for _ in range(each)]
    vectors = centres[places] + random.normal(scale=spread, size=(len(places), 12)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), places, centres


def lesson(places: list[int], labels: int = 3, texts: list[str] | None = None, precision: float = 0.9) -> Lesson:
    return Lesson(
        name="lesson",
        version="1",
        labels=tuple(f"label {number}" for number in range(labels)),
        texts=tuple(texts or (f"text {number}" for number in range(len(places)))),
        places=tuple(places),
        precision=precision,
    )


def of_clouds(each: int, **options: float) -> tuple[Learned, Vectors]:
    vectors, places, centres = clouds(each)
    return learn(lesson(places, **options), vectors, centres, ENCODER), centres  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def learned(encoder: Encoder) -> Learned:
    texts = [row for number, row in enumerate(read()) if number % 3]
    names = sorted({label for _, label in texts})
    told = Lesson(
        name="bank",
        version="7",
        labels=tuple(names),
        texts=tuple(text for text, _ in texts),
        places=tuple(names.index(label) for _, label in texts),
    )
    described = encoder.embed([name.replace("_", " ") for name in names])
    return learn(told, encoder.embed(told.texts), described, encoder.model)


class TestRealText:
    def test_what_was_left_out_is_told_apart(self, learned: Learned, encoder: Encoder) -> None:
        """The answers come from the file, by ONNX Runtime, as they are served."""
        asked = [row for number, row in enumerate(read()) if number % 3 == 0]
        texts = [text for text, _ in asked]
        found = judged(Head(learned.file), texts, encoder.embed(texts), encoder.model)
        right = [
            found.labels[max(range(4), key=scores.__getitem__)] == label
            for scores, (_, label) in zip(found.scores, asked, strict=True)
        ]
        assert sum(right) / len(right) > 0.85
        assert found.model == "bank@7"
        assert all(abs(sum(scores) - 1) < 1e-5 for scores in found.scores)

    def test_the_report_says_what_it_is_worth(self, learned: Learned) -> None:
        report = learned.report
        assert (report.examples, report.folds) == (80, 5)
        assert report.accuracy is not None
        assert 0.9 < report.accuracy <= 1.0
        assert report.macro_f1 == pytest.approx(report.accuracy, abs=0.05)
        assert next((each.label, each.examples) for each in report.labels) == ("card_arrival", 20)
        assert sum(each.count for each in report.reliability) == 80
        assert sum(each.count for each in report.confusion) == round(80 * (1 - report.accuracy))

    def test_it_abstains_from_what_is_about_something_else(self, learned: Learned, encoder: Encoder) -> None:
        texts = ["The weather in Lisbon is lovely", "asdf qwer", "Mozart wrote forty-one symphonies"]
        found = judged(Head(learned.file), texts, encoder.embed(texts), encoder.model)
        known = judged(Head(learned.file), ["Where is my card?"], encoder.embed(["Where is my card?"]), encoder.model)
        assert max(max(scores) for scores in found.scores) < learned.threshold <= max(known.scores[0])
        # What is likely is told of nothing it has not seen, and the order of the labels stays.
        assert max(max(scores) for scores in found.scores) < 0.35


class TestFamiliarity:
    def test_only_an_unusual_share_of_what_was_not_seen_is_not_familiar(self, encoder: Encoder) -> None:
        """The floor is what the examples say of each other, each as if it had not been seen itself."""
        vectors = encoder.embed([text for text, _ in read()])
        described = encoder.embed(sorted({label.replace("_", " ") for _, label in read()}))
        fitted, trust = Familiarity.of(vectors[::2], described)
        assert 0 < (trust < 1).mean() < 2 * UNUSUAL
        directions = small(np.vstack([vectors[::2], described])).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        assert (trust == 1).tolist() == [
            max(np.delete(directions @ vector, number)) >= fitted.least for number, vector in enumerate(vectors[::2])
        ]
        assert ((vectors[1::2] @ directions.T).max(axis=1) < fitted.least).mean() < 4 * UNUSUAL

    def test_examples_that_are_alike_ask_for_no_more_than_others(self) -> None:
        vectors, _, centres = clouds(20, spread=0.001)
        assert Familiarity.of(vectors, centres)[0].least == MOST

    def test_what_points_elsewhere_has_no_label(self) -> None:
        vectors, places, centres = clouds(30, spread=0.15)
        learned = learn(lesson(places), vectors, centres, ENCODER)
        scores = Head(learned.file).score(["a"] * 6, np.vstack([centres, -centres]))
        assert scores[:3].argmax(axis=1).tolist() == [0, 1, 2]
        assert (scores[:3].max(axis=1) >= learned.threshold).all()
        assert (scores[3:].max(axis=1) < learned.threshold).all()
        assert scores[3:].max() < 0.4


class TestSpace:
    @pytest.mark.parametrize("each", [5, AT_ONCE // 2])
    def test_examples_of_a_label_come_closer_to_each_other_than_to_the_rest(self, each: int) -> None:
        """0049: the space that is learned tells apart better than the whitened one, and not only what was seen."""
        vectors, places, _ = clouds(each, spread=0.6)
        unseen, truth, _ = clouds(60, spread=0.6, seed=1)
        whitened = Space.of(vectors, np.array(places))
        contrasted = whitened.contrasted(vectors - whitened.centre, np.array(places))
        assert _gap(contrasted, unseen, truth) > _gap(whitened, unseen, truth)

    def test_where_no_label_has_two_examples_nothing_is_learned(self) -> None:
        vectors, places, _ = clouds(1)
        whitened = Space.of(vectors, np.array(places))
        contrasted = whitened.contrasted(vectors - whitened.centre, np.array(places))
        np.testing.assert_array_equal(contrasted.axes, whitened.axes)


class TestLearning:
    def test_the_same_lesson_gives_the_same_file(self) -> None:
        assert of_clouds(20)[0].file == of_clouds(20)[0].file

    def test_the_file_says_what_the_program_says(self) -> None:
        """Export = what was learned: the graph against the numbers in this process, with words and vectors."""
        vectors, places, centres = clouds(40)
        texts = [
            ("red apple ", "green pear ", "blue plum ")[place] + "Ü" * (number % 5)
            for number, place in enumerate(places)
        ]
        learned = learn(lesson(places, texts=texts), vectors, centres, ENCODER)
        head = Head(learned.file)
        served = head.score(texts, vectors)
        assert head.card.threshold == pytest.approx(learned.threshold)
        near = KernelPart.fit(vectors, np.array(places), centres).scores(vectors)
        assert (served.argmax(axis=1) == near.argmax(axis=1)).mean() > 0.95
        alone = learn(lesson(places), vectors, centres, ENCODER)
        expected = evaluation.probabilities(near, _sharpness(Head(alone.file).score(texts, vectors), near))
        np.testing.assert_allclose(Head(alone.file).score(texts, vectors), expected, atol=1e-4)

    @pytest.mark.parametrize("each", [0, 1, 2])
    def test_few_examples_or_none_will_do(self, each: int) -> None:
        """Zero-shot and few-shot: descriptions speak where examples do not; nothing is claimed to be measured."""
        learned, centres = of_clouds(each)
        assert Head(learned.file).score(["a"] * 3, centres).argmax(axis=1).tolist() == [0, 1, 2]
        assert (learned.report.folds, learned.report.accuracy) == (0, None)
        assert 0.6 < learned.threshold < 0.8

    def test_a_label_with_one_example_is_learned_and_not_judged(self) -> None:
        vectors, places, centres = clouds(12)
        keep = [number for number, place in enumerate(places) if place < 2] + [places.index(2)]
        learned = learn(lesson([places[n] for n in keep]), vectors[keep], centres, ENCODER)
        assert [each.recall is None for each in learned.report.labels] == [False, False, True]
        assert Head(learned.file).score(["a"], centres[2:]).argmax() == 2

    def test_who_wants_to_be_right_more_often_is_answered_less_often(self) -> None:
        vectors, places, centres = clouds(60, spread=0.6)
        some, most = (learn(lesson(places, precision=p), vectors, centres, ENCODER) for p in (0.8, 0.97))
        assert most.threshold > some.threshold
        assert most.report.answered is not None
        assert some.report.answered is not None
        assert most.report.answered < some.report.answered
        assert (most.report.right_when_answered or 0) >= 0.97

    def test_vectors_must_fit(self) -> None:
        vectors, places, centres = clouds(2)
        with pytest.raises(ValueError, match="lesson"):
            learn(lesson(places), vectors[:3], centres, ENCODER)


class TestWithoutLabels:
    """0054: texts whose labels nobody knows are learned where the examples are told apart no worse with them."""

    @pytest.fixture(autouse=True)
    def one_thread(self) -> Iterator[None]:
        """As it is learned in production, and no slower while others use the processors."""
        with threadpool_limits(1):
            yield

    def test_they_help_and_the_report_says_so(self) -> None:
        (vectors, told, centres), further = _lesson(0.3), _further(0.3)
        helped, without = _helped(), learn(told, vectors, centres, ENCODER)
        asked, truth, _ = clouds(150, 10, 0.3, seed=3)
        right = [
            (Head(each.file).score([""] * len(asked), asked).argmax(axis=1) == truth).mean()
            for each in (without, helped)
        ]
        assert right[1] > right[0] + 0.03
        report = helped.report.unlabelled
        assert report is not None
        assert (report.looked_at, report.used, report.before) == (1_500, True, without.report.accuracy)
        assert report.after == helped.report.accuracy
        assert without.report.unlabelled is None
        assert helped.file == learn(told, vectors, centres, ENCODER, further).file

    def test_none_of_them_is_in_the_file(self) -> None:
        """So a version need not go with a response of which it has no example."""
        further, helped = _further(0.3), _helped()
        support = _constant(helped, "support")
        assert support.shape[1] == 60 + 10 + LANDMARKS
        places = Space(_constant(helped, "centre"), _constant(helped, "axes")).place(further)
        assert (places @ support).max() < 0.999
        assert _constant(helped, "seen").shape[1] == 60 + 10

    def test_with_few_examples_they_are_not_asked(self) -> None:
        vectors, places, centres = clouds(LEAST_EXAMPLES // 3 - 1)
        further, _, _ = clouds(100, seed=2)
        learned = learn(lesson(places), vectors, centres, ENCODER, further)
        assert learned.file == learn(lesson(places), vectors, centres, ENCODER).file
        told = learned.report.unlabelled
        assert told is not None
        assert (told.looked_at, told.used, told.before) == (300, False, None)

    def test_where_examples_are_told_apart_worse_with_them_they_are_not_used(self) -> None:
        vectors, told, centres = _lesson(0.45, each=8, labels=8)
        further, _, _ = clouds(60, 8, 0.45, seed=2)
        learned = learn(told, vectors, centres, ENCODER, further)
        report = learned.report.unlabelled
        assert report is not None
        assert (report.before or 0) > (report.after or 0)
        assert not report.used
        assert learned.file == learn(told, vectors, centres, ENCODER).file

    def test_what_is_about_something_else_is_left_out(self) -> None:
        """Texts that are near to no example teach nothing, however many they are."""
        vectors, places, centres = clouds(6, 10, 0.3)
        first = KernelPart.fit(vectors, np.array(places), centres)
        near, _, _ = clouds(20, 10, 0.3, seed=2)
        far = np.zeros((500, 12), dtype=np.float32)
        far[:, 11] = -1
        assert continued(first, vectors, np.array(places), centres, far) is first
        one = continued(first, vectors, np.array(places), centres, near)
        both = continued(first, vectors, np.array(places), centres, np.vstack([near, far]))
        np.testing.assert_array_equal(one.weights, both.weights)

    def test_an_example_is_not_one_of_them_under_another_name(self) -> None:
        """Else what is left out to be judged would have been seen."""
        vectors, _, _ = clouds(20, spread=0.6)
        stored = stretched(small(np.vstack([vectors[:30], clouds(5, spread=0.6, seed=4)[0]])))
        assert len(others(stored, vectors)) == 15


class TestWords:
    def test_what_few_people_wrote_is_not_kept(self) -> None:
        """The file of a head holds no word that only one or two texts have."""
        vocabulary = Vocabulary.of(["my card", "the card", "a card", "secretive"])
        assert vocabulary is not None
        assert {"card", "ca"} <= set(vocabulary.runs)
        assert not [run for run in vocabulary.runs if "sec" in run]
        assert Vocabulary.of(["ab", "cd", "ef"]) is None

    @pytest.mark.parametrize("text", ["", "\n\tCARD\n", "card\u0000", "Ünï🎉cødé card", "c" * 100_000])
    def test_any_text_is_counted(self, text: str) -> None:
        vocabulary = Vocabulary.of(["my card", "the card", "a card"])
        assert vocabulary is not None
        row = vocabulary.features([text, "card"])
        assert row.shape == (2, len(vocabulary.runs))
        assert (row[0].nnz > 0) == ("card" in text.lower())

    def test_long_texts_are_cut_and_do_not_wait_in_one_batch(self) -> None:
        batches = list(cut(["x" * 20_000] * 256))
        assert sum(len(batch) for batch in batches) == 256
        assert max(len(batch) for batch in batches) == 100
        assert len(batches[0][0]) == 2_000


class TestEvaluation:
    def test_calibration_is_told_by_how_sure_answers_were(self) -> None:
        chances = np.array([[0.95, 0.05]] * 10 + [[0.65, 0.35]] * 10, dtype=np.float32)
        truth = np.array([0] * 9 + [1] + [0] * 3 + [1] * 7)
        bins = evaluation.calibration(chances, truth)
        assert [(each.low, each.count, each.accuracy) for each in bins] == [(0.6, 10, 0.3), (0.9, 10, 0.9)]
        assert evaluation.calibration_error(bins) == pytest.approx((0.35 + 0.05) / 2, abs=1e-3)

    def test_the_threshold_is_the_least_that_is_right_often_enough(self) -> None:
        chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.65, 0.35]], dtype=np.float32)
        truth = np.array([0, 0, 1, 1])
        assert evaluation.fit_threshold(chances, truth, 0.6, 0.5) == pytest.approx(0.7)
        assert evaluation.fit_threshold(chances, truth, 0.99, 0.5) == pytest.approx(0.8)
        assert evaluation.fit_threshold(chances, np.zeros(4, dtype=np.int64), 0.9, 0.5) == pytest.approx(0.5)
        assert evaluation.fit_threshold(chances, np.ones(4, dtype=np.int64), 0.9, 0.5) == pytest.approx(0.9)


def _lesson(spread: float, each: int = 6, labels: int = 10) -> tuple[Vectors, Lesson, Vectors]:
    vectors, places, centres = clouds(each, labels, spread)
    return vectors, lesson(places, labels), centres


def _further(spread: float) -> Vectors:
    return clouds(150, 10, spread, seed=2)[0]


@cache
def _helped() -> Learned:
    vectors, told, centres = _lesson(0.3)
    return learn(told, vectors, centres, ENCODER, _further(0.3))


def _constant(learned: Learned, name: str) -> Vectors:
    """A constant of a head's graph."""
    graph = onnx.load_from_string(learned.file).graph
    return np.asarray(next(numpy_helper.to_array(each) for each in graph.initializer if each.name == name))


def _gap(space: Space, vectors: Vectors, places: list[int]) -> float:
    """How much nearer vectors of one label are than those of different labels, by the mean cosine."""
    cosines = space.place(vectors) @ space.place(vectors).T
    same = np.array(places)[:, None] == places
    return float(cosines[same].mean() - cosines[~same].mean())


def _sharpness(served: Vectors, near: Vectors) -> float:
    """By how much the scores were multiplied: the same for each text and label."""
    logarithms = np.log(served)
    return float((logarithms[0, 0] - logarithms[0, 1]) / (near[0, 0] - near[0, 1]))
