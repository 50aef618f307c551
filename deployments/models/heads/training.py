"""From examples and descriptions of labels to a head's file, with what it is worth.

Pure: the same lesson gives the same head. How examples are learned, see `space`, `kernel` and `wording`; how sure the
head is, when it abstains, and whether `unlabelled` texts help, is chosen from answers to examples that were left out.
"""

from collections import Counter
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deployments.kit.vectors import Vectors
from deployments.models.contracts import HeadReport, LabelReport, Learned, Lesson, UnlabelledReport
from deployments.models.heads import evaluation, unlabelled, wording
from deployments.models.heads.familiarity import TRUST, Familiarity
from deployments.models.heads.head import SCORES, TEXTS, VECTORS, HeadCard
from deployments.models.heads.kernel import WIDTH, KernelPart
from deployments.models.heads.space import Numbers, Places
from deployments.models.heads.wording import COUNTS, Vocabulary, model_of

_FOLDS: Final = 5
_FEWER_FOLDS_FROM: Final = 3_000
_FEWER_FOLDS: Final = 3
_LEAST_JUDGED: Final = 10
# Where too few examples could be judged: a guess, which errs on the side of doubt.
_USUAL_SHARPNESS: Final = 12.0
_UNMEASURED_MARGIN: Final = 0.125
_MEASURED_MARGIN: Final = 0.075
_SHARES_OF_WORDING: Final = (0.0, 0.15, 0.3, 0.5)
_TEXTS_FOR_WORDING: Final = 50
_HARDLY_MORE: Final = 1.05


def learn(
    lesson: Lesson, vectors: Vectors, described: Vectors, encoder: str, further: Vectors | None = None
) -> Learned:
    """A head of `encoder`'s vectors: of the lesson's texts, and of a description of each label. `further` are vectors
    of texts without labels, of which the head learns if its examples are told apart no worse so.

    Raises ValueError for a lesson without labels, and for vectors that do not fit it.
    """
    labels = len(lesson.labels)
    if not labels or len(described) != labels or not len(vectors) == len(lesson.texts) == len(lesson.places):
        raise ValueError("a lesson has labels, a vector for each, and one for each of its texts")
    places = np.array(lesson.places, dtype=np.int64)
    vocabulary = Vocabulary.of(lesson.texts) if len(lesson.texts) >= _TEXTS_FOR_WORDING else None
    features = vocabulary.features(lesson.texts) if vocabulary else None
    counts = [Counter(lesson.places)[place] for place in range(labels)]
    others = unlabelled.others(further, vectors) if further is not None and unlabelled.may_help(places) else None
    trial, guessing = _trials(vectors, places, described, features, others)
    is_helped = trial is not None and guessing is not None and guessing.is_better_than(trial)
    brought = _brought(further, trial, guessing)
    trial = guessing if is_helped else trial
    familiarity = None
    if trial is None:
        share, sharpness = 0.0, _USUAL_SHARPNESS
        threshold = evaluation.floor(sharpness, labels, _UNMEASURED_MARGIN)
        each = tuple(LabelReport(label=name, examples=count) for name, count in zip(lesson.labels, counts, strict=True))
        told = HeadReport(examples=len(places), labels=each)
    else:
        share, sharpness = trial.share, trial.sharpness
        familiarity, trust = Familiarity.of(vectors, described)
        chances = evaluation.probabilities(trial.scores * trust[trial.judged, None], sharpness)
        least = evaluation.floor(sharpness, labels, _MEASURED_MARGIN)
        threshold = evaluation.fit_threshold(chances, trial.truth, lesson.precision, least)
        told = evaluation.report(lesson.labels, counts, chances, trial.truth, threshold, trial.folds)
    kernel = KernelPart.fit(vectors, places, described)
    if is_helped and others is not None:
        kernel = unlabelled.continued(kernel, vectors, places, described, others)
    words = wording.fit(features, places, labels) * np.float32(share) if share else None
    graph = _graph(kernel, vocabulary if words is not None else None, words, sharpness, familiarity)
    card = HeadCard(
        name=lesson.name, version=lesson.version, labels=lesson.labels, encoder=encoder, threshold=threshold
    )
    told = told.model_copy(update={"unlabelled": brought})
    return Learned(file=card.written_into(graph), threshold=threshold, report=told)


def _brought(further: Vectors | None, without: "_Trial | None", guessing: "_Trial | None") -> UnlabelledReport | None:
    if further is None or not len(further):
        return None
    if without is None or guessing is None:
        return UnlabelledReport(looked_at=len(further))
    return UnlabelledReport(
        looked_at=len(further),
        used=guessing.is_better_than(without),
        before=round(without.accuracy, 4),
        after=round(guessing.accuracy, 4),
    )


class _Trial:
    """Scores of the `judged` examples by heads that did not see them, and what follows from these."""

    def __init__(self, near: Numbers, worded: Numbers | None, judged: Places, truth: Places, folds: int) -> None:
        self.judged, self.truth, self.folds = judged, truth, folds
        tries = []
        for share in _SHARES_OF_WORDING if worded is not None else (0.0,):
            scores = near if worded is None else near + np.float32(share) * worded
            sharpness = evaluation.fit_sharpness(scores, truth)
            loss = evaluation.log_loss(evaluation.probabilities(scores, sharpness), truth)
            tries.append((loss, share, sharpness, scores))
        self.loss, self.share, self.sharpness, self.scores = min(tries, key=lambda each: each[0])
        self.accuracy = float((self.scores.argmax(axis=1) == truth).mean())

    def is_better_than(self, other: "_Trial") -> bool:
        """It is right as often at least, and hardly surprises more: one of the two alone is often luck."""
        return self.accuracy >= other.accuracy and self.loss < other.loss * _HARDLY_MORE


