"""F3: server and browser decide the same, by one table of cases and by whatever Hypothesis thinks of."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from deployments.kit.engine import CompiledForm, compile_form, parse_definition
from tests.deployments.kit.engine.browser import agree, as_document, decided_in_browser

HERE = Path(__file__).parent
EXPRESSIONS = json.loads((HERE / "expressions.json").read_text())


def _form_of_expressions() -> CompiledForm:
    calculated = [
        {"id": f"case_{number}", "type": "calculated", "title": "Case", "value": text}
        for number, (text, _) in enumerate(EXPRESSIONS["cases"])
    ]
    pages = [{"id": "p1", "elements": EXPRESSIONS["elements"]}, {"id": "p2", "elements": calculated}]
    return compile_form(parse_definition({"pages": pages}))


def _results(values: dict[str, Any]) -> dict[str, Any]:
    return {text: values.get(f"case_{number}") for number, (text, _) in enumerate(EXPRESSIONS["cases"])}


class TestExpressions:
    FORM = _form_of_expressions()
    WANTED = dict(EXPRESSIONS["cases"])

    def test_the_answers_are_in_their_normal_form(self) -> None:
        values, faults = self.FORM.check(EXPRESSIONS["answers"], now=datetime.fromisoformat(EXPRESSIONS["now"]))

        assert faults == ()
        assert {name: values[name] for name in EXPRESSIONS["answers"] if name != "items"} == {
            name: answer for name, answer in EXPRESSIONS["answers"].items() if name != "items"
        }

    @pytest.mark.parametrize("text", WANTED)
    def test_on_the_server(self, text: str) -> None:
        """F3: every expression has the value that the table says."""
        values, _ = self.FORM.check(EXPRESSIONS["answers"], now=datetime.fromisoformat(EXPRESSIONS["now"]))

        assert agree(_results(values)[text], self.WANTED[text]), _results(values)[text]

    async def test_in_the_browser(self, tmp_path: Path) -> None:
        """F3: the browser calculates the same."""
        case = (self.FORM, EXPRESSIONS["answers"], EXPRESSIONS["now"])
        (found,) = await decided_in_browser([case], tmp_path)

        results = _results(found["values"])
        assert {text: value for text, value in results.items() if not agree(value, self.WANTED[text])} == {}
        assert agree(found, as_document(self.FORM.decide(case[1], datetime.fromisoformat(case[2]))))
