"""T1: every switch does something, and the page of switches says what the code asks."""

import ast

from deployments.kit.features import FEATURES
from serve_app.cli.features_reference import reference
from tests.architecture.rooms import ROOMS, ROOT, sources, tree_of

ASKED_BY = {"require_feature", "is_enabled"}


def _asked() -> set[str]:
    return {
        argument.value
        for path in sources(*ROOMS)
        if path.name != "features.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ASKED_BY
        for argument in node.args[1:]
        if isinstance(argument, ast.Constant)
    }


def test_every_feature_is_asked_for_somewhere_and_nothing_else_is() -> None:
    assert _asked() == FEATURES.keys()


def test_the_page_is_what_the_command_prints() -> None:
    """After a change: `formstream features > docs/features.md`."""
    assert (ROOT / "docs" / "features.md").read_text() == reference()
