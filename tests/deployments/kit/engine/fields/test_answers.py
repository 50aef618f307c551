"""F1, F2: every field type takes good answers in their normal form and names what is wrong with bad ones."""

import pickle
from typing import Any

import orjson
import pytest
from email_validator import EmailNotValidError, validate_email

from tests.deployments.kit.engine.forms import COLUMNS, ROWS, SIDES, codes, make_element, make_form

OTHER = {"options": SIDES, "allow_other": True}
OPTIONS = {"options": SIDES}
TABLE = {"rows": ROWS, "columns": COLUMNS}
FILE, OTHER_FILE = f"fil_{1:032x}", f"fil_{2:032x}"
AMOUNT, NOTE = make_element("integer", "amount"), make_element("short_text", "note")
GROUP = {"elements": [AMOUNT, NOTE, make_element("statement", "double")]}
NEEDY = {"elements": [{**AMOUNT, "required": True}, NOTE]}

GOOD: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("short_text", {}, "Ann", "Ann"),
    ("short_text", {}, " padded ", " padded "),
    ("short_text", {"validation": {"min_length": 3, "max_length": 3}}, "äöü", "äöü"),
    ("short_text", {"validation": {"pattern": "[A-Z]{2}[0-9]+"}}, "AB12", "AB12"),
    ("long_text", {}, "two\nlines", "two\nlines"),
    ("long_text", {}, "x" * 100_000, "x" * 100_000),
    ("hidden", {}, "spring", "spring"),
    ("email", {}, "a@b.c", "a@b.c"),
    ("email", {}, " Ann.Lee@Example.COM ", "Ann.Lee@example.com"),
    ("email", {}, "ann@example.test", "ann@example.test"),
    ("email", {}, "ann+news@mail.example.co.uk", "ann+news@mail.example.co.uk"),
    ("email", {}, "jörg@bücher.example", "jörg@bücher.example"),
    ("email", {"validation": {"pattern": ".*@example[.]com"}}, "ann@EXAMPLE.com", "ann@example.com"),
    ("url", {}, "https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
    ("url", {}, " http://localhost:8080 ", "http://localhost:8080"),
    ("url", {}, "http://[::1]/", "http://[::1]/"),
    ("phone", {}, "+49 (0)30 123-456", "+4930123456"),
    ("phone", {"default_country": "DE"}, "030 123456", "+4930123456"),
    ("phone", {"default_country": "DE"}, "+1 (202) 555-0100", "+12025550100"),
    ("phone", {}, "0301234567", "0301234567"),
    ("number", {}, 0, 0),
    ("number", {}, -1.5, -1.5),
    ("number", {}, 2**63 - 1, 2**63 - 1),
    ("number", {}, 1e300, 1e300),
    ("number", {"validation": {"min": 1, "max": 2, "max_decimals": 1}}, 1.5, 1.5),
    ("currency", {"currency": "EUR"}, 19.99, 19.99),
    ("currency", {"currency": "KWD", "validation": {"max_decimals": 3}}, 1.125, 1.125),
    ("integer", {}, 9007199254740993, 9007199254740993),
    ("integer", {}, 3.0, 3),
    ("integer", {"validation": {"min": 0, "max": 0}}, 0, 0),
    ("rating", {"max": 3}, 3, 3),
    ("scale", {"min": -2, "max": 2}, -2, -2),
    ("nps", {}, 0, 0),
    ("nps", {}, 10, 10),
    ("date", {}, "2024-02-29", "2024-02-29"),
    ("date", {"validation": {"min": "2024-01-01", "max": "2024-01-01"}}, "2024-01-01", "2024-01-01"),
    ("time", {}, "09:30", "09:30"),
    ("time", {}, "09:30:00", "09:30"),
    ("time", {}, "23:59:59", "23:59:59"),
    ("time", {"validation": {"max": "09:30"}}, "09:30:00", "09:30"),
    ("datetime", {}, "2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z"),
    ("datetime", {}, "2024-05-01t12:00:59.9+02:00", "2024-05-01T10:00:59Z"),
    ("datetime", {}, "2024-05-01T12:00Z", "2024-05-01T12:00:00Z"),
    ("yes_no", {}, False, False),
    ("consent", {}, False, False),
    ("consent", {"required": True}, True, True),
    ("choice", OPTIONS, "corn", "corn"),
    ("choice", OPTIONS, {"option": "corn"}, "corn"),
    ("choice", OTHER, {"other": "Peas"}, {"other": "Peas"}),
    ("choice", OTHER, {"option": "corn", "other": "Peas"}, {"option": "corn", "other": "Peas"}),
    ("choice", OTHER, {"option": "corn", "other": ""}, "corn"),
    ("choice", OTHER, {"option": None, "other": "Peas"}, {"other": "Peas"}),
    ("dropdown", OPTIONS, "yams", "yams"),
    ("multi_choice", OPTIONS, ["yams", "corn"], ["yams", "corn"]),
    ("multi_choice", OPTIONS, {"options": ["yams"]}, ["yams"]),
    ("multi_choice", OTHER, {"options": ["yams"], "other": " "}, ["yams"]),
    ("multi_choice", OTHER, {"options": ["yams"], "other": "Peas"}, {"options": ["yams"], "other": "Peas"}),
    ("multi_choice", OTHER, {"options": [], "other": "Peas"}, {"other": "Peas"}),
    ("multi_choice", {**OTHER, "validation": {"min_choices": 2}}, {"options": ["corn"], "other": "x"}, ...),
    ("ranking", OPTIONS, ["yams", "corn"], {"yams": 1, "corn": 2}),
    ("ranking", OPTIONS, ["yams"], {"yams": 1}),
    ("ranking", OPTIONS, {"yams": 2}, {"yams": 2}),
    ("ranking", OPTIONS, {"yams": 2, "corn": None}, {"yams": 2}),
    ("ranking", {**OPTIONS, "allow_ties": True}, {"yams": 1, "corn": 1}, {"yams": 1, "corn": 1}),
    ("matrix", TABLE, {"han": "good", "leia": "bad"}, {"han": "good", "leia": "bad"}),
    ("matrix", TABLE, {"han": "good", "leia": ""}, {"han": "good"}),
    ("matrix_multi", TABLE, {"han": ["good", "bad"], "leia": []}, {"han": ["good", "bad"]}),
    ("country", {}, "DE", "DE"),
    ("country", {}, " at ", "AT"),
    ("location", {}, {"latitude": 52.5, "longitude": -13}, {"latitude": 52.5, "longitude": -13}),
    ("location", {}, {"latitude": 0, "longitude": 0, "accuracy": 12.5}, ...),
    ("location", {}, {"latitude": 90, "longitude": 180, "accuracy": None}, {"latitude": 90, "longitude": 180}),
    ("address", {}, {"city": "Bonn", "street2": "", "country": "de"}, {"city": "Bonn", "country": "DE"}),
    ("address", {"required_parts": ["city"]}, {"city": "Bonn"}, {"city": "Bonn"}),
    ("file", {"max_files": 2}, [FILE, OTHER_FILE], [FILE, OTHER_FILE]),
    ("image", {}, [FILE], [FILE]),
    ("signature", {}, [FILE], [FILE]),
    ("group", GROUP, [{"amount": 2}, {}, {"note": "x"}], [{"amount": 2}, {"note": "x"}]),
    ("group", GROUP, [{"amount": 2, "note": " "}], [{"amount": 2}]),
]

