"""P1: documents as Typst makes them: the figures as text, in several scripts, tagged, the same bytes each time."""

import io
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pypdf
import pypdfium2
import pytest
from pymupdf_fonts import NotoMusic_Regular  # type: ignore[import-untyped]

from deployments.analytics.contracts import FormMetrics, OptionCount
from deployments.reports.contracts import Section
from deployments.reports.document import Look, Quote, Said, Told, response, results, visible
from deployments.reports.spans import bucket_of, last_whole
from deployments.reports.typesetting import NotTypeset, typeset
from deployments.reports.wording import LANGUAGES, Wording
from serve_app.settings import Settings
from tests.deployments.reports.figures import AS_OF, TEXTS, metrics, series

ALL: Sequence[str] = get_args(Section)
HOSTILE = '#import "x": y $a^2$ \\ *b* _c_ `d` @e <f> = g // h /* i */ #{ panic() } #read("/etc/passwd") [k] {"a": 1}'


async def typeset_results(
    figures: FormMetrics, language: str = "en", title: str = "Title", told: Sequence[Told] = (), **changes: Any
) -> bytes:
    look, wording = Look("Acme", "#0b7a75"), Wording(language)
    made = {"look": look, "wording": wording, "sections": ALL, **changes}
    return await typeset("results", results(figures, series(), told, title=title, **made), figures.as_of)


def text_of(pdf: bytes) -> str:
    """The text of all pages, with spaces as single ones."""
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).split())


def rendered_text_of(pdf: bytes) -> str:
    """The same by the engine of a browser, which knows right from left."""
    with pypdfium2.PdfDocument(pdf) as document:
        return " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())


async def test_the_text_has_every_figure() -> None:
    """P1: what can be read from the file is what was counted."""
    figures = metrics("en")
    text = text_of(await typeset_results(figures, title=TEXTS["en"]["title"]))
    side, age, nps, matrix, _ = figures.fields
    for option in side.options:
        assert f"{option.label} {option.count} {option.share:.1%}" in text
    assert age.numbers is not None
    assert f"Sum {age.numbers.sum:,.0f}" in text
    for each in age.numbers.bins:
        assert f"{each.count} {each.count / 200:.1%}" in text
    assert nps.nps is not None
    assert f"Promoters (9–10) {nps.nps.promoters} {nps.nps.promoters / 200:.1%}" in text
    for row in matrix.rows:
        assert " ".join([row.label, *(f"{option.share:.1%}" for option in row.options), "200"]) in text
    for point in series().points:
        assert f"{point.start:%b} {point.start.day}, {point.start.year} {point.value:.0f}" in text
    for label, value in {"Complete responses": "200", "Response rate": "50.0%", "Views": "600"}.items():
        assert f"{label} {value}" in text
    assert "Page 1 of 5" in text


async def test_who_does_not_see_it_is_told() -> None:
    """P1: PDF/UA-1: a structure, a language, a title, and a text for each chart."""
    pdf = await typeset_results(metrics("de"), "de-AT", TEXTS["de"]["title"])
    root: Any = pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    assert root["/Lang"] == "de-AT"
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712 - a boolean of PDF
    assert root["/ViewerPreferences"]["/DisplayDocTitle"] == True  # noqa: E712
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()
    figures, kinds = [], set()
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop().get_object()
        if isinstance(node, pypdf.generic.ArrayObject):
            waiting += node
        elif isinstance(node, pypdf.generic.DictionaryObject):
            kinds.add(node.get("/S"))
            if node.get("/S") == "/Figure":
                figures.append(node["/Alt"])
            waiting += [node["/K"]] if "/K" in node else []
    assert {"/H1", "/H2", "/Table", "/TH", "/TD", "/Figure"} <= kinds
    assert any("Net Promoter Score -45,5: Kritiker" in alt for alt in figures)
    assert len(figures) == 4


async def test_the_same_figures_give_the_same_bytes() -> None:
    """P1: deterministic; the date is that of the figures."""
    first, second = [await typeset_results(metrics("en")) for _ in range(2)]
    assert first == second
    assert b"D:20260308123015Z" in first
    assert await typeset_results(metrics("en", 201)) != first


async def test_what_people_write_is_never_markup() -> None:
    """P1: hostile texts stand in the document as they were written."""
    figures = metrics("en")
    fields = [
        field.model_copy(
            update={
                "title": HOSTILE,
                "options": [each.model_copy(update={"label": HOSTILE}) for each in field.options],
                "rows": [each.model_copy(update={"label": HOSTILE}) for each in field.rows],
            }
        )
        for field in figures.fields
    ]
    told = [Told("free", HOSTILE, HOSTILE, HOSTILE, [Quote(HOSTILE, "resp_1")])]
    pdf = await typeset_results(
        figures.model_copy(update={"fields": fields}), title=HOSTILE, told=told, look=Look(HOSTILE)
    )
    text = text_of(pdf)
    # Lines are broken where there is room, so blanks do not count.
    assert text.replace(" ", "").count(HOSTILE.replace(" ", "")) >= 2 + len(fields) + 4 + 3 + 3
    said = response(HOSTILE, AS_OF, [("State", HOSTILE)], [Said(HOSTILE, HOSTILE)], Look(HOSTILE), Wording("en"))
    text = text_of(await typeset("response", said, AS_OF))
    assert text.replace(" ", "").count(HOSTILE.replace(" ", "")) >= 4


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_language_has_words_and_letters_of_its_own(language: str) -> None:
    """P1: several languages and scripts; Arabic runs from right to left and can be searched."""
    figures, texts = metrics(language), TEXTS[language]
    pdf = await typeset_results(figures, language, texts["title"], look=Look(texts["tenant"]))
    text = rendered_text_of(pdf)
    assert b"pdfuaid" in pdf
    for said in (texts["title"], texts["age"], *texts["side"][1], Wording(language).words["overview"]):
        assert said in text
    assert "Overview" not in text or language == "en"


