"""Where a form's pages are, and what their addresses say beside the form."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from serve_app.edge.form_pages.entries import Entries, query_entries

_LONGEST_TAG = 40


@dataclass(frozen=True, slots=True)
class Visit:
    """What the query says: the language asked for, whether the page stands in a frame, and answers to begin with."""

    language: str | None
    embedded: bool
    prefilled: Entries

    @classmethod
    def of(cls, query: str) -> "Visit":
        """What a query string says."""
        entries = dict(query_entries(query))
        language = entries.pop("lang", [""])[0][:_LONGEST_TAG] or None
        embedded = entries.pop("embed", [""])[0] == "1"
        return cls(language, embedded, entries)

    def address(self, path: Mapping[str, str], rest: str = "", *, language: str | None = None) -> str:
        """The address of a form's page, in this or another language."""
        query = {"lang": language or self.language, "embed": "1" if self.embedded else None}
        given = urlencode({name: value for name, value in query.items() if value})
        return f"/f/{path['tenant']}/{path['slug']}{rest}" + (f"?{given}" if given else "")
