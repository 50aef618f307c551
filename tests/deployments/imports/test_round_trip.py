"""A definition that is written and read again is the same one (F6)."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pyxform.xls2xform import convert

from deployments.imports.contracts import DefinitionFormat, WriteDefinition
from deployments.imports.document import read_document, write_document
from deployments.imports.formats import write_definition
from deployments.imports.notices import Notices
from deployments.imports.surveyjs.reading import read_surveyjs
from deployments.imports.surveyjs.writing import write_surveyjs
from deployments.imports.xlsform.reading import read_xlsform
from deployments.imports.xlsform.writing import write_xlsform
from tests.deployments.imports.definitions import definitions
from tests.deployments.imports.reading import SHIPPED, SURVEYS
from tests.deployments.imports.samples import CHOICES, GOOGLE, SETTINGS, SURVEY, SURVEYJS, TYPEFORM, read, workbook

# Shrinking a document takes minutes and makes it little smaller; the failing one is shown as it was found.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
THOROUGH = settings(max_examples=40, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))

SAMPLES: dict[str, tuple[str, bytes]] = {
    "household": ("xlsform", workbook(survey=SURVEY, choices=CHOICES, settings=SETTINGS)),
    "google": ("google_csv", GOOGLE.encode()),
    "typeform": ("typeform_json", json.dumps(TYPEFORM).encode()),
    "surveyjs": ("surveyjs_json", json.dumps(SURVEYJS).encode()),
    "thanksgiving": ("surveymonkey_csv", SHIPPED.read_bytes()),
    "star wars": ("surveymonkey_csv", (SURVEYS / "StarWars.csv").read_bytes()),
    "flying": ("surveymonkey_csv", (SURVEYS / "flying-etiquette.csv").read_bytes()),
}


def xlsform(document: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    content = write_xlsform(document, "A form", Notices())
    return content, read_xlsform(io.BytesIO(content), Path()).form.definition.document()


def surveyjs(document: dict[str, Any]) -> dict[str, Any]:
    content = write_surveyjs(document, "A form", Notices())
    with tempfile.TemporaryDirectory() as folder:
        return read_surveyjs(io.BytesIO(content), Path(folder)).form.definition.document()


@THOROUGH
@given(definitions())
def test_formstream_json(document: dict[str, Any]) -> None:
    """F5, F6: import, export, import is the identity."""
    content = write_document(document)
    assert read_document(io.BytesIO(content), Path()).form.definition.document() == document


@THOROUGH
@given(definitions())
def test_surveyjs_json(document: dict[str, Any]) -> None:
    """F6: what SurveyJS cannot say comes back all the same."""
    assert surveyjs(document) == document


@THOROUGH
@given(definitions())
def test_xlsform(document: dict[str, Any]) -> None:
    """F6: what XLSForm cannot say comes back all the same."""
    assert xlsform(document)[1] == document


@settings(THOROUGH, max_examples=15)  # their converter takes a second for each
@given(definitions())
def test_every_xlsform_is_one_to_its_own_converter(document: dict[str, Any]) -> None:
    """F6: pyxform, which ODK and its relatives use, takes what is written."""
    content, _ = xlsform(document)
    assert convert(xlsform=content, warnings=[]).xform


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_came_from_elsewhere_leaves_and_comes_back_the_same(sample: str, tmp_path: Path) -> None:
    """F6: real surveys and samples of each format, by every format that definitions are written in."""
    name, content = SAMPLES[sample]
    document = read(name, content, tmp_path).form.definition.document()

    for each in get_args(DefinitionFormat):
        command = WriteDefinition(form_id="frm_1", slug="it", title="A form", definition=document, format=each)
        written = write_definition(command)
        assert read(each, written.content, tmp_path / each).form.definition.document() == document, each