BAD: list[tuple[str, dict[str, Any], Any, list[tuple[str, str]]]] = [
    ("short_text", {}, 5, [("", "type")]),
    ("short_text", {}, ["a"], [("", "type")]),
    ("short_text", {}, "a\0b", [("", "text.nul")]),
    ("short_text", {}, "a\ud800b", [("", "text.encoding")]),
    ("short_text", {}, "x" * 2_001, [("", "length.max")]),
    ("short_text", {"validation": {"max_length": 3}}, "four", [("", "length.max")]),
    ("short_text", {"validation": {"min_length": 3}}, "ab", [("", "length.min")]),
    ("short_text", {"validation": {"pattern": "[a-z]+"}}, "abc1", [("", "pattern")]),
    ("long_text", {}, "x" * 100_001, [("", "length.max")]),
    ("long_text", {"validation": {"pattern": "x*"}}, "x" * 2_001, [("", "length.max")]),
    ("hidden", {}, {"a": 1}, [("", "type")]),
    ("email", {}, "nobody", [("", "format.email")]),
    ("email", {}, "a..b@example.com", [("", "format.email")]),
    ("email", {}, "a@localhost", [("", "format.email")]),
    ("email", {}, "a@host.invalid", [("", "format.email")]),
    ("email", {}, "a" * 65 + "@example.com", [("", "format.email")]),
    ("email", {}, "a@" + "b" * 64 + ".com", [("", "format.email")]),
    ("email", {}, "a@b.com\r\nBcc: x@y.z", [("", "format.email")]),
    ("url", {}, "javascript:alert(1)", [("", "format.url")]),
    ("url", {}, "https://", [("", "format.url")]),
    ("url", {}, "https://user:pass@example.com", [("", "format.url")]),
    ("url", {}, "https://exa mple.com", [("", "format.url")]),
    ("phone", {}, "call me", [("", "format.phone")]),
    ("phone", {}, "12-34", [("", "format.phone")]),
    ("phone", {}, "+1234567890123456", [("", "format.phone")]),
    ("number", {}, True, [("", "type")]),
    ("number", {}, "5", [("", "type")]),
    ("number", {}, float("nan"), [("", "type")]),
    ("number", {}, float("inf"), [("", "type")]),
    ("number", {}, 10**400, [("", "range.max")]),
    ("number", {}, -(10**400), [("", "range.min")]),
    ("number", {"validation": {"min": 1.5}}, 1, [("", "range.min")]),
    ("number", {"validation": {"max": 1.5, "max_decimals": 1}}, 1.55, [("", "decimals.max"), ("", "range.max")]),
    ("currency", {"currency": "EUR"}, 1.999, [("", "decimals.max")]),
    ("currency", {"currency": "EUR", "validation": {"min": 0}}, 1.999, [("", "decimals.max")]),
    ("integer", {}, 1.5, [("", "type")]),
    ("integer", {}, 1e17, [("", "type")]),
    ("integer", {"validation": {"max": 9}}, 10, [("", "range.max")]),
    ("rating", {}, 0, [("", "range.min")]),
    ("rating", {}, 6, [("", "range.max")]),
    ("scale", {"min": 2, "max": 3}, 1, [("", "range.min")]),
    ("nps", {}, 11, [("", "range.max")]),
    ("nps", {}, False, [("", "type")]),
    ("date", {}, "2023-02-29", [("", "format.date")]),
    ("date", {}, "20240101", [("", "format.date")]),
    ("date", {}, "2024-W01-1", [("", "format.date")]),
    ("date", {}, 20240101, [("", "format.date")]),
    ("date", {"validation": {"min": "2024-01-02"}}, "2024-01-01", [("", "range.min")]),
    ("date", {"validation": {"max": "2024-01-02"}}, "2024-01-03", [("", "range.max")]),
    ("time", {}, "24:00", [("", "format.time")]),
    ("time", {}, "9:30", [("", "format.time")]),
    ("time", {}, "10+01", [("", "format.time")]),
    ("datetime", {}, "2024-05-01T12:00:00", [("", "format.datetime")]),
    ("datetime", {}, "2024-W01-1T12:00Z", [("", "format.datetime")]),
    ("datetime", {}, "0001-01-01T00:00:00+10:00", [("", "format.datetime")]),
    ("yes_no", {}, "yes", [("", "type")]),
    ("yes_no", {}, 1, [("", "type")]),
    ("consent", {"required": True}, False, [("", "required")]),
    ("choice", OPTIONS, "peas", [("", "option.unknown")]),
    ("choice", OPTIONS, 7, [("", "type")]),
    ("choice", OPTIONS, {"other": "Peas"}, [("/other", "option.other")]),
    ("choice", OTHER, {"other": "a\0"}, [("/other", "text.nul")]),
    ("choice", OTHER, {"option": "peas", "other": 5}, [("", "option.unknown"), ("/other", "type")]),
    ("choice", OTHER, {"text": "a"}, [("", "type")]),
    ("dropdown", OPTIONS, ["corn"], [("", "type")]),
    ("multi_choice", OPTIONS, "corn", [("", "type")]),
    ("multi_choice", OPTIONS, ["peas", 1, "corn"], [("/0", "option.unknown"), ("/1", "option.unknown")]),
    ("multi_choice", OPTIONS, ["corn", "corn"], [("/1", "option.duplicate")]),
    ("multi_choice", OPTIONS, ["corn"] * 1_001, [("", "choices.max")]),
    ("multi_choice", {**OPTIONS, "validation": {"max_choices": 1}}, ["corn", "yams"], [("", "choices.max")]),
    ("multi_choice", {**OPTIONS, "validation": {"min_choices": 2}}, ["corn"], [("", "choices.min")]),
    ("multi_choice", OTHER, {"options": "corn"}, [("", "type")]),
    ("ranking", OPTIONS, ["corn", "corn"], [("/1", "option.duplicate")]),
    ("ranking", OPTIONS, {"corn": 1, "yams": 1}, [("/yams", "rank.duplicate")]),
    ("ranking", OPTIONS, {"corn": 3}, [("/corn", "rank.range")]),
    ("ranking", OPTIONS, {"corn": True, "a/b": 1}, [("/corn", "rank.range"), ("/a~1b", "option.unknown")]),
    ("ranking", {**OPTIONS, "validation": {"min_choices": 2}}, ["corn"], [("", "choices.min")]),
    ("ranking", OPTIONS, "corn", [("", "type")]),
    ("ranking", OPTIONS, {str(i): i for i in range(1_001)}, [("", "choices.max")]),
    ("matrix", TABLE, {"han": "ugly", "luke": "good"}, [("/han", "option.unknown"), ("/luke", "option.unknown")]),
    ("matrix", TABLE, {"han": ["good"]}, [("/han", "option.unknown")]),
    ("matrix", TABLE, ["good"], [("", "type")]),
    ("matrix", TABLE, {str(i): "good" for i in range(1_001)}, [("", "option.unknown")]),
    ("matrix_multi", TABLE, {"han": "good"}, [("/han", "type")]),
    ("matrix_multi", TABLE, {"han": ["good", "ugly"]}, [("/han/1", "option.unknown")]),
    ("phone", {"default_country": "DE"}, "+49 1", [("", "format.phone")]),
    ("phone", {}, "+999 123 4567", [("", "format.phone")]),
    ("country", {}, "XX", [("", "format.country")]),
    ("country", {}, "Germany", [("", "format.country")]),
    ("country", {}, 49, [("", "type")]),
    ("location", {}, {"latitude": 91, "longitude": -181}, [("/latitude", "range.max"), ("/longitude", "range.min")]),
    ("location", {}, {"latitude": 1}, [("/longitude", "type")]),
    ("location", {}, {"latitude": True, "longitude": "1"}, [("/latitude", "type"), ("/longitude", "type")]),
    ("location", {}, {"latitude": float("nan"), "longitude": 1}, [("/latitude", "type")]),
    ("location", {}, {"latitude": 1, "longitude": 1, "height": 1}, [("", "type")]),
    ("location", {}, [1, 1], [("", "type")]),
    ("address", {}, {"planet": "Mars"}, [("", "type")]),
    ("address", {}, {"country": "Mars", "city": 5}, [("/city", "type"), ("/country", "format.country")]),
    ("address", {"required_parts": ["city", "street"]}, {"city": "B"}, [("/street", "required")]),
    ("file", {}, FILE, [("", "type")]),
    ("file", {}, [FILE, OTHER_FILE], [("", "files.max")]),
    ("file", {"max_files": 3}, [FILE, FILE, "fil_x"], [("/1", "file.duplicate"), ("/2", "format.file")]),
    ("signature", {}, [FILE, OTHER_FILE], [("", "files.max")]),
    ("group", GROUP, {"amount": 1}, [("", "type")]),
    ("group", GROUP, [5, {"amount": "x"}], [("/0", "type"), ("/1/amount", "type")]),
    ("group", GROUP, [{"amount": 1, "planet": 1}], [("/0/planet", "unknown_field")]),
    ("group", {**GROUP, "max_items": 1}, [{"amount": 1}, {"amount": 2}], [("", "items.max")]),
    ("group", {**GROUP, "min_items": 2}, [{"amount": 1}, {}], [("", "items.min")]),
    ("group", NEEDY, [{"note": "x"}, {"amount": 1}], [("/0/amount", "required")]),
]


