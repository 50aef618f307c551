"""The load that is generated is load of the right kind: a form that is valid, answers that are taken or refused."""

import ast
import json
import random
from pathlib import Path

import pytest

from deployments.kit.engine import compile_form, parse_definition
from loadtests.common import survey, table
from loadtests.run import summary
from loadtests.settings import Administrator, administrator
from tests.architecture.rooms import ROOT, sources, tree_of

FORM = compile_form(parse_definition(survey.DEFINITION))


def test_answers_are_taken() -> None:
    chance = random.Random(1)

    for _ in range(500):
        given = survey.answers(chance)
        values, faults = FORM.check(json.loads(json.dumps(given)))
        assert faults == ()
        assert values.keys() == given.keys()


def test_wrong_answers_are_refused_for_two_reasons() -> None:
    chance = random.Random(2)

    for _ in range(100):
        _, faults = FORM.check(survey.wrong_answers(chance))
        assert sorted(fault.code for fault in faults) == ["format.email", "range.min"]


def test_every_scenario_says_what_it_imitates() -> None:
    for path in sources("loadtests/scenarios"):
        assert ast.get_docstring(tree_of(path)), path


def test_the_locustfile_only_names_scenarios() -> None:
    tree = tree_of(ROOT / "loadtests" / "locustfile.py")
    scenarios = {path.stem for path in sources("loadtests/scenarios")} - {"__init__"}
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]

    assert {node.module for node in imports} == {f"loadtests.scenarios.{name}" for name in scenarios}
    assert all(isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign) for node in tree.body)


def test_the_page_of_a_run_says_for_each_number_of_users_how_it_was() -> None:
    row = dict(zip(table.COLUMNS, ("submit", 7, 0, 3.2, 9, 30, 50), strict=True))

    page = summary("PublicSubmit", {100: (0, [row]), 1000: (1, [])})

    assert "## 100 users: good enough" in page
    assert "| submit | 7 | 0 | 3.2 | 9 | 30 | 50 |" in page
    assert "## 1,000 users: NOT good enough" in page


class TestAdministrator:
    @pytest.fixture(autouse=True)
    def _bare(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("LOADTEST_ADMIN_EMAIL", "LOADTEST_ADMIN_PASSWORD"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(tmp_path))

    def test_from_the_data_folder(self, tmp_path: Path) -> None:
        (tmp_path / "admin.json").write_text('{"email": "admin@localhost", "password": "kept"}')

        assert administrator() == Administrator("admin@localhost", "kept")

    def test_the_environment_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "admin.json").write_text('{"email": "admin@localhost", "password": "kept"}')
        monkeypatch.setenv("LOADTEST_ADMIN_EMAIL", "ops@example.com")
        monkeypatch.setenv("LOADTEST_ADMIN_PASSWORD", "given")

        assert administrator() == Administrator("ops@example.com", "given")

    @pytest.mark.parametrize("content", [None, "", "{}"])
    def test_nowhere(self, content: str | None, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "admin.json").write_text(content)

        with pytest.raises(LookupError, match="LOADTEST_ADMIN_EMAIL"):
            administrator()
