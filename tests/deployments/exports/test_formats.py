"""X1: every format holds what the CSV file holds, cell by cell, and types where the format has them."""

import copy
import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from db.session import Database
from deployments.exports.contracts import ExportFormat
from deployments.exports.packing import workbook as packing
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.identity.contracts import scopes_of
from deployments.kit.engine import Style, parse_definition, table_columns
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import METADATA, ExportResponses, ImportRow, ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.exporting import chunks as exporting
from deployments.responses.exporting import rows as exported_rows
from deployments.responses.query.listing import style_of
from tests.deployments.exports.reading import (
    as_text,
    csv_rows,
    file_of,
    json_lines,
    parquet_table,
    sheet_rows,
    unprefixed,
)
from tests.deployments.imports.reading import SHIPPED, SURVEYS, read
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant

FORMATS: tuple[ExportFormat, ...] = ("csv", "jsonl", "parquet", "xlsx")

TYPED: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "status", "type": "short_text", "title": "Named as metadata"},
                {"id": "count", "type": "integer", "title": "Count"},
                {"id": "price", "type": "currency", "title": "Price", "currency": "EUR"},
                {"id": "day", "type": "date", "title": "Day"},
                {"id": "at", "type": "datetime", "title": "At"},
                {"id": "fine", "type": "yes_no", "title": "Fine"},
                {"id": "one", "type": "choice", "title": "One", "options": survey.options("x", "y")},
                {
                    "id": "many",
                    "type": "multi_choice",
                    "title": "Many",
                    "options": survey.options("corn", "yams"),
                    "allow_other": True,
                },
                {"id": "rank", "type": "ranking", "title": "Rank", "options": survey.options("p", "q")},
                {"id": "photo", "type": "file", "title": "Photo", "max_files": 2},
                {"id": "twice", "type": "calculated", "title": "Twice", "value": "answers.count * 2"},
                {
                    "id": "pets",
                    "type": "group",
                    "title": "Pets",
                    "elements": [{"id": "pet", "type": "short_text", "title": "Pet"}],
                },
            ],
        }
    ],
    "languages": ["en"],
}
GIVEN: dict[str, Any] = {
    "status": "=1+1",
    "count": 9007199254740993,
    "price": 12.5,
    "day": "2025-02-28",
    "at": "2025-02-28T10:30:00+02:00",
    "fine": False,
    "one": "x",
    "many": {"options": ["corn", "yams"], "other": "-rice"},
    "rank": ["q", "p"],
    "pets": [{"pet": "Rex"}],
}


