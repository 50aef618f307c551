"""Answers that a form does not take are no reason to lose a response: they are put aside, and the others stay."""

from collections.abc import Mapping
from typing import Any, Final

from deployments.kit.engine import CompiledForm

HIDDEN: Final = "answer.hidden"


def set_aside(rules: CompiledForm, answers: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The answers that the form takes, those that it refuses or does not ask for, and the codes of why by pointer."""
    kept, faults = rules.check(answers, partial=True)
    if not faults and kept.keys() >= answers.keys():
        return kept, {}, {}
    aside = {name: answer for name, answer in answers.items() if name not in kept}
    notes = {fault.pointer: fault.code for fault in faults}
    named = {pointer.split("/")[2] for pointer in notes if pointer.startswith("/answers/")}
    for name, answer in answers.items():
        if name in aside and name not in named and answer not in (None, "", [], {}):
            notes[f"/answers/{name}"] = HIDDEN
    return kept, aside, notes
