"""Small files of each format with the dirt of real exports, and how to read them."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from deployments.imports.formats import READERS
from deployments.imports.source import Source
from deployments.responses.contracts import ImportRow, RejectedRow


def read(name: str, content: bytes | str, folder: Path) -> Source:
    """The source that the reader of a format makes of a file."""
    data = content.encode() if isinstance(content, str) else content
    folder.mkdir(exist_ok=True)
    return READERS[name](io.BytesIO(data), folder)  # type: ignore[index]


def elements(source: Source) -> dict[str, dict[str, Any]]:
    """The elements of the form by their ids, those of sections too."""
    waiting = [element for page in source.form.definition.document()["pages"] for element in page["elements"]]
    for element in waiting:
        waiting += element.get("elements", ()) if element["type"] == "section" else ()
    return {element["id"]: element for element in waiting}


def codes(source: Source) -> list[tuple[str, str]]:
    """Where there are notices, and which."""
    return [(notice.where, notice.code) for notice in source.warnings()]


def taken(source: Source) -> list[ImportRow]:
    """The responses; all of them must fit the form."""
    rows = [row for row in source.rows() if isinstance(row, ImportRow)]
    for row in rows:
        assert not source.form.check(row.answers, partial=True)[1], row
    return rows


def refused(source: Source) -> list[RejectedRow]:
    return [row for row in source.rows() if isinstance(row, RejectedRow)]


def workbook(**sheets: Sequence[Sequence[Any]]) -> bytes:
    """An XLSX file of rows, the first of each sheet being its header."""
    book = Workbook()
    for sheet in book.worksheets:
        book.remove(sheet)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def sheet(*rows: dict[str, Any]) -> list[list[Any]]:
    """The rows of a sheet, with a header of all the columns that they have."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [columns, *([row.get(name) for name in columns] for row in rows)]


def _question(kind: str, name: str, label: str | None = None, **cells: str) -> dict[str, Any]:
    return {"type": kind, "name": name, "label::English (en)": label, **cells}


SURVEY = sheet(
    _question("start", "start"),
    _question("begin group", "who", "About you", **{"label::Deutsch (de)": "Über dich", "appearance": "field-list"}),
    _question(
        "text",
        "name",
        "Name",
        **{"hint::English (en)": "First and last", "required": "yes", "constraint": "regex(., '^[A-Z].*$')"},
        **{"constraint_message::English (en)": "Big letter"},
    ),
    _question("integer", "age", "Age", required="true()", constraint=". >= 18 and . < 120"),
    _question("select_one yes_no", "work", "Do you work?", relevant="${age} > 20"),
    {"type": "end group"},
    _question(
        "select_multiple fruits or_other",
        "fruits",
        "Fruits",
        required="${work} = 'yes'",
        constraint="count-selected(.) <= 2",
    ),
    _question(
        "select one fruits",
        "best",
        "Best",
        relevant="selected(${fruits}, 'apple') and not(${age} != 30)",
        appearance="minimal",
        choice_filter="x=y",
    ),
    _question("begin_repeat", "kids", "Kids", relevant="${work} = 'yes'"),
    _question("date", "born", "Born", constraint=". <= today()"),
    {"type": "end_repeat"},
    _question("begin group", "grid", "Rate", appearance="table-list"),
    _question("select_one yes_no", "grid_food", "Food"),
    _question("select_one yes_no", "grid_room", "Room"),
    {"type": "end group"},
    _question("rank fruits", "order", "Order"),
    _question("range", "stars", "Stars", appearance="rating", parameters="start=1 end=7 step=1"),
    _question("range", "heat", "Heat", parameters="start=0 end=1 step=0.1"),
    _question("acknowledge", "ok", "I agree", required="yes"),
    _question("note", "bye", "Bye", relevant="${grid_food} = 'yes' and pulldata('a', 'b', 'c', ${age}) = 1"),
    _question("geopoint", "place", "Where"),
    _question("calculate", "double", calculation="${age} * 2"),
    _question("hologram", "odd", "Odd"),
    _question("select_one nowhere", "lost", "Lost"),
)
CHOICES = (
    ("list_name", "name", "label::English (en)", "label::Deutsch (de)", "image"),
    ("yes_no", "yes", "Yes", "Ja", None),
    ("yes_no", "no", "No", "Nein", None),
    ("fruits", "apple", "Apple", "Apfel", "apple.png"),
    ("fruits", "pear tree", "Pear", "Birne", None),
    ("fruits", "apple", "Twice", "Doppelt", None),
)
SETTINGS = (("form_title", "default_language", "instance_name"), ("Household", "English (en)", "${name}"))

