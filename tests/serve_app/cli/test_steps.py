"""What is shown while something is done."""

import io
import re

import pytest
from rich.console import Console

from serve_app.cli.steps import Steps


def test_lines_where_there_is_no_terminal() -> None:
    output = io.StringIO()
    steps = Steps(Console(file=output))
    with steps.step("Start it"):
        assert "… Start it" in output.getvalue()
    assert re.search(r"✓ Start it +\d+\.\d s", output.getvalue())


def test_a_failed_step_is_marked() -> None:
    output = io.StringIO()
    steps = Steps(Console(file=output, force_terminal=True))
    with pytest.raises(RuntimeError), steps.step("Start it"):
        raise RuntimeError
    assert "✗ Start it" in output.getvalue()


def test_a_terminal_is_told_how_far_a_step_is() -> None:
    output = io.StringIO()
    steps = Steps(Console(file=output, force_terminal=True))
    with steps.step("Copy"):
        steps.report(3, 5_000)
    steps.report(4)  # of no step
    assert "Copy: 3 of 5,000" in output.getvalue()
