"""HTML as a program without scripts reads it."""

from html.parser import HTMLParser
from typing import Any

import httpx

_CONTROLS = ("input", "select", "textarea")


class Html(HTMLParser):
    """The elements of a document in order, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of all elements with these."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]

    def one(self, tag: str, **attributes: str) -> dict[str, str]:
        """The attributes of the one element with these."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, (tag, attributes, found)
        return found[0]

    def with_id(self, name: str) -> dict[str, str]:
        """The attributes of the one element with the id."""
        found = [attributes for _, attributes in self.elements if attributes.get("id") == name]
        assert len(found) == 1, (name, found)
        return found[0]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def names(self) -> set[str]:
        """The names of all controls."""
        return {attributes["name"] for tag, attributes in self.elements if tag in _CONTROLS and "name" in attributes}

    def shown(self) -> list[str]:
        """The ids of the pages that are not hidden."""
        return [page["data-page"] for page in self.all("section") if "hidden" not in page]

    def key(self) -> str:
        return self.one("input", name="_key")["value"]


def page_of(answer: httpx.Response, status: int = 200) -> Html:
    """The page that was answered, in which no id stands twice."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Html(answer.text)
    assert len(page.ids()) == len(set(page.ids()))
    return page
