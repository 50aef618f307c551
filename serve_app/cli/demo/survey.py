"""The survey that the demo imports."""

from pathlib import Path

import serve_app
from serve_app.cli.failure import CommandFailed

NAME = "thanksgiving-2015.csv"
SOURCE = "FiveThirtyEight, CC BY 4.0"


def find() -> Path:
    """The example in the checkout, or below the current folder. Raises CommandFailed."""
    for root in (Path(serve_app.__file__).parents[1], Path.cwd()):
        path = root / "examples" / NAME
        if path.is_file():
            return path
    raise CommandFailed(f"The example {NAME} is not installed; name a SurveyMonkey export with --file.")
