"""The import job: everything in once, whatever happens on the way."""

from collections import Counter
from pathlib import Path

import pytest

from deployments.forms.contracts import CreateForm
from deployments.imports.handlers import DISCARD, DiscardFile, ImportJob
from deployments.imports.report import MAX_ERRORS
from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.errors import Unavailable
from deployments.kit.principal import Principal
from eventing.jobs import GiveUp, JobCancelled
from tests.deployments.imports.conftest import TENANT, Bench
from tests.deployments.imports.reading import SHIPPED
from tests.deployments.imports.test_decoding import PNG

SMALL = "RespondentID,EndDate,Do you fly?,Why?\n1,01/02/2024 10:00,Yes,a\n2,01/03/2024 11:00,No,b\n3,,Yes,c\n"
SYSTEM = Principal.system(TENANT, "import")


@pytest.fixture
def importing(bench: Bench) -> ImportJob:
    return ImportJob(bench.objects, bench.forms, bench.responses)


class TestImport:
    async def test_makes_the_form_and_brings_everybody_in(self, bench: Bench, importing: ImportJob) -> None:
        """F6: a real survey arrives whole, in batches, with progress."""
        command = await bench.upload(SHIPPED.read_bytes(), slug="thanksgiving", title="Thanksgiving 2015")
        done = await importing.run(bench.job(command))
        form = bench.forms.forms[TENANT, "thanksgiving"]
        assert done.result == {
            "form_id": form.id,
            "imported": 1058,
            "skipped": 0,
            "errors": [],
            "errors_total": 0,
            "warnings": [],
            "warnings_total": 0,
        }
        assert (form.title, form.status, form.version) == ("Thanksgiving 2015", "published", 1)
        assert len(bench.responses.rows[form.id]) == 1058
        assert sum(bench.responses.sizes) == 1058
        assert max(bench.responses.sizes) <= 200
        assert bench.responses.principals == {SYSTEM}
        assert bench.reports[0] == (0, 1058)

    async def test_the_result_survives_a_second_import_of_the_same_file(
        self, bench: Bench, importing: ImportJob
    ) -> None:
        command = await bench.upload(SMALL)
        first = await importing.run(bench.job(command))
        second = await importing.run(bench.job(command))
        assert first.result is not None
        assert second.result == {**first.result, "imported": 0, "skipped": 3}

    async def test_a_longer_export_of_the_same_survey_adds_what_is_new(
        self, bench: Bench, importing: ImportJob
    ) -> None:
        await importing.run(bench.job(await bench.upload(SMALL)))
        done = await importing.run(bench.job(await bench.upload(SMALL + "4,,No,d\n")))
        assert done.result is not None
        assert (done.result["imported"], done.result["skipped"]) == (1, 3)

    async def test_keeps_the_time_of_each_response(self, bench: Bench, importing: ImportJob) -> None:
        await importing.run(bench.job(await bench.upload(SMALL)))
        (rows,) = bench.responses.rows.values()
        assert [row.submitted_at and row.submitted_at.isoformat() for row in rows.values()] == [
            "2024-01-02T10:00:00+00:00",
            "2024-01-03T11:00:00+00:00",
            None,
        ]

    async def test_goes_on_after_a_failure_in_the_middle(self, bench: Bench, importing: ImportJob) -> None:
        """F6: nobody twice, nobody lost."""
        command = await bench.upload(SHIPPED.read_bytes())
        bench.responses.batches = 3
        with pytest.raises(Unavailable):
            await importing.run(bench.job(command))
        assert await bench.has_file(command)
        bench.responses.batches = None
        done = await importing.run(bench.job(command))
        assert done.result is not None
        assert (done.result["imported"], done.result["skipped"]) == (1058 - 600, 600)
        (rows,) = bench.responses.rows.values()
        assert len(rows) == 1058

    async def test_goes_on_after_a_failure_between_making_and_publishing(
        self, bench: Bench, importing: ImportJob
    ) -> None:
        command = await bench.upload(SMALL)
        bench.forms.publish_fails = True
        with pytest.raises(Unavailable):
            await importing.run(bench.job(command))
        bench.forms.publish_fails = False
        done = await importing.run(bench.job(command))
        assert done.result is not None
        assert done.result["imported"] == 3

    async def test_shares_the_form_with_an_import_that_was_faster(self, bench: Bench, importing: ImportJob) -> None:
        command = await bench.upload(SMALL)
        await importing.run(bench.job(command))
        definition = bench.forms.forms.pop((TENANT, "survey")).definition
        bench.forms.rival = CreateForm(slug="survey", title="Rival", definition=definition)
        done = await importing.run(bench.job(command))
        assert done.result is not None
        assert done.result["form_id"] == bench.forms.forms[TENANT, "survey"].id
        assert done.result["imported"] == 3

    async def test_broken_rows_are_listed_by_line_and_cost_nobody_else(
        self, bench: Bench, importing: ImportJob
    ) -> None:
        """F6: broken rows reported, none lost."""
        text = f'{SMALL}4,,Yes,"x\ny",stray\n5,,No,{"z" * 100_001}\n6,,No,fine\n7,,"open,x\n8,,Yes,y\n'
        done = await importing.run(bench.job(await bench.upload(text)))
        assert done.result is not None
        assert done.result["imported"] == 5
        assert done.result["errors_total"] == 3
        assert [error["line"] for error in done.result["errors"]] == [5, 7, 9]
        assert "5 cells" in done.result["errors"][0]["detail"]
        (rows,) = bench.responses.rows.values()
        assert list(rows) == ["1", "2", "3", "6", "8"]

    async def test_the_list_of_broken_rows_is_bounded(self, bench: Bench, importing: ImportJob) -> None:
        text = SMALL + "".join(f"{n},,,,stray\n" for n in range(10, 1510))
        done = await importing.run(bench.job(await bench.upload(text)))
        assert done.result is not None
        assert (len(done.result["errors"]), done.result["errors_total"]) == (MAX_ERRORS, 1500)

    async def test_batches_are_bounded_in_bytes_too(self, bench: Bench, importing: ImportJob) -> None:
        text = "RespondentID,Why?\n" + "".join(f"{n},{'x' * 90_000}{n}\n" for n in range(40))
        done = await importing.run(bench.job(await bench.upload(text)))
        assert done.result is not None
        assert done.result["imported"] == 40
        assert max(bench.responses.sizes) <= 12

    async def test_tells_what_was_unreadable(self, bench: Bench, importing: ImportJob) -> None:
        done = await importing.run(bench.job(await bench.upload("Q,Why?\nYes,é\nNo,ü\nYes,".encode() + b"\xff\n")))
        assert done.result is not None
        assert [(warning["code"], warning["detail"]) for warning in done.result["warnings"]] == [
            ("file.replaced", "1 characters could not be read and were replaced; lines: 4."),
            (
                "responses.without_id",
                "The file has no column RespondentID; responses are recognised by their text.",
            ),
        ]

    async def test_ends_when_it_is_cancelled(self, bench: Bench, importing: ImportJob) -> None:
        bench.cancelled = True
        with pytest.raises(JobCancelled):
            await importing.run(bench.job(await bench.upload(SMALL)))
        assert bench.forms.forms == {}


