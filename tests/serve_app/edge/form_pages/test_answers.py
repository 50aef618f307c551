"""Y1: what a form posts, and the answers that it means; one table for every type."""

from typing import Any
from urllib.parse import urlencode

import pytest

from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.errors import UnsupportedMediaType
from serve_app.edge.form_pages.answers import answers_of, entries_of, number_of
from serve_app.edge.form_pages.entries import MAX_ENTRIES, MalformedForm, query_entries, read_entries
from serve_app.edge.form_pages.questions import place_of, renumbered
from tests.serve_app.edge.form_pages.definitions import ELEMENTS, THREE, every_type

URLENCODED = "application/x-www-form-urlencoded"

CASES: list[tuple[str, list[tuple[str, str]], Any]] = [
    ("short_text", [("", "Ada")], "Ada"),
    ("short_text", [("", "")], None),
    ("long_text", [("", "one\r\ntwo")], "one\ntwo"),
    ("email", [("", " ada@example.com ")], "ada@example.com"),
    ("url", [("", "https://example.com")], "https://example.com"),
    ("phone", [("", "+49 30 123456")], "+49 30 123456"),
    ("hidden", [("", "spring")], "spring"),
    ("number", [("", "70,5")], 70.5),
    ("number", [("", "٧٠٫٥")], 70.5),
    ("number", [("", "many")], "many"),
    ("number", [("", " ")], None),
    ("integer", [("", "4")], 4),
    ("currency", [("", "12.50")], 12.5),
    ("date", [("", "2026-03-01")], "2026-03-01"),
    ("time", [("", "09:30")], "09:30"),
    ("datetime", [("", "2026-03-01T09:30"), (".offset", "+02:00")], "2026-03-01T09:30+02:00"),
    ("datetime", [("", "2026-03-01T09:30")], "2026-03-01T09:30Z"),
    ("datetime", [("", "soon"), (".offset", "+02:00")], "soon"),
    ("datetime", [("", ""), (".offset", "+02:00")], None),
    ("yes_no", [("", "true")], True),
    ("yes_no", [("", "false")], False),
    ("yes_no", [("", "perhaps")], "perhaps"),
    ("consent", [("", "true")], True),
    ("choice", [("", "corn"), (".other", "")], "corn"),
    ("choice", [("", "other"), (".other", " beans ")], {"other": "beans"}),
    ("choice", [(".other", "beans")], {"other": "beans"}),
    ("choice", [("", "other"), (".other", "")], None),
    ("choice", [("", "corn"), (".other", "beans")], "corn"),
    ("dropdown", [("", "yams")], "yams"),
    ("dropdown", [("", "")], None),
    ("multi_choice", [("", "corn"), ("", "rice"), (".other", "")], ["corn", "rice"]),
    ("multi_choice", [("", "corn"), ("", "other"), (".other", "beans")], {"options": ["corn"], "other": "beans"}),
    ("multi_choice", [("", "other"), (".other", " ")], None),
    ("ranking", [(".corn", "2"), (".yams", ""), (".rice", "1")], {"corn": 2, "rice": 1}),
    ("rating", [("", "4")], 4),
    ("scale", [("", "7")], 7),
    ("nps", [("", "0")], 0),
    ("matrix", [(".food", "good"), (".music", "")], {"food": "good"}),
    ("matrix_multi", [(".food", "good"), (".food", "fair")], {"food": ["good", "fair"]}),
    (
        "address",
        [(".street", "Main St 1"), (".city", " Ulm "), (".region", "")],
        {"street": "Main St 1", "city": "Ulm"},
    ),
    ("location", [(".latitude", "48.4"), (".longitude", "10"), (".accuracy", "")], {"latitude": 48.4, "longitude": 10}),
    ("file", [("", "fil_1"), ("", "fil_2"), (".name", "a.pdf"), ("", "")], ["fil_1", "fil_2"]),
    ("signature", [("", "fil_1")], ["fil_1"]),
    ("country", [("", "DE")], "DE"),
    ("statement", [("", "x")], None),
    ("calculated", [("", "5")], None),
]


@pytest.mark.parametrize(("kind", "posted", "expected"), CASES)
def test_each_type(kind: str, posted: list[tuple[str, str]], expected: Any) -> None:
    element = {"id": "field", "type": kind, **ELEMENTS.get(kind, {"title": kind})}
    body = urlencode([("field" + part, value) for part, value in posted]).encode()

    answers = answers_of([element], read_entries(URLENCODED, body))

    assert answers == ({} if expected is None else {"field": expected})
    if expected is not None and kind in ELEMENTS and "many" not in str(posted):
        assert type(answers["field"]) is type(expected)


@pytest.mark.parametrize(("kind", "posted", "expected"), [case for case in CASES if case[2] is not None])
def test_each_type_the_other_way_round(kind: str, posted: list[tuple[str, str]], expected: Any) -> None:
    """R2: what was saved is shown again."""
    element = {"id": "field", "type": kind, **ELEMENTS.get(kind, {"title": kind})}
    value = expected
    if kind == "datetime":
        value = "2026-03-01T07:30:00Z"
        assert answers_of([element], entries_of([element], {"field": value})) == {"field": "2026-03-01T07:30Z"}
        return
    assert answers_of([element], entries_of([element], {"field": value})) == {"field": value}


