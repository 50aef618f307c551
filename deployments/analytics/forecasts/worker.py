"""The process that learns from figures: a line of JSON for each line. Ends when nobody asks for a while.

Statistics take a second to import, 200 MB and whole cores: none of that is for the process that answers requests.
"""

import json
import os
import select
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

_IDLE_S: Final = 60.0


def _expect(asked: dict[str, Any]) -> dict[str, Any]:
    from deployments.analytics.forecasts.expecting import expect

    return asdict(expect(asked["values"], asked["measure"], asked["bucket"], asked["ahead"], asked["level"]))


def _judge(asked: dict[str, Any]) -> dict[str, Any]:
    from deployments.analytics.forecasts.expecting import Judgement, judge

    found = judge(asked["values"], asked["measure"], asked["bucket"], asked["z"])
    return asdict(found) | ({"is_unusual": found.is_unusual} if isinstance(found, Judgement) else {})


def _compare(asked: dict[str, Any]) -> dict[str, Any]:
    from deployments.analytics.forecasts.drifting import Sides, compare

    return {"fields": [asdict(each) for each in compare([Sides(**each) for each in asked["fields"]])]}


TASKS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "expect": _expect,
    "judge": _judge,
    "compare": _compare,
}
"""What can be asked for."""


def main(idle_s: float) -> None:
    """Answer until nobody asks any more."""
    os.nice(5)
    while select.select([sys.stdin], [], [], idle_s)[0] and (line := sys.stdin.buffer.readline()):
        task, asked = json.loads(line)
        try:
            said = TASKS[task](asked)
        except Exception as error:  # noqa: BLE001 - a series that cannot be learned from must not end the process
            said = {"failed": f"{type(error).__name__}: {error}"[:500]}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else _IDLE_S)