class TestGivingUp:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "The file is empty"),
            (PNG, "not text"),
            (b"RespondentID,Why?\n", "no response below the header"),
            (b"<html><body>login</body></html>", "web page"),
            (("RespondentID," + ",".join(f"Q{n}" for n in range(1200)) + "\n1,x\n").encode(), "make no form"),
        ],
    )
    async def test_says_what_is_wrong_with_the_file(
        self, content: bytes, reason: str, bench: Bench, importing: ImportJob
    ) -> None:
        command = await bench.upload(content)
        with pytest.raises(GiveUp, match=reason):
            await importing.run(bench.job(command))
        assert await bench.has_file(command)
        assert bench.forms.forms == {}

    async def test_a_form_with_other_questions_is_left_alone(self, bench: Bench, importing: ImportJob) -> None:
        await importing.run(bench.job(await bench.upload(SMALL)))
        other = await bench.upload(SMALL.replace("Why?", "Where?"))
        with pytest.raises(GiveUp, match="survey has other questions than this file"):
            await importing.run(bench.job(other))
        (rows,) = bench.responses.rows.values()
        assert len(rows) == 3

    async def test_a_draft_that_was_changed_meanwhile_does_not_matter(self, bench: Bench, importing: ImportJob) -> None:
        await importing.run(bench.job(await bench.upload(SMALL)))
        bench.forms.put(
            SYSTEM, bench.forms.forms[TENANT, "survey"], definition={"pages": [{"id": "p", "elements": []}]}
        )
        done = await importing.run(bench.job(await bench.upload(SMALL)))
        assert done.result is not None
        assert done.result["skipped"] == 3

    async def test_an_archived_form_is_left_alone(self, bench: Bench, importing: ImportJob) -> None:
        await importing.run(bench.job(await bench.upload(SMALL)))
        bench.forms.put(SYSTEM, bench.forms.forms[TENANT, "survey"], status="archived")
        with pytest.raises(GiveUp, match="archived"):
            await importing.run(bench.job(await bench.upload(SMALL)))

    async def test_a_file_that_is_gone_cannot_be_imported(self, bench: Bench, importing: ImportJob) -> None:
        command = await bench.upload(SMALL)
        await bench.objects.delete(command.file)
        with pytest.raises(GiveUp, match="Upload it again"):
            await importing.run(bench.job(command))