def _trials(
    vectors: Vectors, places: Places, described: Vectors, features: Any, others: Vectors | None
) -> tuple[_Trial | None, _Trial | None]:
    """Without and with `others`, which have no labels. None when there are too few examples to leave any out, or no
    others. Labels with one example are learned and not judged."""
    labels = len(described)
    counts = Counter(places.tolist())
    often = np.array([counts[place] > 1 for place in places.tolist()], dtype=bool)
    judged = np.flatnonzero(often)
    if labels < 2 or len(judged) < _LEAST_JUDGED:
        return None, None
    folds = _FEWER_FOLDS if len(judged) >= _FEWER_FOLDS_FROM else _FOLDS
    folds = max(2, min(folds, min(counts[place] for place in set(places[judged].tolist()))))
    always = np.flatnonzero(~often)
    near = np.zeros((len(judged), labels), dtype=np.float32)
    guessed = None if others is None or not len(others) else np.zeros_like(near)
    worded = None if features is None else np.zeros_like(near)
    turns = _turns(places[judged], folds)
    for turn in range(folds):
        seen, unseen = np.flatnonzero(turns != turn), np.flatnonzero(turns == turn)
        taught, asked = np.concatenate([judged[seen], always]), judged[unseen]
        kernel = KernelPart.fit(vectors[taught], places[taught], described)
        near[unseen] = kernel.scores(vectors[asked])
        if guessed is not None and others is not None:
            kernel = unlabelled.continued(kernel, vectors[taught], places[taught], described, others)
            guessed[unseen] = kernel.scores(vectors[asked])
        if worded is not None:
            worded[unseen] = features[asked] @ wording.fit(features[taught], places[taught], labels)
    truth = places[judged]
    without = _Trial(near, worded, judged, truth, folds)
    return without, None if guessed is None else _Trial(guessed, worded, judged, truth, folds)


def _turns(places: Places, folds: int) -> Places:
    """In which fold each example is left out: those of a label are spread over all, at random."""
    turns = np.empty(len(places), dtype=np.int64)
    random, began = np.random.default_rng(0), 0
    for place in np.unique(places):
        mine = random.permutation(np.flatnonzero(places == place))
        # Each label goes on where the one before ended, so that folds are of one size.
        turns[mine] = (began + np.arange(len(mine))) % folds
        began += len(mine)
    return turns


def _graph(
    kernel: KernelPart,
    vocabulary: Vocabulary | None,
    words: Numbers | None,
    sharpness: float,
    familiarity: Familiarity | None,
) -> onnx.ModelProto:
    constants = {
        "centre": kernel.space.centre,
        "axes": kernel.space.axes,
        "support": np.ascontiguousarray(kernel.support.T),
        "weights": kernel.weights * np.float32(sharpness),
        "tiny": np.float32(1e-6),
        "one": np.float32(1),
        "twice_width": np.float32(2 * WIDTH),
    }
    nodes = [
        helper.make_node("Sub", [VECTORS, "centre"], ["centred"]),
        helper.make_node("MatMul", ["centred", "axes"], ["turned"]),
        *_at_unit_length("turned", "placed"),
        helper.make_node("MatMul", ["placed", "support"], ["cosines"]),
        helper.make_node("Sub", ["cosines", "one"], ["apart"]),
        helper.make_node("Mul", ["apart", "twice_width"], ["exponents"]),
        helper.make_node("Exp", ["exponents"], ["similar"]),
        helper.make_node("MatMul", ["similar", "weights"], ["near"]),
    ]
    inputs = [helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, ["texts", len(kernel.space.centre)])]
    if vocabulary is not None and words is not None:
        inputs.append(helper.make_tensor_value_info(TEXTS, TensorProto.STRING, ["texts", 1]))
        constants |= {"rarity": vocabulary.weights, "word_weights": words * np.float32(sharpness)}
        nodes += [
            *vocabulary.nodes(),
            helper.make_node("Max", [COUNTS, "one"], ["counted"]),
            helper.make_node("Log", ["counted"], ["damped"]),
            helper.make_node("Sign", [COUNTS], ["present"]),
            helper.make_node("Add", ["damped", "present"], ["frequency"]),
            helper.make_node("Mul", ["frequency", "rarity"], ["rated"]),
            *_at_unit_length("rated", "features"),
            helper.make_node("MatMul", ["features", "word_weights"], ["worded"]),
            helper.make_node("Add", ["near", "worded"], ["together"]),
        ]
    if familiarity is not None:
        constants |= familiarity.constants()
        heights = nodes[-1].output[0]
        nodes += [*familiarity.nodes(), helper.make_node("Mul", [heights, TRUST], ["trusted"])]
    nodes.append(helper.make_node("Softmax", [nodes[-1].output[0]], [SCORES], axis=1))
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    output = helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["texts", kernel.weights.shape[1]])
    return model_of(helper.make_graph(nodes, "head", inputs, [output], initializers))


def _at_unit_length(name: str, result: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("ReduceL2", [name], [f"{name}_length"], axes=[1], keepdims=1),
        helper.make_node("Max", [f"{name}_length", "tiny"], [f"{name}_divisor"]),
        helper.make_node("Div", [name, f"{name}_divisor"], [result]),
    ]