def test_every_type_of_the_engine_has_a_case() -> None:
    assert set(ELEMENTS) <= {kind for kind, *_ in CASES}


def test_what_is_read_is_what_the_engine_takes() -> None:
    """A form filled in everywhere passes: each type's first answer of the table."""
    first = {kind: posted for kind, posted, expected in reversed(CASES) if expected is not None and kind in ELEMENTS}
    posted = [(f"the_{kind}{part}", value) for kind, entries in first.items() for part, value in entries]
    definition = parse_definition(every_type())
    elements = definition.document()["pages"][0]["elements"]

    answers = answers_of(elements, read_entries(URLENCODED, urlencode(posted).encode()))

    checked, faults = compile_form(definition).check(answers)
    assert faults == ()
    assert len(checked) == len(first) == len(ELEMENTS) - 1  # a statement has no answer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("-3", -3),
        ("+7", 7),
        ("−3", -3),
        ("1.50", 1.5),
        ("1,5", 1.5),
        (".5", 0.5),
        ("१२", 12),
        ("5²", "5²"),
        ("1,234", "1,234"),
        ("1.234,5", "1.234,5"),
        ("1e5", "1e5"),
        ("NaN", "NaN"),
        ("0x10", "0x10"),
        ("9" * 41, "9" * 41),
    ],
)
def test_numbers_as_people_write_them(text: str, number: Any) -> None:
    assert number_of(text) == number
    assert type(number_of(text)) is type(number)


def test_groups_and_sections() -> None:
    inner = [{"id": "price", "type": "number"}, {"id": "side", "type": "choice", "allow_other": True, "options": THREE}]
    elements = [
        {"id": "part", "type": "section", "elements": [{"id": "name", "type": "short_text"}]},
        {"id": "items", "type": "group", "elements": inner},
    ]
    posted = [("name", "Ada"), ("items.0.price", "5"), ("items.1.price", ""), ("items.2.side", "other")]
    posted += [
        ("items.2.side.other", "beans"),
        ("items.3.price", ""),
        ("items.x.price", "1"),
        ("items.12345.price", "1"),
    ]
    entries = read_entries(URLENCODED, urlencode(posted).encode())
    answers = {
        "name": "Ada",
        # An empty item between others keeps its place, empty ones at the end are none.
        "items": [{"price": 5}, {}, {"side": {"other": "beans"}}],
    }
    assert answers_of(elements, entries) == answers
    whole = {"name": "Ada", "items": [{"price": 5}, {"side": "corn"}]}
    assert answers_of(elements, entries_of(elements, whole)) == whole


def test_items_are_added_and_removed() -> None:
    entries = {"items.0.a": ["x"], "items.1.a": ["y"], "items.3.a": ["z"], "other": ["1"], "items": ["?"]}
    assert renumbered(entries, ["items"]) == {
        "items.0.a": ["x"],
        "items.1.a": ["y"],
        "items.2.a": ["z"],
        "other": ["1"],
        "items": ["?"],
    }
    removed = renumbered(entries, ["items"], remove="items.0")
    assert {name: removed[name] for name in removed if name.startswith("items.")} == {
        "items.0.a": ["y"],
        "items.1.a": ["z"],
    }
    assert "items.3." in renumbered(entries, ["items"], add="items")
    assert "items.1." in renumbered({}, ["items"], add="items")


def test_faults_find_their_questions() -> None:
    price = {"id": "price", "type": "number"}
    elements: dict[str, Any] = {
        "name": {"id": "name", "type": "short_text"},
        "items": {"id": "items", "type": "group", "elements": [price]},
    }
    assert place_of("/answers/name", elements) == ("name", elements["name"])
    assert place_of("/answers/items/2/price", elements) == ("items.2.price", price)
    assert place_of("/answers/items/2/price/x", elements) == ("items.2.price", price)
    assert place_of("/answers/items/2", elements) == ("items", elements["items"])
    assert place_of("/answers/unknown", elements) == ("", None)
    assert place_of("/meta", elements) == place_of("", elements) == ("", None)


def test_a_multipart_form_is_read_without_its_files() -> None:
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="na\xc3\xafve"\r\n\r\n\xc3\xa9t\xc3\xa9\r\n'
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\nbytes\r\n'
        b'--x\r\nContent-Disposition: form-data; name="side"\r\n\r\ncorn\r\n'
        b'--x\r\nContent-Disposition: form-data; name="side"\r\n\r\nyams\r\n--x--\r\n'
    )
    assert read_entries("multipart/form-data; boundary=x", parts) == {"naïve": ["été"], "side": ["corn", "yams"]}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b"a=%ff"),
        (URLENCODED, b"a=\xff"),
        (URLENCODED, b"&".join(b"a=1" for _ in range(MAX_ENTRIES + 1))),
        ("multipart/form-data; boundary=x", b"nothing of the kind"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--\r\n',
        ),
    ],
    ids=["escaped", "raw", "many", "boundary", "encoding"],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(MalformedForm):
        read_entries(content_type, body)


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data", "text/plain"])
def test_other_media_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read_entries(content_type, b"a=1")


def test_a_query_that_cannot_be_read_says_nothing() -> None:
    assert query_entries("a=%ff") == {}
    assert query_entries("a=1&a=2&b=") == {"a": ["1", "2"], "b": [""]}
