"""CSV text that is safe to open: RFC 4180 quoting, and no cell that a spreadsheet would run as a formula."""

import re
from collections.abc import Iterable
from typing import Final

# OWASP "CSV Injection": these start a formula in one spreadsheet or another, the full-width forms in East Asian ones.
_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_QUOTED: Final = re.compile(r'[",\r\n]')


def csv_line(cells: Iterable[str]) -> str:
    """One record of a CSV file (RFC 4180), with its CRLF.

    A cell that begins with `= + - @`, a tab, a line break or a full-width form of these gets a leading `'`, unless
    it is a plain number such as `-5` or `+3.2`. NUL is removed. Everything else is kept as it is.
    """
    line = ",".join([_cell(cell) for cell in cells])
    # A record of one empty cell would be an empty line, which readers skip.
    return (line or '""') + "\r\n"


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
