"""F1: whatever the published schema accepts is compiled or refused with faults, and never more than that."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deployments.kit.engine import InvalidDefinition, compile_form, definition_schema, parse_definition
from tests.deployments.kit.engine.forms import every_type, faults_of, make_document, make_element
from tests.deployments.kit.engine.strategies import definitions, form_answers

SCHEMA = definition_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
EXPRESSIONS = ["true", "answers.a", "answers.b + 1", "item.a > 1", "answers.c == 'x'", "sum(answers.d.e)", "today()"]
NAMES = st.sampled_from("abcdefgh")
# What is wrong with the shape of a definition, which is for the schema to say.
SHAPE = {f"definition.{code}" for code in ("type", "missing", "unknown_property", "unknown_type", "bad_id")}
SHAPE |= {f"definition.too_{bound}" for bound in ("long", "short", "many", "few")}


def accepted(schema: dict[str, Any], name: str = "", depth: int = 0) -> st.SearchStrategy[Any]:
    """What a part of the schema accepts; `name` is the property that it describes."""
    if "$ref" in schema:
        return accepted(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], name, depth + 1)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices:
        if "discriminator" in schema and depth > 8:
            choices = [choice for choice in choices if choice["$ref"].rpartition("/")[2] in ("NpsField", "DateField")]
        return st.one_of([st.deferred(lambda choice=choice: accepted(choice, name, depth + 1)) for choice in choices])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    return _of_type(schema, name, depth)


def _of_type(schema: dict[str, Any], name: str, depth: int) -> st.SearchStrategy[Any]:
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            low, high = schema.get("minimum"), schema.get("maximum")
            return st.floats(low, high, allow_nan=False, allow_infinity=False) | st.integers(low, high)
        case "string":
            return _text(schema, name)
        case "array":
            items = accepted(schema["items"], name, depth + 1)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=max(3, schema.get("minItems", 0)))
    if "properties" not in schema:
        keys = st.sampled_from(["de", "pt-BR"]) if name == "translations" else NAMES
        (values,) = (accepted(part, name, depth + 1) for part in schema["patternProperties"].values())
        return st.dictionaries(keys, values, max_size=2)
    parts = {key: accepted(part, key, depth + 1) for key, part in schema["properties"].items()}
    required = {key: parts.pop(key) for key in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=parts)


def _text(schema: dict[str, Any], name: str) -> st.SearchStrategy[str]:
    texts = st.text(max_size=5)
    if "pattern" in schema:
        texts = st.from_regex(schema["pattern"], fullmatch=True)
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 50)
    texts = texts.filter(lambda text: shortest <= len(text) <= longest)
    if name in ("visible_if", "required_if", "value", "if", "check"):
        return st.sampled_from(EXPRESSIONS) | texts
    return NAMES if name in ("id", "to", "fields") else texts


class TestPublished:
    def test_it_describes_every_property(self) -> None:
        """F1: the schema is a reference: each object says what it is and takes nothing else."""
        Draft202012Validator.check_schema(SCHEMA)
        for name, part in {"Definition": SCHEMA, **SCHEMA["$defs"]}.items():
            assert part["description"], name
            assert part["additionalProperties"] is False, name
            for key, described in part["properties"].items():
                assert key == "type" or described["description"], f"{name}.{key}"

    def test_it_takes_what_is_stored(self) -> None:
        document = make_document(
            *every_type(), rules=[{"id": "r", "check": "true", "message": "m", "fields": ["name"]}]
        )
        document["pages"][0]["next"] = [{"if": "answers.stars > 1", "to": "end"}]
        document["translations"] = {}
        stored = parse_definition({**document, "languages": ["en", "de"], "translations": {"de": {}}}).document()

        assert [error.message for error in VALIDATOR.iter_errors(stored)] == []
        assert stored["pages"][0]["next"] == [{"if": "answers.stars > 1", "to": "end"}]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(definitions())
    def test_it_takes_every_form_that_compiles(self, definition: dict[str, Any]) -> None:
        assert [error.message for error in VALIDATOR.iter_errors(definition)] == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(definition=accepted(SCHEMA))
def test_what_the_schema_accepts_is_compiled_or_refused(definition: Any) -> None:
    """F1: it is refused for what no schema can say, such as an id used twice, never for its shape."""
    faults = faults_of(definition)
    assert not SHAPE & {fault.code for fault in faults}
    if faults:
        return
    parsed = parse_definition(definition)
    form = compile_form(parsed)
    json.dumps(form.logic(), allow_nan=False).encode()
    assert set(form.decide({}).pages) <= {page.id for page in parsed.pages}
    assert form.check({}, partial=True)[1] == ()
    assert parse_definition(json.loads(json.dumps(parsed.document()))) == parsed
    for language in parsed.languages:
        assert parse_definition(parsed.localized(language).document())


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(definition=definitions(), answers=form_answers)
def test_normalised_answers_check_to_themselves(definition: dict[str, Any], answers: dict[str, Any]) -> None:
    """F2: what is stored is taken again as it is."""
    try:
        form = compile_form(parse_definition(definition))
    except InvalidDefinition:
        return
    values, faults = form.check(answers)
    if not faults:
        assert form.check(values) == (values, ())


def test_ids_of_pages_and_elements_may_be_alike() -> None:
    """A page and a field of one name are two things."""
    pages = [
        {"id": "a", "elements": [make_element("yes_no", "b")], "next": [{"if": "answers.b", "to": "end"}]},
        {"id": "b", "elements": [make_element("yes_no", "a")]},
    ]
    form = compile_form(parse_definition({"pages": pages}))

    assert form.check({"a": True, "b": True}) == ({"b": True}, ())
    assert form.check({"a": True, "b": False}) == ({"a": True, "b": False}, ())