def moment(*parts: int) -> datetime:
    """A moment of a spreadsheet, which knows no time zones."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]


async def fill(responses: Responses, principal: Principal, form_id: str, answers: list[dict[str, Any]]) -> None:
    rows = [
        ImportRow(
            key=str(n), line=n, answers=each, submitted_at=datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=n)
        )
        for n, each in enumerate(answers)
    ]
    for start in range(0, len(rows), 500):
        outcome = await responses.import_rows(principal, form_id, rows[start : start + 500])
        assert not outcome.rejected


async def scene(database: Database) -> tuple[Principal, str, Responses]:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=TYPED)
    responses = Responses(database)
    await fill(responses, acme, form.id, [GIVEN, {}])
    return acme, form.id, responses


SOURCES = {"thanksgiving": SHIPPED, "star-wars": SURVEYS / "StarWars.csv", "flying": SURVEYS / "flying-etiquette.csv"}


@pytest.mark.parametrize("name", SOURCES)
async def test_every_cell_of_a_real_survey_is_in_every_format(database: Database, tmp_path: Path, name: str) -> None:
    """X1: cell by cell, in the same columns in the same order."""
    if not database.is_sqlite and name != "thanksgiving":
        return  # that the dialects agree is seen once
    source = read(tmp_path, SOURCES[name].read_bytes())
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=source.plan.definition)
    responses = Responses(database)
    await fill(responses, acme, form.id, [row.answers for row in source.rows])
    files = {each: await file_of(responses, acme, form.id, each) for each in FORMATS}
    head, *expected = csv_rows(files["csv"])
    assert len(expected) == len(source.rows)
    plain = [[unprefixed(cell) for cell in row] for row in expected]
    assert sum(bool(cell) for row in plain for cell in row[4:]) == sum(sum(cells.values()) for cells in source.exported)

    sheet_head, *sheet = sheet_rows(files["xlsx"])
    assert [unprefixed(title) for title in head] == [as_text(title) for title in sheet_head]
    assert [[as_text(cell) for cell in row] for row in sheet] == [[_shortened(cell) for cell in row] for row in plain]

    table = parquet_table(files["parquet"])
    assert [field.metadata[b"title"].decode() for field in table.schema] == [unprefixed(title) for title in head]
    columns = [[as_text(value) for value in column.to_pylist()] for column in table.columns]
    assert [list(row) for row in zip(*columns, strict=True)] == [[_shortened(cell) for cell in row] for row in plain]

    documents = json_lines(files["jsonl"])
    page = await responses.list_responses(acme, ListResponses(form_id=form.id, sort="submitted_at", limit=1000))
    assert documents[:1000] == [response.model_dump(mode="json") for response in page.data]
    assert [row[0] for row in plain] == [document["id"] for document in documents]


def _shortened(cell: str) -> str:
    """A number in the CSV file as a float would be written."""
    try:
        return str(float(cell)) if "." in cell and cell.replace(".", "", 1).isdecimal() else cell
    except ValueError:
        return cell


async def test_parquet_has_types(database: Database) -> None:
    acme, form_id, responses = await scene(database)
    table = parquet_table(await file_of(responses, acme, form_id, "parquet", labels=False, lists=True, details=True))
    types = {field.name: field.type for field in table.schema}
    assert tuple(name for name in types if name.startswith("_")) == METADATA
    assert types["_submitted_at"] == pa.timestamp("us", "UTC")
    expected = {
        "_version": (pa.int64(), 1),
        "_status": (pa.string(), "complete"),
        "_review": (pa.string(), "none"),
        "_tags": (pa.list_(pa.string()), None),
        "_commented": (pa.bool_(), False),
        "status": (pa.string(), "=1+1"),
        "count": (pa.int64(), 9007199254740993),
        "price": (pa.float64(), 12.5),
        "day": (pa.date32(), date(2025, 2, 28)),
        "at": (pa.timestamp("us", "UTC"), datetime(2025, 2, 28, 8, 30, tzinfo=UTC)),
        "fine": (pa.bool_(), False),
        "one": (pa.string(), "x"),
        "many": (pa.list_(pa.string()), ["corn", "yams"]),
        "many.other": (pa.string(), "-rice"),
        "rank.p": (pa.int64(), 2),
        "twice": (pa.float64(), 18014398509481984.0),
        "pets": (pa.string(), '[{"pet":"Rex"}]'),
    }
    first, second = table.to_pylist()
    assert {name: (types[name], first[name]) for name in expected} == expected
    assert {name: second[name] for name in expected if not name.startswith("_")} == dict.fromkeys(
        name for name in expected if not name.startswith("_")
    )


async def test_a_spreadsheet_has_numbers_and_dates_and_no_formula(database: Database) -> None:
    """X1: injection safe; what 15 digits cannot hold stays a text."""
    acme, form_id, responses = await scene(database)
    content = await file_of(responses, acme, form_id, "xlsx")
    head, first, second = sheet_rows(content)
    row = dict(zip(head, first, strict=True))
    assert row["Submitted at"] == moment(2025, 1, 1)
    assert (row["Version"], row["Price"], row["Day"]) == (1, 12.5, moment(2025, 2, 28))
    assert (row["Count"], row["At"]) == ("9007199254740993", moment(2025, 2, 28, 8, 30))
    assert (row["Named as metadata"], row["Many - Other"]) == ("=1+1", "-rice")
    assert (row["Fine"], row["Many - Yams"], row["Rank - Q"]) == ("No", "Yams", 1)
    assert second[4:] == [None] * len(second[4:])
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert {cell.data_type for line in book.active.iter_rows() for cell in line} <= {"s", "n", "d", "inlineStr"}
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


async def test_a_spreadsheet_opens_whatever_people_type(sqlite_database: Database) -> None:
    """X1: markup is text, what XML cannot say is left out, what a cell cannot hold is cut."""
    acme = await make_tenant(sqlite_database)
    made = await make_form(sqlite_database, acme, definition=survey.SURVEY)
    responses = Responses(sqlite_database)
    texts = ["<b>&amp;</b>", "  two  ", "a\nb", "bell\x07", "\ufffeodd", "日本語 🦃", "x" * 15_000 + "&" * 25_000]
    texts = [text for text in texts if (await _imported(responses, acme, made.id, text))]
    rows = sheet_rows(await file_of(responses, acme, made.id, "xlsx", columns=["note"]))[1:]
    stored = csv_rows(await file_of(responses, acme, made.id, "csv", columns=["note"]))[1:]
    assert len(rows) == len(texts) >= 5
    shown = [unprefixed(row[4]).replace("\x07", "").replace("\ufffe", "")[:32_767] for row in stored]
    assert [row[4] for row in rows] == shown


async def _imported(responses: Responses, principal: Principal, form_id: str, text: str) -> bool:
    row = ImportRow(key=text[:50], line=1, answers={"note": text})
    return bool((await responses.import_rows(principal, form_id, [row])).imported)


async def test_codes_and_lists_instead_of_labels(database: Database) -> None:
    acme, form_id, responses = await scene(database)
    head, first, _ = csv_rows(await file_of(responses, acme, form_id, "csv", labels=False, lists=True))
    row = dict(zip(head, first, strict=True))
    assert head[:4] == ["_id", "_submitted_at", "_version", "_status"]
    assert (row["one"], row["many"], row["many.other"], row["fine"]) == ("x", "corn; yams", "'-rice", "false")
    head, first, _ = csv_rows(await file_of(responses, acme, form_id, "csv", lists=True, columns=["many", "day"]))
    assert head[4:] == ["Many", "Many - Other", "Day"]
    assert first[4:] == ["Corn; Yams", "'-rice", "2025-02-28"]
    (document, _) = json_lines(await file_of(responses, acme, form_id, "jsonl", columns=["day", "many.other"]))
    assert document["answers"] == {"day": "2025-02-28", "many": {"options": ["corn", "yams"], "other": "-rice"}}


def test_files_are_told_by_id_or_address() -> None:
    """X1: the address is of the platform that people reach."""
    files = [f"fil_{n:032x}" for n in range(2)]
    styles = (Style(), Style(file_address="https://forms.example/api/v1/files/{}/content"), Style(lists=True))
    definition = parse_definition(TYPED)
    cells = [
        next(column for column in table_columns([definition], style) if column.key == "photo").cell({"photo": files})
        for style in styles
    ]
    assert cells[0] == " ".join(files)
    assert cells[1] == " ".join(f"https://forms.example/api/v1/files/{file}/content" for file in files)
    assert cells[2] == "; ".join(files)
    wanted = ExportResponses(file_links=True)
    assert style_of(wanted, "https://forms.example") == styles[1]


async def test_fields_that_were_removed_renamed_and_added_keep_their_columns(database: Database) -> None:
    """F4, X1: in every format; a date that became a text is a text in all rows."""
    acme, form_id, responses = await scene(database)
    forms = Forms(database)
    later = copy.deepcopy(TYPED)
    elements = {element["id"]: element for element in later["pages"][0]["elements"]}
    elements["one"] |= {"title": "One of them", "options": survey.options("y", "z")}
    elements["many"] |= {"options": [{"id": "corn", "label": "Sweet corn"}]}
    elements["day"]["type"] = "short_text"
    kept = [element for name, element in elements.items() if name not in ("price", "pets")]
    later["pages"][0]["elements"] = [{"id": "wine", "type": "short_text", "title": "Wine"}, *kept]
    await forms.update(acme, form_id, UpdateForm(definition=later))
    await forms.publish(acme, form_id)
    row = ImportRow(key="late", line=9, answers={"wine": "red", "day": "some day", "one": "z", "many": ["corn"]})
    assert (await Responses(database).import_rows(acme, form_id, [row])).imported == 1
    head, old, _, new = csv_rows(await file_of(responses, acme, form_id, "csv", lists=True))
    assert head[4:9] == ["Named as metadata", "Count", "Price", "Day", "At"]
    assert head[-1] == "Wine"
    pairs = {title: (before, after) for title, before, after in zip(head, old, new, strict=True)}
    assert pairs["One of them"] == ("X", "Z")
    assert pairs["Many"] == ("Sweet corn; Yams", "Sweet corn")
    assert pairs["Day"] == ("2025-02-28", "some day")
    assert pairs["Price"] == ("12.5", "")
    table = parquet_table(await file_of(responses, acme, form_id, "parquet", lists=True))
    assert table.column("day").to_pylist() == ["2025-02-28", None, "some day"]
    assert table.column("many").to_pylist() == [["Sweet corn", "Yams"], None, ["Sweet corn"]]
    sheet = sheet_rows(await file_of(responses, acme, form_id, "xlsx", lists=True))
    assert [as_text(title) for title in sheet[0]] == head


@pytest.mark.parametrize("form", FORMATS)
async def test_personal_answers_are_not_for_everybody(database: Database, form: ExportFormat) -> None:
    """R8: a viewer's file has the columns, and nothing in them."""
    definition = copy.deepcopy(TYPED)
    for element in definition["pages"][0]["elements"]:
        element["personal"] = element["id"] in ("status", "many")
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition=definition)
    responses = Responses(database)
    await fill(responses, acme, made.id, [{**GIVEN, "status": "canary-7f", "many": {"other": "canary-8f"}}])
    viewer = Principal("acme", "usr_v", "user", "viewer", scopes_of("viewer"))
    shown: dict[str, list[Any]] = {}
    for who in (viewer, acme):
        content = await file_of(responses, who, made.id, form, lists=True)
        match form:
            case "csv":
                shown[who.role] = csv_rows(content)
            case "xlsx":
                shown[who.role] = sheet_rows(content)
            case "parquet":
                shown[who.role] = [parquet_table(content).schema.names, parquet_table(content).to_pylist()]
            case "jsonl":
                shown[who.role] = [document["answers"] | document for document in json_lines(content)]
    assert "canary" not in str(shown["viewer"])
    assert str(shown["owner"]).count("canary") >= 2
    assert form == "jsonl" or shown["viewer"][0] == shown["owner"][0]


