"""Members of documents, whatever their names are spelled like: `created_at`, `createdAt`, `CreatedAt`."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

_SECONDS: Final = 10**11
_SECRET: Final = re.compile(r"pass(word|wd|phrase)?$|passw|hash|salt|secret|token|api_?key|otp|mfa|totp", re.IGNORECASE)
_OBJECT_ID: Final = re.compile(r"[0-9a-f]{24}")
_TRUTHS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class Members:
    """The members of an object. What nobody takes is left."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._values = {spelled(name): (name, value) for name, value in body.items()}
        self._taken: set[str] = set()

    def take(self, *names: str) -> Any:
        """The first of these members that says something, None when none does. All of them are taken."""
        self._taken.update(names)
        for name in names:
            found = self._values.get(name)
            if found is not None and found[1] not in (None, ""):
                return found[1]
        return None

    def text(self, *names: str) -> str:
        """The same as a text; empty for what is none."""
        return text_of(self.take(*names))

    def place(self, *names: str) -> str:
        """The pointer of the first of these members that there is."""
        return next((f"/{self._values[name][0]}" for name in names if name in self._values), f"/{names[0]}")

    def left(self) -> Iterator[tuple[str, Any]]:
        """The members that nobody took and that say something."""
        for key, (name, value) in self._values.items():
            if key not in self._taken and value not in (None, "", [], {}):
                yield name, value


@lru_cache(maxsize=10_000)
def spelled(name: str) -> str:
    """The name without what spellings differ in."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def is_secret(name: str) -> bool:
    """Whether a member of this name opens something: such are never kept."""
    return _SECRET.search(name) is not None


def text_of(value: Any) -> str:
    """The text of a plain value; empty for what is none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or value is None:
        return ""
    return str(value) if isinstance(value, int | float) else ""


def truth_of(value: Any) -> bool | None:
    """Whether a value says yes or no; None when it says neither."""
    if isinstance(value, bool):
        return value
    return _TRUTHS.get(str(value).strip().lower()) if isinstance(value, str | int) else None


def list_of(value: Any) -> list[Any]:
    """The items of a list, those of an object, or the value by itself."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [{"key": key, **item} if isinstance(item, dict) else item for key, item in value.items()]
    return list(value) if isinstance(value, list) else [value]


def moment_of(value: Any) -> datetime | None:
    """The moment that a value says: a date, a text, seconds or milliseconds since 1970; UTC where it names no zone."""
    with suppress(ValueError, TypeError, OverflowError, OSError, IndexError):
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000 if abs(value) >= _SECONDS else value, UTC)
        if isinstance(value, str):
            text = value.strip()
            if not text or len(text) > 64:
                return None
            if text[:1].isdigit() or text[:1] == "-":
                value = datetime.fromisoformat(text.replace(" UTC", "+00:00"))
            else:
                value = parsedate_to_datetime(text)
        found: datetime = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    return None


def is_object_id(text: str) -> bool:
    """Whether the text is one that MongoDB makes up."""
    return _OBJECT_ID.fullmatch(text) is not None


def born(source_id: str) -> datetime | None:
    """When a document was made, by its ObjectId."""
    if not is_object_id(source_id):
        return None
    return datetime.fromtimestamp(int(source_id[:8], 16), UTC)
