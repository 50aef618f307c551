"""From bytes to text: nothing that a program on a desk writes is refused or spoilt."""

import codecs
import io
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.imports.decoding import MAX_LINES, decode
from deployments.imports.errors import FileUnreadable
from tests.deployments.imports.reading import decoded

FRENCH = (
    "Respondent ID,Avez-vous aimé le café ?\r\n1,J’ai adoré — très bon…\r\n2,Ça va, l'œuf à 3 € était « parfait »\r\n"
)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + zlib.compress(bytes(range(256)) * 40)


def text_of(folder: Path, content: bytes) -> tuple[str, str, int, tuple[int, ...]]:
    path, decoding = decoded(folder, content)
    return path.read_bytes().decode(), decoding.encoding, decoding.replaced, decoding.lines


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1252"])
    def test_reads_what_desktop_programs_write(self, encoding: str, tmp_path: Path) -> None:
        assert text_of(tmp_path, FRENCH.encode(encoding)) == (FRENCH, encoding, 0, ())

    @pytest.mark.parametrize(
        ("encoding", "mark"),
        [
            ("utf-8", codecs.BOM_UTF8),
            ("utf-16-le", codecs.BOM_UTF16_LE),
            ("utf-16-be", codecs.BOM_UTF16_BE),
            ("utf-32-le", codecs.BOM_UTF32_LE),
        ],
    )
    def test_a_byte_order_mark_decides_and_is_no_text(self, encoding: str, mark: bytes, tmp_path: Path) -> None:
        assert text_of(tmp_path, mark + FRENCH.encode(encoding)) == (FRENCH, encoding, 0, ())

    def test_one_accent_is_enough_for_latin_1(self, tmp_path: Path) -> None:
        assert text_of(tmp_path, "id,Café\n1,yes\n".encode("latin-1"))[:3] == ("id,Café\n1,yes\n", "cp1252", 0)

    @pytest.mark.parametrize(
        ("encoding", "sentence"),
        [
            ("cp1251", "Мне очень понравилось обслуживание, спасибо большое"),
            ("shift_jis", "とても良かったです。また来たいと思います"),
            (
                "mac_roman",
                "Très bon café, l'été prochain à la plage, déjà réservé, à côté de la forêt, près du théâtre",
            ),
        ],
    )
    def test_other_legacy_encodings_are_told_apart(self, encoding: str, sentence: str, tmp_path: Path) -> None:
        text = f"id,answer\n1,{sentence}\n"
        assert text_of(tmp_path, text.encode(encoding))[0] == text

    def test_a_character_on_a_chunk_border_stays_whole(self, tmp_path: Path) -> None:
        text = "a" * ((1 << 20) - 1) + "é\r" + "b" * ((1 << 20) - 2) + "\nü\n"
        assert text_of(tmp_path, text.encode())[:3] == (text, "utf-8", 0)


class TestBrokenBytes:
    def test_a_few_spoil_nothing_else_and_are_reported_by_line(self, tmp_path: Path) -> None:
        """F6: bad bytes in an otherwise UTF-8 file."""
        content = b"id,q\r\n1,caf\xc3\xa9 \xf0\x9f\x98\x80\r\n2,bad \x8c here\r\n3,\xff\xfe\r\n"
        text, encoding, replaced, lines = text_of(tmp_path, content)
        assert text == "id,q\r\n1,café 😀\r\n2,bad \ufffd here\r\n3,\ufffd\ufffd\r\n"
        assert (encoding, replaced, lines) == ("utf-8", 3, (3, 4))

    def test_marks_what_python_marks(self, tmp_path: Path) -> None:
        content = "é".encode() * 20 + b"\n\xe2\x80\nx\xf0\x9f\x98,\xc0\xaf\n"
        assert text_of(tmp_path, content)[0] == content.decode("utf-8", "replace")

    def test_a_few_bytes_that_make_no_words_are_not_taken_for_an_encoding(self, tmp_path: Path) -> None:
        content = b"id,How do you rate\xca cuisines of\xcaAustralia?\x8c\xe6\n1,good\n"
        assert text_of(tmp_path, content)[1:] == ("utf-8", 4, (1,))

    def test_a_replacement_character_of_the_file_itself_is_not_reported(self, tmp_path: Path) -> None:
        assert text_of(tmp_path, "id,q\n1,\ufffd\n".encode())[2:] == (0, ())

    def test_nul_is_replaced(self, tmp_path: Path) -> None:
        content = b"id,q\n" + b"1,yes and some more text\n" * 10 + b"2,n\0o\n"
        text, _, replaced, lines = text_of(tmp_path, content)
        assert text.endswith("2,n\ufffdo\n")
        assert (replaced, lines) == (1, (12,))

    def test_the_lines_are_counted_over_chunks_and_carriage_returns(self, tmp_path: Path) -> None:
        for end in ("\n", "\r\n", "\r"):
            line = "é" * 40 + end
            count = (1 << 21) // len(line.encode())
            content = line.encode() * count + b"\xff" + end.encode()
            assert text_of(tmp_path, content)[2:] == (1, (count + 1,))

    def test_the_report_is_bounded(self, tmp_path: Path) -> None:
        content = "é".encode() * 2000 + b"\n\xff" * 1000
        _, _, replaced, lines = text_of(tmp_path, content)
        assert (replaced, len(lines)) == (1000, MAX_LINES)


class TestNoText:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "empty"),
            (b" \r\n\n", "empty"),
            (PNG, "not text"),
            (b"PK\x03\x04\x14\x00\x08\x08\x08\x00" + bytes(range(256)) * 8, "not text"),
            (b"<!DOCTYPE html><html><body>Please log in</body></html>", "web page"),
        ],
    )
    def test_is_refused_with_the_reason(self, content: bytes, reason: str, tmp_path: Path) -> None:
        with pytest.raises(FileUnreadable, match=reason):
            decoded(tmp_path, content)

    @given(st.binary(max_size=400))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_bytes_are_read_or_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "any.csv"
        try:
            decoding = decode(io.BytesIO(content), path)
        except FileUnreadable:
            return
        text = path.read_bytes().decode()
        assert "\0" not in text
        assert decoding.replaced <= text.count("\ufffd")
        assert decode(io.BytesIO(content), path) == decoding
        assert path.read_bytes().decode() == text