async def test_rows_in_any_order_and_any_number_of_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """X1: sorted and filtered as the list, without gap or repetition, whatever the pieces."""
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, made.id, 60, seed=7)
    query: dict[str, Any] = {"sort": "-score", "filter": {"score": {"gte": 2}}, "status": "complete"}
    page = await responses.list_responses(acme, ListResponses(form_id=made.id, limit=100, **query))
    monkeypatch.setattr(exporting, "_CHUNK_ROWS", 7)
    monkeypatch.setattr(exporting, "_FIRST", 2)
    for form in FORMATS:
        content = await file_of(responses, acme, made.id, form, **query)
        match form:
            case "csv":
                ids = [row[0] for row in csv_rows(content)[1:]]
            case "xlsx":
                ids = [row[0] for row in sheet_rows(content)[1:]]
            case "parquet":
                ids = parquet_table(content).column("_id").to_pylist()
            case "jsonl":
                ids = [document["id"] for document in json_lines(content)]
        assert ids == [response.id for response in page.data], form
    assert len(page.data) > 7


async def test_what_does_not_fit_a_sheet_goes_to_the_next(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """X1: a spreadsheet's limit of rows, with a header on each sheet."""
    acme, form_id, responses = await scene(database)
    await fill(responses, acme, form_id, [{"count": n} for n in range(2, 23)])
    monkeypatch.setattr(exported_rows, "SHEET_ROWS", 10)
    monkeypatch.setattr(exporting, "SHEET_ROWS", 10)
    monkeypatch.setattr(packing, "_SHEET_ROWS", 10)
    monkeypatch.setattr(exporting, "_CHUNK_ROWS", 4)
    content = await file_of(responses, acme, form_id, "xlsx")
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["Responses", "Responses 2", "Responses 3"]
    assert [sheet.max_row for sheet in book.worksheets] == [11, 11, 2]
    assert len({tuple(cell.value for cell in sheet[1]) for sheet in book.worksheets}) == 1
    ids = [row[0] for row in csv_rows(await file_of(responses, acme, form_id, "csv"))[1:]]
    assert [row[0] for row in sheet_rows(content)[1:]] == ids


async def test_an_empty_form_is_a_whole_file(database: Database) -> None:
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition=TYPED)
    responses = Responses(database)
    assert len(csv_rows(await file_of(responses, acme, made.id, "csv"))) == 1
    assert await file_of(responses, acme, made.id, "jsonl") == b""
    assert parquet_table(await file_of(responses, acme, made.id, "parquet")).num_rows == 0
    assert len(sheet_rows(await file_of(responses, acme, made.id, "xlsx"))) == 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("wanted", "pointer", "code"),
    [
        ({"columns": ["count", "nothing"]}, "/columns", "columns.unknown"),
        ({"sort": "nothing"}, "/sort", "sort.unknown_field"),
        ({"filter": {"nothing": "x"}}, "/filter/nothing", "filter.unknown_field"),
    ],
)
async def test_what_there_is_not_is_refused(
    sqlite_database: Database, form: ExportFormat, wanted: Any, pointer: str, code: str
) -> None:
    acme = await make_tenant(sqlite_database)
    made = await make_form(sqlite_database, acme, definition=TYPED)
    with pytest.raises(Invalid) as caught:
        await file_of(Responses(sqlite_database), acme, made.id, form, **wanted)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(pointer, code)]
