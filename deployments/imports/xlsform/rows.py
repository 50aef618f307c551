"""The rows of a survey sheet as the tree that their begin and end rows make."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from deployments.imports.errors import FileUnreadable
from deployments.imports.notices import Notices
from deployments.imports.xlsform.columns import ALIASES, IGNORED, TEXTS, Kind, kind_of
from deployments.imports.xlsform.workbook import SheetRow, Workbook

MAX_GROUPS_DEEP: Final = 30

_KNOWN: Final = frozenset(
    (
        *("type", "name", "label", "hint", "required", "relevant", "constraint", "calculation", "appearance"),
        *("parameters", "repeat_count", "formstream", "disabled", "choice_filter", "default", "readonly"),
    )
)
_UNSAID: Final = {
    "choice_filter": "Options that depend on other answers are not supported: all options are shown.",
    "default": "Default values are not supported.",
    "readonly": "Questions that can only be read are not supported.",
    "trigger": "Calculations that wait for a question are not supported: they are always up to date.",
    "guidance_hint": "There is one description only.",
    "constraint_message": "Messages of their own are not supported for constraints.",
    "required_message": "Messages of their own are not supported for required questions.",
}


@dataclass(slots=True)
class Item:
    """A row with its type, and the rows inside when it begins a group."""

    row: SheetRow
    kind: Kind
    items: list["Item"] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"survey row {self.row.number}"

    @property
    def name(self) -> str:
        return self.row.get("name")

    @property
    def appearances(self) -> list[str]:
        return self.row.get("appearance").lower().split()


def named(rows: Iterable[SheetRow]) -> list[SheetRow]:
    """The rows with the columns by their usual names."""
    return [SheetRow(row.number, {_usual(name): text for name, text in row.cells.items()}) for row in rows]


def _usual(name: str) -> str:
    column, mark, language = name.partition("::")
    return ALIASES.get(name) or ALIASES.get(column, column) + mark + language


def read_items(workbook: Workbook, notices: Notices) -> list[Item]:
    """The rows of the sheet `survey`. Raises FileUnreadable when groups are not closed properly."""
    if "survey" not in workbook.rows or "type" not in {_usual(name) for name in workbook.headers["survey"]}:
        raise FileUnreadable("An XLSForm has a sheet named survey with a column named type.")
    top: list[Item] = []
    open_: list[Item] = []
    for row in named(workbook.rows["survey"]):
        kind = _kind(row, notices)
        if kind is None:
            continue
        if kind.name in ("end_group", "end_repeat"):
            if not open_ or open_.pop().kind.name != f"begin_{kind.name[4:]}":
                raise FileUnreadable(f"survey row {row.number}: {row.get('type')} ends what was not begun.")
            continue
        item = Item(row, kind)
        _tell_unsaid(item, notices)
        (open_[-1].items if open_ else top).append(item)
        if kind.name in ("begin_group", "begin_repeat"):
            open_.append(item)
            if len(open_) > MAX_GROUPS_DEEP:
                raise FileUnreadable(f"survey row {row.number}: groups are nested more than {MAX_GROUPS_DEEP} deep.")
    if open_:
        raise FileUnreadable(f"survey row {open_[-1].row.number}: {open_[-1].row.get('type')} is not ended.")
    return top


def _kind(row: SheetRow, notices: Notices) -> Kind | None:
    """The row's type; None when it is no question."""
    where, text = f"survey row {row.number}", row.get("type")
    if not text:
        if row.get("name", "label"):
            notices.add(where, "type.missing", "The row has no type and is left out.")
        return None
    if row.get("disabled").lower() in ("yes", "true"):
        notices.add(where, "row.disabled", "The row is disabled and left out.")
        return None
    kind = kind_of(text)
    if kind is None:
        notices.add(where, "type.unknown", f"'{text[:100]}' is no type; it becomes a text.")
    return kind or Kind("text")


def _tell_unsaid(item: Item, notices: Notices) -> None:
    for name, text in item.row.cells.items():
        column = name.partition("::")[0]
        if column in _UNSAID and not (column == "readonly" and item.kind.name in ("note", "calculate")):
            notices.add(item.where, f"property.{column}", f"{_UNSAID[column]} It was: {text[:500]}")
        elif column not in _KNOWN and column not in TEXTS and column not in IGNORED:
            notices.add(item.where, "property.unknown", f"The column {name[:100]} is left out. It was: {text[:500]}")
