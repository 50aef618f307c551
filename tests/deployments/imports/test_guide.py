"""The guide's tables say what the importers do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deployments.imports.target import nearest
from tests.architecture.rooms import ROOT
from tests.deployments.imports.samples import elements, read, workbook

GUIDE = (ROOT / "docs" / "guides" / "importing.md").read_text()
SOURCES = ROOT / "deployments" / "imports"
LEGACY = SOURCES / "legacy"
LEGACY_GUIDE = (ROOT / "docs" / "guides" / "legacy-import.md").read_text()
CODE = re.compile(r'"((?:type|logic|language|metadata|text|row|mark|answers|time|files?|choice)\.[a-z_]+)"')
OPTIONS = [{"id": "a", "ref": "a", "label": "A"}]


def table(heading: str) -> list[tuple[str, str]]:
    section = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)


def _typeform(kind: str) -> str:
    inner = [{"ref": "row", "title": "Row", "type": "multiple_choice", "properties": {"choices": OPTIONS}}]
    properties: dict[str, Any] = {"choices": OPTIONS, "fields": inner if kind in ("matrix", "group") else []}
    return json.dumps({"fields": [{"ref": "q", "title": "Q", "type": kind, "properties": properties}]})


def _surveyjs(kind: str) -> str:
    question: dict[str, Any] = {"type": kind, "name": "q", "expression": "1 + 1", "html": "<p>Q</p>"}
    if kind not in ("rating", "html", "expression"):
        question |= {"choices": ["a"], "rows": ["r"], "items": [{"name": "i"}]}
        question["columns"] = [{"name": "c"}] if kind == "matrixdropdown" else ["c"]
    return json.dumps({"elements": [question]})


def _xlsform(kind: str) -> bytes:
    rows = [("type", "name", "label", "calculation"), (kind, "q", "Q", "1 + 1" if kind == "calculate" else None)]
    return workbook(survey=rows, choices=[("list_name", "name", "label"), ("list", "a", "A")])


@pytest.mark.parametrize(
    ("name", "kind", "becomes"),
    [
        (name, *row)
        for name, heading in (("typeform_json", "Typeform"), ("surveyjs_json", "SurveyJS"), ("xlsform", "XLSForm"))
        for row in table(heading)
    ],
)
def test_a_type_becomes_what_the_table_says(name: str, kind: str, becomes: str, tmp_path: Path) -> None:
    """F6: the nearest type that the engine has."""
    make: Any = {"typeform_json": _typeform, "surveyjs_json": _surveyjs, "xlsform": _xlsform}[name]
    (first, *_) = elements(read(name, make(kind), tmp_path)).values()
    assert first["type"] == nearest(becomes)[0]


def test_the_tables_are_there() -> None:
    assert [len(table(heading)) > 15 for heading in ("Typeform", "SurveyJS", "XLSForm")] == [True] * 3


def test_every_code_is_explained() -> None:
    """F6: stable codes."""
    sources = (path for path in SOURCES.rglob("*.py") if LEGACY not in path.parents)
    codes = {code for path in sources for code in CODE.findall(path.read_text())}
    explained = re.findall(r"^\| `([a-z_]+)\.(\*|[a-z_]+)` \|", GUIDE, re.MULTILINE)
    known = {f"{family}.{name}" for family, name in explained if name != "*"}
    families = {family for family, name in explained if name == "*"}
    assert len(codes) > 15
    assert not {code for code in codes if code not in known and code.partition(".")[0] not in families}


def test_every_code_of_another_backend_is_explained() -> None:
    """O6: names of collections, methods, problems and of the audit trail are no codes of a report."""
    code = re.compile(r'"((?!legacy|fs|files|spool)[a-z]+\.[a-z_]+)"')
    codes = {found for path in LEGACY.rglob("*.py") for found in code.findall(path.read_text())}
    explained = set(re.findall(r"`([a-z]+\.(?:[a-z_]+|\*))`", LEGACY_GUIDE))
    assert len(codes) > 40
    assert not {code for code in codes if not {code, f"{code.partition('.')[0]}.*"} & explained}
