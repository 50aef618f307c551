"""How long a visitor was on each page: measured by the script, or between two requests where there is none (R2)."""

from datetime import UTC, datetime
from typing import Final

import orjson

from deployments.responses.life_contracts import MAX_PAGE_MS
from serve_app.edge.form_pages.entries import Entries

TIMINGS: Final = "_timings"
"""The hidden field with the milliseconds by page id, as JSON."""
SHOWN: Final = "_shown"
"""The hidden field that says when the server made the page; the script empties it and measures itself."""


def spent(entries: Entries, current: str, page_ids: tuple[str, ...], now: datetime | None = None) -> dict[str, int]:
    """The milliseconds on each page until `now`; what is no such measure is left out."""
    try:
        given = orjson.loads(entries.get(TIMINGS, ["{}"])[0])
    except orjson.JSONDecodeError:
        given = {}
    known = given if isinstance(given, dict) else {}
    found = {page: ms for page in page_ids if type(ms := known.get(page)) is int and 0 <= ms <= MAX_PAGE_MS}
    passed = _since(entries.get(SHOWN, [""])[0], now or datetime.now(UTC))
    if passed is not None:
        found[current] = min(found.get(current, 0) + passed, MAX_PAGE_MS)
    return found


def _since(shown: str, now: datetime) -> int | None:
    try:
        passed = (now - datetime.fromisoformat(shown)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return int(passed * 1000) if passed >= 0 else None
