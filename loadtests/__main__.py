"""`python -m loadtests [options of Locust]`: these scenarios, on the local platform unless told otherwise."""

import os
import sys
from pathlib import Path

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
DEFAULT_HOST = "http://127.0.0.1:8000"


def main(arguments: list[str]) -> None:
    """Become Locust. Scenarios are named by class: `python -m loadtests PublicSubmit -u 100 -t 1m --headless`."""
    os.environ.setdefault("LOCUST_HOST", DEFAULT_HOST)
    root = str(LOCUSTFILE.parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
