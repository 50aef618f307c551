"""R6: long texts are judged in pieces."""

from deployments.kit.passages import MOST, PIECES, grouped, passages


def test_short_texts_share_a_piece_and_long_ones_are_cut_between_sentences() -> None:
    assert passages(["Ada", "hello there"]) == ["Ada\nhello there"]
    assert passages(["One two. Three four! Five"], most=12) == ["One two.", "Three four!", "Five"]
    assert passages(["", "  \n "]) == []


def test_a_sentence_without_end_is_cut_between_words_or_where_the_piece_is_full() -> None:
    assert passages(["one two three"], most=8) == ["one two", "three"]
    assert passages(["日本語日本語日本"], most=3) == ["日本語", "日本語", "日本"]


def test_the_pieces_are_bounded() -> None:
    pieces = passages(["word " * 10_000])
    assert len(pieces) == PIECES
    assert max(map(len, pieces)) <= MOST


def test_groups_are_found_again() -> None:
    members, places = grouped([["a", "b"], [], ["c"]])
    assert [members[place] for place in places] == [["a", "b"], [], ["c"]]
