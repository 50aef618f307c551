"""The comparison itself: what breaks callers is named, what does not is let pass."""

import copy
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.contract.breaking import breaking_changes

TODAY = date(2026, 6, 1)
OLD: dict[str, Any] = {
    "paths": {
        "/things": {
            "post": {
                "operationId": "make",
                "security": [{"bearer": []}],
                "x-required-scope": "things:write",
                "parameters": [
                    {"name": "dry", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Make"}}},
                },
                "responses": {
                    "201": {
                        "headers": {"Location": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "404": {"$ref": "#/components/responses/Problem404"},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Make": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "maxLength": 50},
                    "kind": {"enum": ["a", "b"], "type": "string"},
                    "parent": {"anyOf": [{"$ref": "#/components/schemas/Make"}, {"type": "null"}]},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id", "tags"],
                "properties": {
                    "id": {"type": "string"},
                    "note": {"type": "string"},
                    "count": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "state": {"enum": ["open"], "type": "string"},
                },
            },
        }
    },
}

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]
"""Of the operation, and of the models Make and Thing."""


def changed(change: Change) -> list[str]:
    new = copy.deepcopy(OLD)
    models = new["components"]["schemas"]
    change(new["paths"]["/things"]["post"], models["Make"], models["Thing"])
    return breaking_changes(OLD, new, TODAY)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o, m, t: o.update(operationId="create"), "another operationId"),
        (lambda o, m, t: o.update({"x-required-scope": "platform:admin"}), "needs the permission"),
        (lambda o, m, t: o.update(security=[]), "another credential"),
        (lambda o, m, t: o["parameters"].pop(0), "takes no parameter dry"),
        (lambda o, m, t: o["parameters"][0].update(required=True), "demands the parameter dry"),
        (
            lambda o, m, t: o["parameters"].append({"name": "x", "in": "query", "required": True, "schema": {}}),
            "demands the parameter x",
        ),
        (lambda o, m, t: o["parameters"][1]["schema"].update(maximum=10), "maximum is 10"),
        (lambda o, m, t: o["parameters"][1]["schema"].update(type="string"), "takes no number"),
        (lambda o, m, t: o.pop("requestBody"), "takes no body"),
        (lambda o, m, t: o["requestBody"].update(required=True), "demands a body"),
        (lambda o, m, t: o["requestBody"].update(content={}), "takes no application/json"),
        (lambda o, m, t: m["required"].append("kind"), "demands the field kind"),
        (lambda o, m, t: m["properties"].pop("kind"), "has no field kind"),
        (lambda o, m, t: m["properties"]["name"].update(maxLength=20), "maxLength is 20"),
        (lambda o, m, t: m["properties"]["name"].update(minLength=1), "minLength is 1"),
        (lambda o, m, t: m["properties"]["name"].update(pattern="^a"), "another pattern"),
        (lambda o, m, t: m["properties"]["kind"].update(enum=["a"]), "takes only 'a'"),
        (lambda o, m, t: m["properties"].update(parent={"$ref": "#/components/schemas/Make"}), "takes no null"),
        (lambda o, m, t: o["responses"].pop("201"), "does not answer 201"),
        (lambda o, m, t: o["responses"]["201"].pop("headers"), "without the header Location"),
        (lambda o, m, t: o["responses"]["201"].update(content={}), "answers no application/json"),
        (lambda o, m, t: t["properties"].pop("note"), "has no field note"),
        (lambda o, m, t: t["required"].remove("id"), "may lack the field id"),
        (lambda o, m, t: t["properties"]["note"].update(type=["string", "null"]), "may be null"),
        (lambda o, m, t: t["properties"]["count"].update(type="string"), "may be string"),
        (lambda o, m, t: t["properties"]["tags"]["items"].update(type="number"), "may be number"),
    ],
)
def test_what_breaks_callers_is_named(change: Change, words: str) -> None:
    found = changed(change)
    assert len(found) == 1, found
    assert found[0].startswith("POST /things")
    assert words in found[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda o, m, t: None,
        lambda o, m, t: o["parameters"].append({"name": "x", "in": "query", "schema": {"type": "string"}}),
        lambda o, m, t: o["parameters"][1]["schema"].update(maximum=1_000),
        lambda o, m, t: o["parameters"][1]["schema"].update(type="number"),
        lambda o, m, t: o["responses"].pop("404"),
        lambda o, m, t: o.pop("x-required-scope"),
        lambda o, m, t: m["required"].remove("name"),
        lambda o, m, t: m["properties"].update(colour={"type": "string"}),
        lambda o, m, t: m["properties"]["name"].update(type=["string", "null"], maxLength=90),
        lambda o, m, t: m["properties"]["kind"].update(enum=["a", "b", "c"]),
        lambda o, m, t: t["properties"].update(colour={"type": "string"}),
        lambda o, m, t: t["properties"]["state"].update(enum=["open", "closed"]),
        lambda o, m, t: t["required"].append("note"),
    ],
)
def test_what_callers_do_not_notice_passes(change: Change) -> None:
    assert changed(change) == []


def test_an_operation_goes_after_its_sunset_and_not_before() -> None:
    old, new = copy.deepcopy(OLD), copy.deepcopy(OLD)
    del new["paths"]["/things"]
    assert breaking_changes(old, new, TODAY) == ["POST /things: is gone"]
    old["paths"]["/things"]["post"]["x-sunset"] = "2026-06-01"
    assert breaking_changes(old, new, date(2026, 5, 31)) == ["POST /things: is gone"]
    assert breaking_changes(old, new, TODAY) == []


def test_a_renamed_model_is_the_same_to_callers() -> None:
    new = copy.deepcopy(OLD)
    models = new["components"]["schemas"]
    models["Product"] = models.pop("Thing")
    content = new["paths"]["/things"]["post"]["responses"]["201"]["content"]["application/json"]
    content["schema"] = {"$ref": "#/components/schemas/Product"}
    assert breaking_changes(OLD, new, TODAY) == []
