"""What is carried over from another backend: what became of each thing, and how it is known to be as it was made."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a thing: `id` is its new one, and `stored` the checksum of what was stored. With a `problem`
    nothing was. `notes` tell by pointer what could not be taken as it was."""

    id: str = ""
    stored: str = ""
    problem: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Which of some things were removed again, and why others were not, by their ids."""

    removed: frozenset[str]
    kept: Mapping[str, str]


def checksum(*values: Any) -> str:
    """The checksum of stored values: the same whichever database they were read from."""
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()
