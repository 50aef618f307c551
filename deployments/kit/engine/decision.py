"""What a form looks like after some answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.kit.errors import Fault


@dataclass(frozen=True, slots=True)
class Decision:
    """The elements that are shown, the pages that are reached in their order, and what follows from the answers.

    `visible` and `required` are ids; elements of groups stand as `<group>/<index>/<id>`, the index being that of the
    item in the answers as they were given. `values` are the calculated ones, `faults` those of the rules over several
    answers.
    """

    visible: frozenset[str]
    pages: tuple[str, ...]
    required: frozenset[str]
    values: Mapping[str, Any]
    faults: tuple[Fault, ...]
