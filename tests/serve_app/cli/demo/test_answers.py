"""Made-up answers are answers that the form takes."""

import random
import typing
from typing import Any

import pytest

from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.engine.fields import ELEMENT_TYPES
from serve_app.cli.demo.answers import answers_to

OPTIONS = [{"id": name, "label": name.title()} for name in ("corn", "yams", "peas", "rice")]
NEEDS: dict[str, dict[str, Any]] = {
    "choice": {"options": OPTIONS, "allow_other": True},
    "dropdown": {"options": OPTIONS},
    "multi_choice": {"options": OPTIONS, "validation": {"min_choices": 2, "max_choices": 3}},
    "ranking": {"options": OPTIONS},
    "matrix": {"rows": OPTIONS, "columns": OPTIONS},
    "matrix_multi": {"rows": OPTIONS, "columns": OPTIONS},
    "currency": {"currency": "EUR"},
    "number": {"validation": {"min": 3, "max": 4}},
    "integer": {"validation": {"max": -5}},
    "short_text": {"validation": {"min_length": 20, "max_length": 25}},
    "scale": {"min": -2, "max": 2},
    "address": {"required_parts": ["street", "city", "country"]},
    "calculated": {"value": "1 + 1"},
    "group": {"elements": [{"id": "inner", "type": "nps", "title": "Inner"}], "min_items": 3},
    "section": {"elements": [{"id": "inner", "type": "nps", "title": "Inner"}]},
}
NO_ANSWER = {"statement", "hidden", "file", "image", "signature", "calculated"}


KINDS = [typing.get_args(element.model_fields["type"].annotation)[0] for element in ELEMENT_TYPES]


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_gets_a_valid_answer(kind: str) -> None:
    element = {"id": "question", "type": kind, "title": "A question", **NEEDS.get(kind, {})}
    definition = {"pages": [{"id": "page", "elements": [element]}]}
    form = compile_form(parse_definition(definition))
    for seed in range(20):
        answers = answers_to(definition, random.Random(seed))
        expected = {"inner" if kind == "section" else "question"}
        assert (set(answers) == expected) == (kind not in NO_ANSWER)
        assert form.check(answers)[1] == ()
