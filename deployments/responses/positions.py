"""Where a page of versions or of the trash begins."""

from datetime import datetime

from deployments.kit.errors import Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor


def revision_cursor(response_id: str, revision: int) -> str:
    """The cursor of the versions below a revision."""
    return encode_cursor(f"{response_id}-revision", [str(revision)])


def at_revision(cursor: str | None, response_id: str) -> int | None:
    """The revision of a cursor. Raises Invalid."""
    if cursor is None:
        return None
    (text,) = decode_cursor(cursor, f"{response_id}-revision", 1)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _foreign()
    return int(text)


def moment_cursor(form_id: str, at: datetime, response_id: str) -> str:
    """The cursor of what went to the trash before a response."""
    return encode_cursor(f"{form_id}-deleted_at", [at.isoformat(), response_id])


def at_moment(cursor: str | None, form_id: str) -> tuple[datetime, str] | None:
    """The moment and the response of a cursor. Raises Invalid."""
    if cursor is None:
        return None
    at, response_id = decode_cursor(cursor, f"{form_id}-deleted_at", 2)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise _foreign() from error
    if moment.tzinfo is None:
        raise _foreign()
    return moment, response_id


def _foreign() -> Invalid:
    return Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort")