@pytest.mark.parametrize(("kind", "properties", "answer", "normal"), GOOD)
def test_good_answers_are_normalised(kind: str, properties: dict[str, Any], answer: Any, normal: Any) -> None:
    """F1: a good answer is taken and becomes its normal form, type included."""
    values, faults = make_form(make_element(kind, **properties)).check({"field": answer})

    expected = answer if normal is ... else normal
    assert (values, faults) == ({"field": expected}, ())
    assert type(values["field"]) is type(expected)


@pytest.mark.parametrize(("kind", "properties", "answer", "expected"), BAD)
def test_bad_answers_are_named(
    kind: str, properties: dict[str, Any], answer: Any, expected: list[tuple[str, str]]
) -> None:
    """F2: a bad answer is left out and every fault has a pointer and a stable code."""
    values, faults = make_form(make_element(kind, **properties)).check({"field": answer})

    assert values == {}
    assert codes(faults) == [(f"/answers/field{suffix}", code) for suffix, code in expected]


@pytest.mark.parametrize(
    ("kind", "properties", "answer", "params"),
    [
        ("short_text", {"validation": {"min_length": 3}}, "ab", {"min": 3}),
        ("short_text", {}, "x" * 2_001, {"max": 2_000}),
        ("number", {"validation": {"max": 1.5}}, 2, {"max": 1.5}),
        ("integer", {}, -(2**63) - 1, {"min": -(2**63)}),
        ("date", {"validation": {"min": "2024-01-02"}}, "2024-01-01", {"min": "2024-01-02"}),
        ("multi_choice", {**OPTIONS, "validation": {"min_choices": 2}}, ["corn"], {"min": 2}),
        ("location", {}, {"latitude": 91, "longitude": 1}, {"max": 90}),
        ("group", {**GROUP, "max_items": 1}, [{"amount": 1}, {"amount": 2}], {"max": 1}),
    ],
)
def test_broken_bounds_are_named(kind: str, properties: dict[str, Any], answer: Any, params: dict[str, Any]) -> None:
    """F8: a page can say what is wrong in its own language; what is sent over the wire has the bound as well."""
    (fault,) = make_form(make_element(kind, **properties)).check({"field": answer})[1]

    sent = orjson.loads(orjson.dumps(fault))
    assert sent == {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail, "params": params}
    assert pickle.loads(pickle.dumps(fault)) == fault  # noqa: S301


LOCAL_PARTS = ("a", "a.b", "a-b", "a_b+c", "a.", "-a", "a--b", "postmaster", "a" * 64, "a" * 65)
DOMAINS = ("b.co", "b-c.com", "b--c.com", "x.b.museum", "b.local", "b.test", "b.arpa", "b.c1", "b" * 64 + ".de")


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("local_part", LOCAL_PARTS)
def test_plain_addresses_are_judged_as_the_library_judges_them(local_part: str, domain: str) -> None:
    """The short way for plain addresses takes none that email-validator refuses or changes."""
    address = f"{local_part}@{domain}"
    try:
        judged = validate_email(address, check_deliverability=False, test_environment=True, strict=True)
        expected = {"field": judged.normalized}
    except EmailNotValidError:
        expected = {}

    assert make_form(make_element("email")).check({"field": address})[0] == expected