class TestDryRun:
    async def test_tells_what_an_import_would_do_and_stores_nothing(self, bench: Bench, importing: ImportJob) -> None:
        """F6: dry run with a report."""
        text = f"{SMALL}4,,Yes,x,stray\n5,,No,{'z' * 100_001}\n"
        done = await importing.run(bench.job(await bench.upload(text, dry_run=True)))
        assert done.result is not None
        assert done.result["questions"] == [
            {"id": "respondent_id", "type": "hidden", "title": "RespondentID", "options": 0},
            {"id": "end_date", "type": "hidden", "title": "EndDate", "options": 0},
            {"id": "do_you_fly", "type": "choice", "title": "Do you fly?", "options": 2},
            {"id": "why", "type": "long_text", "title": "Why?", "options": 0},
        ]
        assert (done.result["dry_run"], done.result["form_id"], done.result["rows"]) == (True, None, 3)
        assert [error["line"] for error in done.result["errors"]] == [5, 6]
        assert (done.result["encoding"], done.result["header_rows"], done.result["delimiter"]) == ("utf-8", 1, ",")
        assert bench.forms.forms == {}
        assert bench.responses.rows == {}

    async def test_names_the_form_that_responses_would_be_added_to(self, bench: Bench, importing: ImportJob) -> None:
        await importing.run(bench.job(await bench.upload(SMALL)))
        same = await importing.run(bench.job(await bench.upload(SMALL, dry_run=True)))
        other = await importing.run(bench.job(await bench.upload(SMALL.replace("Why", "Where"), dry_run=True)))
        assert same.result is not None
        assert other.result is not None
        assert same.result["form_id"] == bench.forms.forms[TENANT, "survey"].id
        assert other.result["form_id"] is None
        assert other.result["warnings"][0]["code"] == "import.form_differs"
        assert "other questions" in other.result["warnings"][0]["detail"]


class TestDiscard:
    async def test_removes_the_file_once_and_again(self, bench: Bench) -> None:
        command = await bench.upload(SMALL)
        for _ in range(2):
            await DiscardFile(bench.objects).run(bench.job(command))
            assert not await bench.has_file(command)

    def test_has_its_name(self) -> None:
        assert DISCARD == "import.discard"


async def test_the_export_of_the_imported_rows_is_the_file(bench: Bench, importing: ImportJob, tmp_path: Path) -> None:
    """F6: every cell that is not blank comes out again."""
    command = await bench.upload(SHIPPED.read_bytes())
    await importing.run(bench.job(command))
    (form,) = bench.forms.forms.values()
    rules = compile_form(parse_definition(form.definition))
    exported: Counter[str] = Counter()
    for row in bench.responses.rows[form.id].values():
        answers, _ = rules.check(row.answers)
        exported.update(text for column in rules.columns if (text := column.cell(answers)))
    assert exported["Turkey"] == 859
    assert exported["Corn"] == 464
