"""A4: what texts are about: sorted out, grouped, named, quoted; the same whatever their order."""

import random

import numpy as np
import pytest

from deployments.inference.naming import language_of, names
from deployments.inference.quoting import LONGEST, spans
from deployments.inference.sifting import sift
from deployments.inference.topics import NO_TOPIC, find_topics


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("...!?", "empty"),
        ("n/a", "empty"),
        ("Keine.", "empty"),
        ("🙂", "empty"),
        ("asdfasdf", "nonsense"),
        ("qwertz", "nonsense"),
        ("hjkl hjkl", "nonsense"),
        ("aaaaaaa", "nonsense"),
        ("12345", "nonsense"),
        ("xcvbnm", "nonsense"),
        ("Good", "said"),
        ("Zu teuer!", "said"),
        ("很好", "said"),
        ("Über den Preis", "said"),
        ("ok", "said"),
        ("My order 12345 is late", "said"),
    ],
)
def test_what_says_nothing_is_told_from_what_says_something(text: str, what: str) -> None:
    sifted = sift([text])
    found = {"empty": sifted.empty, "nonsense": sifted.nonsense, "said": sifted.places}
    assert [name for name, places in found.items() if places] == [what]


def test_who_writes_the_same_is_one_text_with_several_places() -> None:
    sifted = sift(["Too slow", "n/a", "too  slow.", "Nice staff"])
    assert (sifted.texts, sifted.places, sifted.empty) == (("Nice staff", "Too slow"), ((3,), (0, 2)), (1,))
    assert sifted.said == 3


def _crowds(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, list[int]]:
    drawn = np.random.default_rng(seed)
    centres = np.eye(32, dtype=np.float32)[: len(sizes)]
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    vectors = centres[groups] + drawn.normal(0, 0.05, (len(groups), 32)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), groups


def test_crowds_are_found_and_the_largest_comes_first() -> None:
    vectors, groups = _crowds((10, 40, 25))
    topics = find_topics(vectors)
    assert topics.count == 3
    assert [int((topics.groups == topic).sum()) for topic in range(3)] == [40, 25, 10]
    assert len({(a, b) for a, b in zip(groups, topics.groups.tolist(), strict=True)}) == 3


def test_weights_decide_which_topic_is_the_largest() -> None:
    vectors, groups = _crowds((10, 40))
    topics = find_topics(vectors, np.array([100.0 if group == 0 else 1.0 for group in groups]))
    assert int((topics.groups == 0).sum()) == 10


def test_as_many_topics_as_are_asked_for() -> None:
    vectors, _ = _crowds((10, 10, 10, 10))
    assert find_topics(vectors, count=2).count == 2
    assert find_topics(vectors[:3], count=50).count == 3
    assert find_topics(vectors[:1], count=4).count == find_topics(vectors[:2]).count == 1


def test_what_has_nothing_in_common_with_the_others_has_no_topic() -> None:
    vectors, _ = _crowds((20, 20))
    stranger = np.zeros((1, 32), dtype=np.float32)
    stranger[0, 31] = 1.0
    topics = find_topics(np.concatenate([vectors, stranger]), count=2)
    assert topics.groups[-1] == NO_TOPIC


def test_names_are_what_tells_a_group_from_the_others() -> None:
    texts = [
        "The delivery was late",
        "late delivery again",
        "I hate late deliveries",
        "The soup was cold",
        "cold soup!",
    ]
    found = names(texts, [0, 0, 0, 1, 1], "en")
    assert set(" ".join(found[0]).split()) == {"late", "delivery"}
    assert set(" ".join(found[1]).split()) == {"cold", "soup"}


def test_little_words_of_the_language_name_nothing() -> None:
    texts = ["Die Lieferung war leider zu spät", "Das Essen war kalt", "die Lieferung kam nicht", "kaltes Essen"]
    found = names(texts, [0, 1, 0, 1], "de")
    assert found[0][0] == "lieferung"
    assert "essen" in found[1]
    assert names(texts, [0, 1, 0, 1]) == found, "the language is found out"


def test_a_phrase_that_one_person_used_names_no_group_of_several() -> None:
    assert "hunter" not in " ".join(names(["cold soup", "cold soup hunter2", "soup cold"], [0, 0, 0], "en")[0])


@pytest.mark.parametrize(("text", "language"), [("What is your name?", "en"), ("Wie ist Ihr Name?", "de"), ("", None)])
def test_the_language_of_a_text_is_told_by_its_little_words(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("seed", range(30))
def test_every_piece_is_short_and_stands_in_its_text(seed: int) -> None:
    drawn = random.Random(seed)
    text = "".join(drawn.choice("ab .!?\n é漢😀") * drawn.choice((1, 1, 1, 40)) for _ in range(200))
    for span in spans(text):
        piece = span.of(text)
        assert piece in text
        assert piece == piece.strip()
        assert len(piece) <= LONGEST
