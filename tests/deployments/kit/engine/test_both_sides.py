"""F3: server and browser decide the same, by one table of cases and by whatever Hypothesis thinks of."""

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from deployments.kit.engine import CompiledForm, compile_form, parse_definition
from tests.deployments.kit.engine.browser import Case, agree, as_document, decided_in_browser
from tests.deployments.kit.engine.forms import every_type, faults_of, make_element, make_form
from tests.deployments.kit.engine.strategies import definitions, form_answers, moments
from tests.deployments.kit.engine.test_form import json_values

HERE = Path(__file__).parent
NOW = "2026-03-01T12:00:00Z"
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
    WANTED: ClassVar[dict[str, Any]] = dict(EXPRESSIONS["cases"])

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


class TestDecisions:
    """F3: what is shown, reached, required, calculated and refused, by a table of forms."""

    FORMS = json.loads((HERE / "decisions.json").read_text())

    def _cases(self) -> list[tuple[str, Case, dict[str, Any]]]:
        return [
            (f"{form['name']}: {case['answers']}", (compiled, case["answers"], form.get("now", NOW)), case)
            for form in self.FORMS
            for compiled in [compile_form(parse_definition(form["definition"]))]
            for case in form["cases"]
        ]

    def test_on_the_server(self) -> None:
        for name, (form, answers, now), wanted in self._cases():
            found = as_document(form.decide(answers, datetime.fromisoformat(now)))
            for key in wanted.keys() - {"answers"}:
                assert agree(found[key], wanted[key]), (name, key, found[key])

    async def test_in_the_browser(self, tmp_path: Path) -> None:
        cases = self._cases()
        found = await decided_in_browser([case for _, case, _ in cases], tmp_path)

        for (name, _, wanted), decision in zip(cases, found, strict=True):
            for key in wanted.keys() - {"answers"}:
                assert agree(decision[key], wanted[key]), (name, key, decision[key])


@cache
def _generated() -> tuple[Case, ...]:
    cases: list[Case] = []

    @settings(
        max_examples=150,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(definition=definitions(), answers=form_answers, now=moments)
    def collect(definition: dict[str, Any], answers: dict[str, Any], now: str) -> None:
        # Nothing but circles is wrong with what the strategy makes.
        faults = faults_of(definition)
        assert {fault.code for fault in faults} <= {"definition.cycle"}, faults
        assume(not faults)
        cases.append((compile_form(parse_definition(definition)), answers, now))

    collect()
    return tuple(cases)


async def test_any_form_and_answers_are_decided_alike(tmp_path: Path) -> None:
    """F3: server and browser agree on random forms, expressions and answers."""
    cases = _generated()
    found = await decided_in_browser(cases, tmp_path)

    for (form, answers, now), decision in zip(cases, found, strict=True):
        mine = as_document(form.decide(answers, datetime.fromisoformat(now)))
        assert agree(mine, decision), (form.definition.document(), answers, now)


async def test_what_the_server_accepts_the_browser_would_send(tmp_path: Path) -> None:
    """F3: the answers that are kept are those that the browser shows, and the broken rules are the same."""
    cases = _generated()
    found = await decided_in_browser(cases, tmp_path)

    compared = 0
    for (form, answers, now), decision in zip(cases, found, strict=True):
        values, faults = form.check(answers, now=datetime.fromisoformat(now))
        again, _ = form.check(values, partial=True, now=datetime.fromisoformat(now))
        assert agree(again, values)
        if any(fault.pointer.startswith("/answers/g1/") for fault in faults):
            continue  # The group is refused, so what depends on it is not decided.
        compared += 1
        shown = set(decision["visible"])
        assert values.keys() <= shown
        assert {name for name in answers if name in shown} <= values.keys() | {"b2", "g1"}
        calculated = {name: value for name, value in decision["values"].items() if "/" not in name}
        assert agree({name: values[name] for name in values if name in calculated}, calculated)
        missing = {fault.pointer for fault in faults if fault.code == "required"}
        assert missing <= {f"/answers/{name}" for name in decision["required"]}
        assert {(fault.pointer, fault.code) for fault in faults if fault.code.startswith("rule.")} == {
            (fault["pointer"], fault["code"]) for fault in decision["faults"]
        }
    assert compared > len(cases) / 3


async def test_the_browser_bears_whatever_is_typed(tmp_path: Path) -> None:
    """F3: half-filled and nonsensical answers, which the server refuses, do not stop the page."""
    form = make_form(*every_type())
    hostile: list[Any] = []

    @settings(max_examples=150, database=None, deadline=None, phases=[Phase.generate])
    @given(answers=st.dictionaries(st.sampled_from([field.id for field in form.definition.fields]), json_values))
    def collect(answers: dict[str, Any]) -> None:
        hostile.append(json.loads(json.dumps(answers), parse_constant=str))  # JSON has no NaN
        assert form.decide(answers).pages == ("p1",)

    collect()
    found = await decided_in_browser([(form, answers, NOW) for answers in hostile], tmp_path)

    assert [decision["pages"] for decision in found] == [["p1"]] * len(hostile)


async def test_the_browser_takes_a_time_in_any_shape(tmp_path: Path) -> None:
    """F3: the page gives its clock as it has it."""
    form = make_form(make_element("calculated", value="now()"))
    cases: list[Any] = [(form, {}, now) for now in (0, "1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00.999Z")]
    found = await decided_in_browser(cases, tmp_path)

    assert [decision["values"] for decision in found] == [{"field": "1970-01-01T00:00:00Z"}] * 3
