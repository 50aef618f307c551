"""F1, F3: the reference page says what the engine does."""

import json
import re

import pytest

from deployments.kit.engine import compile_form, definition_schema, parse_definition
from deployments.kit.engine.expressions.functions import ARITIES
from deployments.kit.engine.fields import ELEMENT_TYPES
from tests.architecture.rooms import ROOT
from tests.deployments.kit.engine.browser import agree
from tests.deployments.kit.engine.forms import make_element, make_form

PAGE = (ROOT / "docs" / "reference" / "definition.md").read_text()
ENGINE = ROOT / "deployments" / "kit" / "engine"
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))
WORDS = set(re.findall(r"\w+", " ".join(NAMED)))
FORMULAS = re.findall(r"(?m)^(.+?) += (\S.*)$", re.findall(r"(?s)```formula\n(.*?)```", PAGE)[0])


@pytest.mark.parametrize("text", re.findall(r"(?s)```json\n(.*?)```", PAGE))
def test_the_forms_are_taken(text: str) -> None:
    form = compile_form(parse_definition(json.loads(text)))
    answers = {"name": "Ann", "born": "1990-01-01", "rooms": [{"from_day": "2024-01-01", "until_day": "2024-01-08"}]}
    values, faults = form.check(answers)

    assert faults == ()
    assert values["total"] == 559.3
    assert form.definition.localized("de-AT").title == "Buchung"


@pytest.mark.parametrize(("text", "value"), FORMULAS)
def test_the_formulas_have_their_values(text: str, value: str) -> None:
    values, _ = make_form(make_element("calculated", value=text)).check({})

    assert agree(values.get("field"), json.loads(value))


def test_there_are_formulas() -> None:
    assert len(FORMULAS) > 10


def test_every_type_of_element_is_named() -> None:
    kinds = {kind.model_fields["type"].annotation.__args__[0] for kind in ELEMENT_TYPES}  # type: ignore[union-attr]
    rows = re.findall(r"(?m)^\| (`[a-z_`, ]+`) \|", PAGE.partition("| Type |")[2].partition("\n\n")[0])

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == kinds


def test_every_property_is_named() -> None:
    schema = definition_schema()
    names = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}

    assert names - WORDS == set()


def test_every_function_is_described() -> None:
    table = PAGE.partition("| Function |")[2].partition("\n\n")[0]

    assert set(re.findall(r"`(\w+)\(", table)) == set(ARITIES)


def test_every_code_is_named() -> None:
    source = "".join(path.read_text() for path in ENGINE.rglob("*.py"))
    families = "definition|text|length|format|range|decimals|option|choices|rank|items|files|file"
    codes = set(re.findall(rf'"((?:{families})\.[a-z_]+)"', source)) | {"required", "type", "pattern", "unknown_field"}

    assert codes - NAMED == set()
    assert {name for name in NAMED if re.fullmatch(rf"(?:{families})\.[a-z_]+", name)} - codes == set()
