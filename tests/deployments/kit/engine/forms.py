"""Makes definitions and forms for the engine's tests."""

from typing import Any

from deployments.kit.engine import CompiledForm, Definition, InvalidDefinition, compile_form, parse_definition
from deployments.kit.errors import Fault

SIDES = [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams, candied"}]
ROWS = [{"id": "han", "label": "Han Solo"}, {"id": "leia", "label": "Leia"}]
COLUMNS = [{"id": "good", "label": "Favorable"}, {"id": "bad", "label": "Unfavorable"}]


def make_element(kind: str, element_id: str = "field", **properties: Any) -> dict[str, Any]:
    return {"id": element_id, "type": kind, "title": element_id.title(), **properties}


def make_document(*elements: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"pages": [{"id": "p1", "elements": list(elements)}], "languages": ["en"], **properties}


def make_definition(*elements: dict[str, Any]) -> Definition:
    return parse_definition(make_document(*elements))


def make_form(*elements: dict[str, Any]) -> CompiledForm:
    return compile_form(make_definition(*elements))


def faults_of(raw: object) -> tuple[Fault, ...]:
    """Why `raw` is refused as a definition; nothing when it is taken."""
    try:
        parse_definition(raw)
    except InvalidDefinition as error:
        return error.faults
    return ()


def refused(raw: object) -> list[tuple[str, str]]:
    """Pointer and code of every fault for which `raw` is refused as a definition."""
    return codes(faults_of(raw))


def codes(faults: tuple[Fault, ...]) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults]


def every_type() -> list[dict[str, Any]]:
    """One element of each type, some with rules."""
    return [
        make_element("short_text", "name", required=True, validation={"min_length": 2, "max_length": 40}),
        make_element("long_text", "story", validation={"pattern": "[^<>]*"}),
        make_element("email", "email", personal=True, required_if="answers.contact == true"),
        make_element("url", "site"),
        make_element("phone", "phone", visible_if="answers.contact"),
        make_element("hidden", "campaign"),
        make_element("number", "weight", validation={"min": 0, "max_decimals": 2}),
        make_element("currency", "price", currency="EUR"),
        make_element("integer", "age", validation={"min": 0, "max": 150}),
        make_element("rating", "stars", max=5),
        make_element("scale", "mood", min=-3, max=3),
        make_element("nps", "score"),
        make_element("date", "born", validation={"max": "2026-12-31"}),
        make_element("time", "wake"),
        make_element("datetime", "visit"),
        make_element("yes_no", "contact"),
        make_element("consent", "terms", required=True),
        make_element("choice", "main", options=SIDES, allow_other=True),
        make_element("dropdown", "region", options=SIDES),
        make_element("multi_choice", "sides", options=SIDES, allow_other=True, visible_if="answers.main != null"),
        make_element("ranking", "order", options=SIDES, allow_ties=True),
        make_element("matrix", "views", rows=ROWS, columns=COLUMNS),
        make_element("matrix_multi", "traits", rows=ROWS, columns=COLUMNS),
        make_element("statement", "thanks"),
        make_element("country", "home"),
        make_element("location", "spot"),
        make_element("address", "address", required_parts=["city"]),
        make_element("file", "papers", max_files=2, accept=["application/pdf"]),
        make_element("image", "photo"),
        make_element("signature", "signed"),
        make_element(
            "group",
            "items",
            max_items=5,
            elements=[
                make_element("statement", "hint", visible_if="item.amount > 1"),
                make_element("number", "amount", required=True),
                make_element("currency", "cost", currency="EUR", visible_if="item.amount > 0"),
                make_element("calculated", "line", value="item.amount * item.cost"),
                make_element("email", "whom", required_if="answers.contact"),
            ],
        ),
        make_element("calculated", "total", value="round(sum(answers.items.line), 2)"),
        make_element(
            "section",
            "more",
            visible_if="answers.stars > 2",
            elements=[make_element("short_text", "nick", required_if="answers.total > 100")],
        ),
    ]
