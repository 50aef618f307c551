"""R5: whatever a file is called, what is kept is a plain name."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.files.names import ending_of, kept_name


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("a\0b\r\nc")
@example("x" * 300 + ".pdf")
@example("....")
@example("nul")
@example(" . ")
def test_any_name_becomes_a_plain_one(name: str) -> None:
    kept = kept_name(name)
    assert 0 < len(kept) <= 160
    assert not set(kept) & set('/\\<>:"|?*')
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in kept)
    assert not kept.startswith(".")
    assert kept == kept.strip()


@pytest.mark.parametrize(("name", "ending"), [("a.PDF", "pdf"), ("a.tar.gz", "gz"), ("a", ""), ("a.", "")])
def test_the_ending_is_the_last_one(name: str, ending: str) -> None:
    assert ending_of(name) == ending
