"""CSV text that is safe to open: RFC 4180 quoting, and no cell that a spreadsheet would run as a formula."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

# OWASP "CSV Injection": these start a formula in one spreadsheet or another, the full-width forms in East Asian ones.
_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_PLAIN_NUMBER: Final = re.compile(f"[+-]?{_NUMBER}")
_QUOTED: Final = re.compile(r'[",\r\n]')
_BETWEEN: Final = "\x1f"
_STARTS: Final = re.escape("".join(sorted(_FORMULA - {"+", "-"})))
_STARTING: Final = re.compile(f"{_BETWEEN}(?:[{_STARTS}]|[+-](?!{_NUMBER}{_BETWEEN}))")


def csv_lines(records: Iterable[Sequence[str]]) -> str:
    """Records of a CSV file (RFC 4180), each with its CRLF.

    A cell that begins with `= + - @`, a tab, a line break or a full-width form of these gets a leading `'`, unless
    it is a plain number such as `-5` or `+3.2`. NUL is removed. Everything else is kept as it is.
    """
    lines = []
    for record in records:
        # One look at the whole record: most need nothing, and a look at each cell would take most of the time.
        text = f"{_BETWEEN}{_BETWEEN.join(record)}{_BETWEEN}"
        is_plain = not ("," in text or '"' in text or "\n" in text or "\r" in text or "\0" in text)
        cells = record if is_plain and not _STARTING.search(text) else [_cell(cell) for cell in record]
        # A record of one empty cell would be an empty line, which readers skip.
        lines.append(",".join(cells) or '""')
    lines.append("")
    return "\r\n".join(lines)


def csv_line(cells: Sequence[str]) -> str:
    """One record of a CSV file; see `csv_lines`."""
    return csv_lines((cells,))


def _cell(text: str) -> str:
    if not text:
        return ""
    if "\0" in text:
        text = text.replace("\0", "")
    if text[:1] in _FORMULA and _PLAIN_NUMBER.fullmatch(text) is None:
        text = "'" + text
    if _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
