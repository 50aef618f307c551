"""The names that XLSForm's columns, types and values go by."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from babel import Locale
from babel.localedata import locale_identifiers

ALIASES: Final = {
    "relevance": "relevant",
    "calculate": "calculation",
    "read_only": "readonly",
    "caption": "label",
    "command": "type",
    "tag": "name",
    "value": "name",
    "listname": "list_name",
    "formid": "form_id",
    "set_form_title": "form_title",
    "title": "form_title",
    "set_form_id": "form_id",
    "form_style": "style",
    "constraint_msg": "constraint_message",
    "bind::required": "required",
    "bind::relevant": "relevant",
    "bind::constraint": "constraint",
    "bind::calculate": "calculation",
    "control::appearance": "appearance",
    "body::appearance": "appearance",
}

TEXTS: Final = ("label", "hint", "guidance_hint", "constraint_message", "required_message")
"""The columns that may come once per language."""

FREE: Final = frozenset(("label", "hint"))
"""What may change without a row's mark (`marks`) losing its hold."""

IGNORED: Final = frozenset(("form_id", "version", "id_string", "formstream", "notes", "comments"))

TYPES: Final = {
    **dict.fromkeys(("text", "string", "q_string"), "text"),
    **dict.fromkeys(("integer", "int", "q_int"), "integer"),
    **dict.fromkeys(("datetime", "date_time", "datetime"), "datetime"),
    **dict.fromkeys(("acknowledge", "trigger", "q_acknowledge"), "acknowledge"),
    **dict.fromkeys(("note", "add_note_prompt"), "note"),
    **dict.fromkeys(("image", "photo", "add_image_prompt"), "image"),
    **dict.fromkeys(("geopoint", "location", "q_geopoint", "gps"), "geopoint"),
    **dict.fromkeys(("calculate", "calculation"), "calculate"),
    **dict.fromkeys(("begin_group", "begin_lgroup", "begin_table-list"), "begin_group"),
    **dict.fromkeys(("begin_repeat", "begin_looped_group"), "begin_repeat"),
    **dict.fromkeys(("end_group", "end_lgroup", "end_table-list"), "end_group"),
    **dict.fromkeys(("end_repeat", "end_looped_group"), "end_repeat"),
    **dict.fromkeys(("decimal", "date", "time", "range", "hidden", "file", "audio", "video", "xml-external")),
    **dict.fromkeys(("background-audio", "csv-external", "geotrace", "geoshape", "start", "end", "today")),
    **dict.fromkeys(("deviceid", "subscriberid", "simserial", "phonenumber", "username", "email", "audit")),
    **dict.fromkeys(("start-geopoint", "background-geopoint", "barcode")),
}

METADATA: Final = frozenset(
    (
        *("start", "end", "today", "deviceid", "subscriberid", "simserial", "phonenumber", "username", "email"),
        *("audit", "start-geopoint", "background-geopoint", "background-audio", "csv-external", "xml-external"),
    )
)
"""What devices record by themselves, and data that a form refers to: no questions."""

_SELECT: Final = re.compile(
    r"(?:add )?(?P<kind>select one external|select one from file|select multiple from file|select one|select1"
    r"|select multiple|select all that apply|select|rank)(?: from| prompt using| using)? (?P<list>\S.*?)"
    r"(?P<other> or(?: |_)(?:specify(?: |_))?other)?"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A row's type; selections have a `list` of choices."""

    name: str
    list: str = ""
    other: bool = False


def kind_of(text: str) -> Kind | None:
    """The type that a cell names; None when there is none of that name."""
    plain = " ".join(text.split())
    word = plain.lower().replace(" ", "_")
    if word in TYPES:
        return Kind(TYPES[word] or word)
    match = _SELECT.fullmatch(re.sub(r"^(select|add|rank)[\w ]*?(?= \S+( or|$))", _spaced, plain, flags=re.IGNORECASE))
    if match is None:
        return None
    kind = match["kind"].lower()
    if "file" in kind or "external" in kind:
        return Kind("select_elsewhere", match["list"])
    name = "rank" if kind == "rank" else "select_one" if kind in ("select one", "select1") else "select_multiple"
    return Kind(name, match["list"], other=match["other"] is not None)


def _spaced(match: "re.Match[str]") -> str:
    return match[0].lower().replace("_", " ")


_TRUE: Final = frozenset(("yes", "true", "true()", "1", "x"))
_FALSE: Final = frozenset(("no", "false", "false()", "0"))


def truth(text: str) -> bool | None:
    """The truth value that a cell names; None when it is an expression."""
    word = text.lower()
    return True if word in _TRUE else False if word in _FALSE else None


_CODE: Final = re.compile(r"\(([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4})\)")
_BARE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")


def language_code(text: str) -> str | None:
    """The tag of a language that a column names: `Deutsch (de)`, `de`, `German` or `Deutsch`."""
    match = _CODE.search(text)
    if match is not None:
        return match[1]
    if _BARE.fullmatch(text) and len(text.partition("-")[0]) == 2:
        return text
    name = " ".join(text.split()).casefold()
    return _english_names().get(name) or _own_names().get(name)


@cache
def _english_names() -> dict[str, str]:
    return {name.casefold(): tag for tag, name in Locale("en").languages.items() if len(tag) == 2}


@cache
def _own_names() -> dict[str, str]:
    tags = (tag for tag in locale_identifiers() if len(tag) == 2)
    return {(Locale(tag).get_language_name() or tag).casefold(): tag for tag in tags}
