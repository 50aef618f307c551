"""Figures with what they were measured on: printed by the commands, kept as JSON, compared between commits."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import measured_on


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, its unit, and what it was measured under, such as `database=sqlite connections=256`."""

    name: str
    under: str
    value: float
    unit: str
    more_is_better: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What it is a figure of."""
        return self.name, self.under

    @property
    def conditions(self) -> dict[str, str]:
        """What it was measured under, by name; what has no value, such as `idle`, is empty."""
        return {name: value for name, _, value in (each.partition("=") for each in self.under.split())}


def save(path: Path, figures: Iterable[Figure], **more: Any) -> None:
    """Write the figures with the machine, the versions, the commit and the time, and whatever `more` there is."""
    kept: dict[str, Any] = {**measured_on(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    kept |= {"figures": [asdict(figure) for figure in figures], **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n")


def load(path: Path) -> list[Figure]:
    """The figures of a file that `save` wrote. Raises ValueError when it is none."""
    try:
        return [Figure(**each) for each in json.loads(path.read_text())["figures"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no figures") from error