async def test_a_letter_that_no_font_has_does_not_stop_a_document() -> None:
    """P1: many scripts; what is missing is a box, and the document is tagged all the same."""
    labels = ["Кириллица", "Ελληνικά", "עברית", "हिन्दी", "ไทย", "漢字 😀"]
    figures = metrics("en")
    options = [OptionCount(value=each, label=each, count=1, share=0.1) for each in labels]
    pdf = await typeset_results(
        figures.model_copy(update={"fields": [figures.fields[0].model_copy(update={"options": options})]})
    )
    assert b"pdfuaid" not in pdf
    assert b"/StructTreeRoot" in pdf
    assert all(label in rendered_text_of(pdf) for label in labels[:2])


async def test_a_folder_of_fonts_has_the_letters_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: by the setting, also when it is relative to where the platform was started."""
    folder = tmp_path / "fonts" / "music"
    folder.mkdir(parents=True)
    (folder / "NotoMusic.ttf").write_bytes(NotoMusic_Regular.fontbuffer)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORMSTREAM_SECRET_KEY", "k" * 64)
    data = response(
        "\U0001d11e \u2600", AS_OF, [], [Said("Key", "\U0001d122 \u2764\ufe0f")], Look("Acme"), Wording("en")
    )
    for name, is_whole in (("fonts", True), (str(tmp_path / "fonts"), True), ("", False)):
        monkeypatch.setenv("FORMSTREAM_REPORT_FONTS", name) if name else monkeypatch.delenv("FORMSTREAM_REPORT_FONTS")
        pdf = await typeset("response", data, AS_OF, fonts=Settings().reports().font_folders)
        assert (b"pdfuaid" in pdf) is is_whole, name
        fonts = pypdf.PdfReader(io.BytesIO(pdf)).pages[0]["/Resources"]["/Font"].values()  # type: ignore[index]
        names = {str(font.get_object().get("/BaseFont")) for font in fonts}
        assert any("NotoMusic" in each for each in names) is is_whole, names
        assert any("Symbols2" in each for each in names), names


async def test_a_form_without_responses_says_so() -> None:
    text = text_of(await typeset_results(metrics("en", 0)))
    assert "There are no complete responses yet." in text
    assert "Response rate –" in text


async def test_it_ends_with_its_time_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = results(metrics("en"), None, [], title="T", look=Look("A"), wording=Wording("en"), sections=ALL)
    with pytest.raises(NotTypeset, match="within"):
        await typeset("results", data, AS_OF, deadline_s=0.001)
    with pytest.raises(NotTypeset, match="failed to decode image"):
        await typeset("results", {**data, "logo": "logo.png"}, AS_OF, images={"logo.png": b"no image"})
    assert os.listdir(tmp_path) == []


def test_every_language_says_everything() -> None:
    english = Wording("en").words
    for language in LANGUAGES:
        words = Wording(language).words
        assert words.keys() == english.keys()
        assert all(set(re.findall(r"{\w+}", words[key])) == set(re.findall(r"{\w+}", english[key])) for key in words)


def test_numbers_are_told_as_the_language_does() -> None:
    assert [Wording(tag).number(-1234.5) for tag in ("en", "de", "ar", "xx")] == [
        *("-1,234.5", "-1.234,5", "\u200e-1,234.5", "-1,234.5")
    ]
    assert Wording("de").percent(0.1234) == "12,3%"
    assert Wording("ar").quoted("Pie!\n42") == "\u2068Pie!\u2069\n42"


def test_a_colour_can_be_seen_on_paper() -> None:
    assert visible("#0b7a75") == "#0b7a75"
    assert visible("#ffff00") != "#ffff00"
    assert visible(None).startswith("#")


def test_spans_are_whole_days_of_the_zone() -> None:
    """P2: the last day, week and month before a moment, over a change of clocks."""
    at = datetime(2026, 3, 30, 5, 0, tzinfo=UTC)  # the Monday after summer time began in Berlin

    def hours(span: Any) -> tuple[str, float]:
        since, until = last_whole(span, at, "Europe/Berlin")
        assert since is not None
        assert until is not None
        return since.isoformat(), (until.astimezone(UTC) - since.astimezone(UTC)) / timedelta(hours=1)

    assert hours("day") == ("2026-03-29T00:00:00+01:00", 23)
    assert hours("week") == ("2026-03-23T00:00:00+01:00", 7 * 24 - 1)
    assert hours("month") == ("2026-02-01T00:00:00+01:00", 28 * 24)
    assert last_whole("all", at, "UTC") == (None, None)
    late = datetime(2026, 3, 30, 22, 30, tzinfo=UTC)  # when it is tomorrow in Berlin
    assert last_whole("day", late, "Europe/Berlin")[0] == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert last_whole("day", late, "UTC")[0] == datetime(2026, 3, 29, tzinfo=UTC)
    buckets = [bucket_of(at - timedelta(days=days), at) for days in (1, 31, 60, 900)]
    assert [bucket_of(None, at), *buckets] == ["day", "hour", "day", "week", "month"]