GOOGLE = (
    "Zeitstempel,E-Mail-Adresse,Punktzahl,Wie oft?,Was magst du?,"
    "Service [Küche],Service [Bar],Datei,Notiz,Notiz,Alter\n"
    '31.01.2024 15:04:05,a@x.de,3 / 10,"Ja, immer","Äpfel, Birnen, reif",gut,gut,'
    '"https://drive.google.com/open?id=1, https://drive.google.com/open?id=2","Hallo, du",,20\n'
    '01.02.2024 09:00:00,b@x.de,10 / 10,"Nein, nie","Äpfel",schlecht,gut,,,"a\nb",31\n'
    '02.02.2024 09:00:00,c@x.de,10 / 10,"Ja, immer","Brot, Birnen, reif",gut,mittel,'
    "https://drive.google.com/open?id=3,x,,44\n"
    '03.02.2024 09:00:00,d@x.de,1 / 10,"Nein, nie","Äpfel, Brot",gut,schlecht,,,,18\n'
    "04.02.2024 09:00:00,e@x.de,1 / 10,,,,,,,,\n"
    "05.02.2024 09:00:00,f@x.de,1 / 10,x,y,,,,,,,stray\n"
)


def _choices(*labels: str) -> list[dict[str, str]]:
    return [{"id": f"id{label}", "ref": f"ref-{label}", "label": label} for label in labels]


def _jump(source: str, target: str, op: str, *values: tuple[str, Any]) -> dict[str, Any]:
    end = "thankyou" if target == "end" else "field"
    operands = [{"type": kind, "value": value} for kind, value in values]
    details = {"to": {"type": end, "value": target}}
    action = {"action": "jump", "details": details, "condition": {"op": op, "vars": operands}}
    return {"type": "field", "ref": source, "actions": [action]}


TYPEFORM: dict[str, Any] = {
    "id": "abc",
    "title": "Feedback",
    "settings": {"language": "de"},
    "hidden": ["utm"],
    "variables": {"score": 0},
    "welcome_screens": [{"ref": "welcome", "title": "Hello"}],
    "thankyou_screens": [{"ref": "bye", "title": "Thanks"}],
    "fields": [
        {"id": "f1", "ref": "likes", "title": "Like it?", "type": "yes_no", "validations": {"required": True}},
        {
            "id": "f2",
            "ref": "01HV1Y2Z3X4W5V6T7S8R9Q0P1N",
            "title": "Which, {{field:likes}}?",
            "type": "multiple_choice",
            "properties": {
                "choices": _choices("Red", "Blue"),
                "allow_multiple_selection": True,
                "allow_other_choice": True,
            },
        },
        {"id": "f3", "ref": "one", "title": "One", "type": "dropdown", "properties": {"choices": _choices("A", "B")}},
        {"id": "f4", "ref": "why", "title": "Why?", "type": "long_text"},
        {
            "id": "f5",
            "ref": "contact",
            "title": "Contact",
            "type": "group",
            "properties": {
                "fields": [
                    {"id": "f6", "ref": "mail", "title": "Mail", "type": "email"},
                    {
                        "id": "f7",
                        "ref": "scale",
                        "title": "Scale",
                        "type": "opinion_scale",
                        "properties": {"steps": 11, "labels": {"left": "bad", "right": "good"}},
                    },
                ]
            },
        },
        {
            "id": "f8",
            "ref": "grid",
            "title": "Grid",
            "type": "matrix",
            "properties": {
                "fields": [
                    {
                        "id": f"r{number}",
                        "ref": f"row{number}",
                        "title": f"Row {number}",
                        "type": "multiple_choice",
                        "properties": {"choices": _choices("X", "Y")},
                    }
                    for number in (1, 2)
                ]
            },
        },
        {"id": "f9", "ref": "upload", "title": "Upload", "type": "file_upload"},
        {
            "id": "f10",
            "ref": "order",
            "title": "Order",
            "type": "ranking",
            "properties": {"choices": _choices("P", "Q")},
        },
        {"id": "f11", "ref": "day", "title": "Day", "type": "date"},
    ],
    "logic": [
        _jump("likes", "one", "is", ("field", "likes"), ("constant", False)),
        _jump("one", "contact", "is_not", ("field", "one"), ("choice", "ref-A")),
        _jump("contact", "end", "lower_than", ("field", "scale"), ("constant", 3)),
        _jump("upload", "likes", "always"),
    ],
}


def _answer(ref: str, kind: str, value: Any) -> dict[str, Any]:
    return {"field": {"ref": ref, "id": "", "type": ""}, "type": kind, kind: value}


