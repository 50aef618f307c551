"""Pydantic's errors in the platform's words: JSON pointers and stable codes."""

from pydantic import ValidationError

from deployments.kit.errors import Fault

_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown_property",
    "string_too_short": "length.min",
    "string_too_long": "length.max",
    "too_short": "length.min",
    "too_long": "length.max",
    "string_pattern_mismatch": "pattern",
    "greater_than_equal": "range.min",
    "greater_than": "range.min",
    "less_than_equal": "range.max",
    "less_than": "range.max",
    "literal_error": "option.unknown",
    "enum": "option.unknown",
    "value_error": "invalid",
    "json_invalid": "json.syntax",
}
_FORMATS = ("datetime", "date", "time", "url", "uuid", "email")


def pointer(location: tuple[str | int, ...], prefix: str = "") -> str:
    """The JSON pointer (RFC 6901) of a place in a document."""
    return prefix + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def faults_of(error: ValidationError, prefix: str = "") -> tuple[Fault, ...]:
    """Every error with its pointer below `prefix`, a stable code and a sentence; values are never repeated."""
    return tuple(
        Fault(pointer(item["loc"], prefix), _code(item["type"], item["msg"]), item["msg"])
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _code(kind: str, message: str) -> str:
    if kind in _CODES:
        return "format.email" if kind == "value_error" and "email" in message else _CODES[kind]
    if "." in kind:
        return kind  # a code of our own; pydantic's have no dots
    for name in _FORMATS:
        if kind.startswith(name):
            return f"format.{name}"
    return "type"
