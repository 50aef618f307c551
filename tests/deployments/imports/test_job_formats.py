"""The import job with every format: forms, responses once, and what could not be carried over."""

import json
from typing import Any

import orjson
import pytest

from deployments.imports.formats import READERS
from deployments.imports.handlers import ImportJob
from eventing.jobs import GiveUp
from tests.deployments.imports.conftest import TENANT, Bench
from tests.deployments.imports.samples import (
    CHOICES,
    GOOGLE,
    SETTINGS,
    SURVEY,
    SURVEYJS,
    SURVEYJS_RESULTS,
    TYPEFORM,
    TYPEFORM_RESPONSES,
    workbook,
)
from tests.deployments.imports.test_handlers import SMALL

DEFINITION = {"pages": [{"id": "p", "elements": [{"id": "a", "type": "nps", "title": "A"}]}], "languages": ["en"]}
FILES: dict[str, tuple[bytes | str, int, int]] = {
    "surveymonkey_csv": (SMALL, 3, 0),
    "google_csv": (GOOGLE, 5, 1),
    "typeform_json": (json.dumps({"form": TYPEFORM, "responses": TYPEFORM_RESPONSES}), 2, 1),
    "surveyjs_json": (json.dumps({"survey": SURVEYJS, "results": SURVEYJS_RESULTS}), 2, 2),
    "xlsform": (workbook(survey=SURVEY, choices=CHOICES, settings=SETTINGS), 0, 0),
    "formstream_json": (json.dumps({"slug": "x", "definition": DEFINITION}), 0, 0),
}


@pytest.fixture
def importing(bench: Bench) -> ImportJob:
    return ImportJob(bench.objects, bench.forms, bench.responses)


async def result(importing: ImportJob, bench: Bench, name: str, **command: Any) -> dict[str, Any]:
    done = await importing.run(bench.job(await bench.upload(FILES[name][0], format=name, **command)))
    assert done.result is not None
    assert orjson.loads(orjson.dumps(done.result)) == done.result
    return done.result


def test_every_format_has_its_file() -> None:
    assert FILES.keys() == READERS.keys()


@pytest.mark.parametrize("name", FILES)
class TestEveryFormat:
    async def test_a_second_import_adds_none(self, name: str, bench: Bench, importing: ImportJob) -> None:
        """F6: everybody once, broken ones reported, however often the file comes."""
        imported, broken = FILES[name][1:]
        first = await result(importing, bench, name)
        second = await result(importing, bench, name)
        assert (first["imported"], first["skipped"], first["errors_total"]) == (imported, 0, broken)
        assert (second["imported"], second["skipped"], second["errors_total"]) == (0, imported, broken)
        assert first["form_id"] == second["form_id"] == bench.forms.forms[TENANT, "survey"].id

    async def test_a_dry_run_reports_the_same_and_stores_nothing(
        self, name: str, bench: Bench, importing: ImportJob
    ) -> None:
        """F6: dry run."""
        dry = await result(importing, bench, name, dry_run=True)
        assert (bench.forms.forms, bench.responses.rows) == ({}, {})
        real = await result(importing, bench, name)
        assert (dry["rows"], dry["errors_total"]) == (real["imported"], real["errors_total"])
        assert [error["line"] for error in dry["errors"]] == [error["line"] for error in real["errors"]]
        assert dry["warnings"] == real["warnings"]
        assert all(warning.keys() == {"where", "code", "detail"} for warning in real["warnings"])


async def test_a_definition_without_responses_stays_a_draft(bench: Bench, importing: ImportJob) -> None:
    """F6: its owner looks at it and publishes it."""
    await result(importing, bench, "formstream_json")
    form = bench.forms.forms[TENANT, "survey"]
    assert (form.definition, form.version) == (DEFINITION, None)


async def test_answers_that_the_logic_does_not_ask_for_are_kept(bench: Bench, importing: ImportJob) -> None:
    """F6: none is lost; the second answer was hidden in the other system or its condition was another one."""
    first = {"type": "text", "name": "a"}
    second = {"type": "text", "name": "b", "visibleIf": "{a} = 'x'"}
    content = json.dumps({"survey": {"elements": [first, second]}, "results": [{"a": "y", "b": "kept"}]})
    done = await importing.run(bench.job(await bench.upload(content, format="surveyjs_json")))
    assert done.result is not None
    (rows,) = bench.responses.rows.values()
    (row,) = rows.values()
    assert (row.answers, row.meta["hidden_answers"]) == ({"a": "y"}, {"b": "kept"})
    assert [warning["code"] for warning in done.result["warnings"]] == ["answers.hidden"]


async def test_a_definition_with_faults_is_refused_with_each(bench: Bench, importing: ImportJob) -> None:
    """F6: Formstream's own format is taken as it is or not at all."""
    broken = {"pages": [{"id": "p", "elements": [{"id": "a", "type": "hologram", "title": "A"}]}]}
    command = await bench.upload(json.dumps(broken), format="formstream_json")
    with pytest.raises(GiveUp, match=r"/pages/0/elements/0/type: .*\(definition.unknown_type\)"):
        await importing.run(bench.job(command))