TYPEFORM_RESPONSES: dict[str, Any] = {
    "total_items": 3,
    "page_count": 1,
    "items": [
        {
            "response_id": "r1",
            "landed_at": "2024-01-01T00:00:00Z",
            "submitted_at": "2024-01-01T00:01:00Z",
            "metadata": {"browser": "default"},
            "hidden": {"utm": "mail", "strange": "1"},
            "variables": [{"key": "score", "type": "number", "number": 3}],
            "answers": [
                _answer("likes", "boolean", True),
                _answer("01HV1Y2Z3X4W5V6T7S8R9Q0P1N", "choices", {"labels": ["Red"], "other": "Green"}),
                _answer("one", "choice", {"id": "idA", "ref": "ref-A", "label": "A"}),
                _answer("why", "text", "because"),
                _answer("mail", "email", "a@b.co"),
                _answer("scale", "number", 0),
                _answer("row1", "choice", {"label": "X"}),
                _answer("row2", "choice", {"ref": "ref-Y", "label": "Y"}),
                _answer("upload", "file_url", "https://files.example.com/1"),
                _answer("order", "choices", {"labels": ["Q", "P"]}),
                _answer("day", "date", "2024-05-05T00:00:00Z"),
            ],
        },
        {"response_id": "r2", "answers": [_answer("one", "choice", {"label": "Zzz"})]},
        {"response_id": "r3", "answers": None},
    ],
}

SURVEYJS: dict[str, Any] = {
    "title": {"default": "Feedback", "de": "Rückmeldung"},
    "logoPosition": "right",
    "pages": [
        {
            "name": "page1",
            "elements": [
                {"type": "text", "name": "Your Name", "isRequired": True, "maxLength": 40},
                {
                    "type": "text",
                    "name": "age",
                    "inputType": "number",
                    "step": 1,
                    "min": 18,
                    "validators": [
                        {"type": "numeric", "maxValue": 99},
                        {"type": "expression", "expression": "{age} > 3"},
                    ],
                },
                {
                    "type": "panel",
                    "name": "panel",
                    "title": "Cars",
                    "visibleIf": "{age} >= 21",
                    "elements": [
                        {
                            "type": "checkbox",
                            "name": "car",
                            "choices": ["Ford", "Tesla", {"value": 3, "text": "Three"}],
                            "showOtherItem": True,
                            "hasNone": True,
                        },
                        {
                            "type": "radiogroup",
                            "name": "color",
                            "choices": ["red", "blue"],
                            "visibleIf": "{car} contains 'Ford' and {Your Name} notempty",
                            "requiredIf": "{car} anyof ['Tesla', 3]",
                            "showCommentArea": True,
                        },
                    ],
                },
                {"type": "rating", "name": "nps", "rateMin": 0, "rateMax": 10},
                {"type": "rating", "name": "mood", "rateValues": ["bad", "good"]},
                {"type": "boolean", "name": "ok", "valueTrue": "Y", "valueFalse": "N"},
                {
                    "type": "matrix",
                    "name": "quality",
                    "columns": ["Bad", {"value": 2, "text": "Good"}],
                    "rows": ["Price", {"value": "q", "text": "Quality"}],
                },
                {
                    "type": "matrixdropdown",
                    "name": "table",
                    "columns": [{"name": "how", "cellType": "dropdown"}, {"name": "note", "cellType": "text"}],
                    "choices": [1, 2],
                    "rows": ["A", "B"],
                },
                {
                    "type": "multipletext",
                    "name": "who",
                    "items": [{"name": "first"}, {"name": "m", "inputType": "email"}],
                },
                {"type": "paneldynamic", "name": "kids", "templateElements": [{"type": "text", "name": "kid"}]},
                {"type": "imagepicker", "name": "animal", "choices": [{"value": "lion", "imageLink": "x"}]},
                {"type": "html", "name": "intro", "html": "<h2>Hi</h2><p>there <b>you</b></p><script>evil()</script>"},
                {"type": "ranking", "name": "order", "choices": ["a", "b"]},
                {"type": "expression", "name": "total", "expression": "{age} * 2"},
                {"type": "file", "name": "upload"},
                {"type": "comment", "name": "more", "visibleIf": "{quality.q} = 2 or {who.first} = 'x'"},
            ],
        }
    ],
    "triggers": [
        {"type": "complete", "expression": "{ok} = 'Y'"},
        {"type": "visible", "expression": "{ok} = 'Y'", "questions": ["order"]},
    ],
}
SURVEYJS_RESULTS: list[Any] = [
    {
        "Your Name": "Ann",
        "age": 30,
        "car": ["Ford", "other"],
        "car-Comment": "Bike",
        "color": "red",
        "color-Comment": "why",
        "nps": 9,
        "ok": "Y",
        "quality": {"Price": "Bad", "q": 2},
        "table": {"A": {"how": 1, "note": "t"}},
        "who": {"first": "F", "m": "a@b.co"},
        "kids": [{"kid": "x"}, {"kid": "y"}],
        "animal": "lion",
        "order": ["b", "a"],
        "total": 60,
        "upload": [{"name": "f", "content": "data:,"}],
        "HappendAt": "2024-02-01T00:00:00Z",
        "instanceId": "i1",
    },
    {"Your Name": "Bob", "age": "20", "car": ["none"], "kids": [{"kid": "z"}]},
    {"color": "green"},
    5,
]


def json_lines(values: Sequence[Any]) -> str:
    return "\n".join(map(json.dumps, values))
