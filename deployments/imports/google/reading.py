"""A Google Forms CSV file, understood: its form and its responses."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Any, Final

from deployments.imports import questions
from deployments.imports.decoding import Decoding, decode
from deployments.imports.errors import FileUnreadable
from deployments.imports.google.boxes import MAX_PIECES, Boxes, find_boxes
from deployments.imports.google.timestamps import Timestamps, learn
from deployments.imports.inference import Plan, choice_kind, closed_labels
from deployments.imports.layout import Layout, one_line
from deployments.imports.naming import Names, option_ids
from deployments.imports.notices import Notice, Notices
from deployments.imports.profile import Column, Profile, read_profile
from deployments.imports.questions import Question
from deployments.imports.records import read_records, sniff
from deployments.imports.rows import read_rows
from deployments.imports.settling import unreadable
from deployments.imports.source import Row
from deployments.imports.survey import decoding_notices
from deployments.kit.engine import CompiledForm, InvalidDefinition, compile_form, parse_definition

SOURCE: Final = "google_csv"

_TIMES: Final = frozenset(
    (
        *("timestamp", "zeitstempel", "horodateur", "marca temporal", "marcatempo", "informazioni cronologiche"),
        *("carimbo de data/hora", "tijdstempel", "tidsstämpel", "tidsstempel", "sygnatura czasowa", "časové razítko"),
        *("отметка времени", "タイムスタンプ", "时间戳记", "時間戳記", "타임스탬프", "zaman damgası", "طابع زمني"),
        *("חותמת זמן", "aikaleima", "dấu thời gian", "stempel waktu", "позначка часу", "időbélyeg", "marca de temps"),
    )
)
_MAILS: Final = re.compile(r"username|e-?mail( address)?|e-mail-adresse|nutzername|adresse e-mail|nom d'utilisateur")
_SCORE: Final = re.compile(r"\s*-?[\d.,]+ / [\d.,]+\s*")
_GRID: Final = re.compile(r"(?P<title>[^\n]{0,1999}\S) ?\[(?P<row>[^\[\]]{1,500})\]")
_LINK: Final = re.compile(r"https://drive\.google\.com/\S+(, https://drive\.google\.com/\S+)*")
_EXACT: Final = ("integer", "number", "date", "datetime")
_MOST_COLUMNS: Final = 60
_LONG: Final = 200


@dataclass(frozen=True, slots=True)
class GoogleSheet:
    """What is known about a file after it was read through; `path` is its text, which must stay."""

    path: Path
    decoding: Decoding
    layout: Layout
    profile: Profile
    plan: Plan
    form: CompiledForm
    times: tuple[int, Timestamps] | None
    notices: Notices

    @property
    def total(self) -> int:
        return self.profile.rows + self.profile.broken

    def rows(self) -> Iterator[Row]:
        """Every response, and every row that is none."""
        return read_rows(self.path, self.layout, self.plan, SOURCE, self._when)

    def _when(self, cells: Sequence[str]) -> datetime | None:
        return None if self.times is None else self.times[1].read(cells[self.times[0]])

    def warnings(self) -> Sequence[Notice]:
        return (*decoding_notices(self.decoding), *self.notices)

    def details(self) -> dict[str, Any]:
        return {
            "encoding": self.decoding.encoding,
            "header_rows": 1,
            "delimiter": self.layout.dialect.delimiter,
        }


def read_google(file: IO[bytes], folder: Path) -> GoogleSheet:
    """Read the file through and infer its form; a copy of its text goes into `folder`. Raises FileUnreadable."""
    path = folder / "sheet.csv"
    decoding = decode(file, path)
    layout = _layout(path)
    profile = read_profile(path, layout)
    times = learn(record.cells[0] for record in layout.rows(path) if record.cells and record.cells[0].strip())
    inference = _Inference(layout, profile, _cells(path, layout), times)
    plan = inference.plan()
    try:
        form = compile_form(parse_definition(plan.definition))
    except InvalidDefinition as error:
        raise unreadable(error) from error
    return GoogleSheet(path, decoding, layout, profile, plan, form, inference.times, inference.notices)


def _layout(path: Path) -> Layout:
    dialect = sniff(path)
    head = list(islice((r for r in read_records(path, dialect) if r.problem or not r.blank), 2))
    if not head or head[0].problem:
        raise FileUnreadable("The first row must name the questions.")
    if len(head) < 2:
        raise FileUnreadable("There is no response below the header.")
    names = tuple(one_line(cell) for cell in head[0].cells)
    return Layout(dialect, len(names), head[0].line, 1, {}, names, ())


def _cells(path: Path, layout: Layout) -> list[Counter[str] | None]:
    """The different cells of each column; None when there are too many to be lists of options."""
    found: list[Counter[str] | None] = [Counter() for _ in range(layout.width)]
    for record in layout.rows(path):
        for index, text in enumerate(record.cells[: layout.width]):
            column = found[index]
            if column is not None and text.strip():
                column[text] += 1
                if len(column) > MAX_PIECES or len(text) > MAX_PIECES:
                    found[index] = None
    return found


class _Inference:
    def __init__(
        self, layout: Layout, profile: Profile, cells: list[Counter[str] | None], times: Timestamps | None
    ) -> None:
        self.notices = Notices()
        self.times: tuple[int, Timestamps] | None = None
        self._layout = layout
        self._profile = profile
        self._cells = cells
        self._learnt = times
        self._names = Names()

    def plan(self) -> Plan:
        """The form: one question for each column, or for each grid of columns. Nothing in it is required."""
        found: list[Question] = []
        indexes = list(range(self._layout.width))
        if (stamp := self._timestamp()) is not None:
            found.append(stamp)
            indexes.remove(0)
        for title, group in groupby(indexes, self._grid_title):
            columns = list(group)
            grid = self._grid(title, columns) if title and len(columns) > 1 else None
            found += [grid] if grid is not None else [q for index in columns if (q := self._single(index)) is not None]
        definition = {"pages": [{"id": "page1", "elements": [question.element for question in found]}]}
        return Plan(definition=definition, questions=tuple(found), key=None, submitted=())

    def _column(self, index: int) -> Column:
        return self._profile.columns[index]

    def _id(self, title: str, index: int) -> str:
        return self._names.make(title, f"q{index + 1}")

    def _timestamp(self) -> Question | None:
        """The first column, by its name or because nothing else is in it."""
        name, times = self._layout.names[0], self._learnt
        if times is None and name.lower() not in _TIMES:
            return None
        if times is None:
            self.notices.add(name, "time.unread", "The timestamps cannot be read; responses are dated by the import.")
        else:
            self.times = (0, times)
            if times.ambiguous:
                order = "day first" if times.day_first else "month first"
                self.notices.add(name, "time.ambiguous", f"The timestamps are read with the {order}.")
            if not times.zoned:
                self.notices.add(name, "answers.utc", "The timestamps name no offset; they are taken to be in UTC.")
        return questions.text(self._id("timestamp", 0), name or "Timestamp", "hidden", 0)

    def _grid_title(self, index: int) -> str:
        match = _GRID.fullmatch(self._layout.names[index])
        return match["title"] if match is not None else f"\0{index}"

    def _grid(self, title: str, columns: list[int]) -> Question | None:
        """The grid of columns that are named `Question [Row]`; None when their cells are not from one scale."""
        rows = {index: _row(self._layout.names[index]) for index in columns}
        cells: Counter[str] = Counter()
        for index in columns:
            column = self._cells[index]
            if column is None:
                return None
            cells += column
        boxes = find_boxes(cells)
        if boxes is not None and not boxes.other:
            return _tick_grid(self._id(title, columns[0]), title, rows, boxes)
        if not 0 < len(cells) <= _MOST_COLUMNS or any(len(cell) > _LONG for cell in cells):
            return None
        return questions.matrix(self._id(title, columns[0]), title, rows, list(cells))

    def _single(self, index: int) -> Question | None:
        column, name = self._column(index), self._layout.names[index]
        if not name and not column.count:
            return None
        field_id = self._id(name, index)
        title = name or f"Column {index + 1}"
        if _MAILS.fullmatch(name.lower()) and column.longest <= _LONG:
            return questions.text(field_id, title, "short_text", index, personal=True)
        kind = next((kind for kind in _EXACT if column.count and kind in column.types), None)
        if kind in ("integer", "number"):
            return questions.number(field_id, title, kind, index)
        if kind is not None:
            return questions.text(field_id, title, kind, index)
        return self._text(field_id, title, index)

    def _text(self, field_id: str, title: str, index: int) -> Question:
        """A question whose cells are texts: options, ticked boxes, links, or what somebody wrote."""
        column, cells = self._column(index), self._cells[index]
        if cells and all(_SCORE.fullmatch(cell) for cell in cells):
            return questions.text(field_id, title, "hidden", index)
        if cells and all(_LINK.fullmatch(cell) for cell in cells):
            self.notices.add(title, "files.links", "Uploaded files stay at Google; their links are kept as text.")
        elif cells and (boxes := find_boxes(cells)) is not None:
            return _ticks(field_id, title, index, boxes)
        elif (labels := closed_labels(column, "")) is not None:
            return questions.choice(field_id, title, choice_kind(labels), index, labels, None)
        kind = "long_text" if column.lines or column.longest > _LONG else "short_text"
        return questions.text(field_id, title, kind, index)


def _row(name: str) -> str:
    match = _GRID.fullmatch(name)
    return name if match is None else match["row"]


def _ticks(field_id: str, title: str, index: int, boxes: Boxes) -> Question:
    """A question with several options in one cell."""
    ids = questions.ids_of(boxes.options)

    def read(cells: Sequence[str]) -> Any:
        cell = cells[index]
        if not cell.strip():
            return None
        chosen, other = boxes.split(cell)
        found = [ids[option] for option in chosen]
        if not other:
            return found
        return {"options": found, "other": other} if found else {"other": other}

    options = [{"id": own, "label": label} for label, own in ids.items()]
    extra = {"allow_other": True} if boxes.other else {}
    return Question(questions.element(field_id, title, "multi_choice", options=options, **extra), read)


def _tick_grid(field_id: str, title: str, rows: dict[int, str], boxes: Boxes) -> Question:
    """A grid with several options in each cell."""
    ids = questions.ids_of(boxes.options)
    names = option_ids(f"row{number}" for number in range(1, len(rows) + 1))
    row_ids = dict(zip(rows, names.values(), strict=True))

    def read(cells: Sequence[str]) -> Any:
        found = {row_ids[index]: [ids[option] for option in boxes.split(cells[index])[0]] for index in rows}
        return {row: chosen for row, chosen in found.items() if chosen} or None

    columns = [{"id": own, "label": label} for label, own in ids.items()]
    row_options = [{"id": row_ids[index], "label": label} for index, label in rows.items()]
    return Question(questions.element(field_id, title, "matrix_multi", rows=row_options, columns=columns), read)
