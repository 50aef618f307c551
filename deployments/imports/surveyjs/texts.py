"""Texts of SurveyJS: one for all languages or one for each, and HTML as plain text."""

import html
from html.parser import HTMLParser
from typing import Any, Final

_BLOCKS: Final = frozenset(
    ("p", "div", "br", "li", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "table")
)
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_UNSHOWN: Final = frozenset(("script", "style", "template"))


class Texts:
    """Picks the texts of one language. `others` are the languages that there are besides, in their order."""

    def __init__(self, language: str) -> None:
        self._language = language
        self.others: dict[str, None] = {}

    def pick(self, value: Any) -> str:
        """The text of a value; '' when it has none."""
        if isinstance(value, dict):
            self.others |= {str(each): None for each in value if each not in ("default", self._language)}
            found = value.get(self._language) or value.get("default") or next(iter(value.values()), "")
            return found.strip() if isinstance(found, str) else ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return ""
        return str(value).strip()


class _Plain(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.heading = ""
        self.text: list[str] = []
        self._silent = 0
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.text.append("\n")
        self._silent += tag in _UNSHOWN
        self._in_heading = tag in _HEADINGS and not self.heading and not "".join(self.text).strip()

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.text.append("\n")
        self._silent -= tag in _UNSHOWN and self._silent > 0
        self._in_heading = self._in_heading and tag not in _HEADINGS

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._in_heading:
            self.heading += data
        else:
            self.text.append(data)


def plain(source: str) -> tuple[str, str]:
    """The heading at the beginning of some HTML, '' when there is none, and the text of the rest."""
    parser = _Plain()
    parser.feed(source[:200_000])
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.text).split("\n"))
    return " ".join(parser.heading.split()), "\n".join(line for line in lines if line)


def as_html(title: str, description: str | None) -> str:
    """HTML that `plain` reads to the same texts, when their lines have no blanks too many."""
    lines = (description or "").split("\n")
    body = "".join(f"<p>{html.escape(line)}</p>" for line in lines if line.strip())
    return f"<h3>{html.escape(title)}</h3>{body}"
