"""Answers that wait on the platform, to be gone on with on another device. Who has the token has the answers."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from deployments.kit.errors import Conflict, NotFound
from deployments.responses.contracts import SubmitResponse
from serve_app.edge import screening
from serve_app.edge.form_pages.answers import WITHOUT_ANSWER, entries_of
from serve_app.edge.form_pages.entries import Entries
from serve_app.edge.form_pages.form_page import FormPage
from serve_app.edge.form_pages.spent import TIMINGS
from serve_app.edge.operations import Exchange


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved of a response: its entries, the page that was shown, and its token while that fits the form."""

    entries: Entries
    page: str
    token: str


async def save(x: Exchange, page: FormPage, entries: Entries, token: str) -> tuple[str, str]:
    """Keep the answers that are right so far. Returns the token to go on with, and until when it works."""
    answers, _ = page.rules.check(page.answers(entries), partial=True)
    more = {"meta": {"page": entries.get("_page", [""])[0]}, "timings": orjson.loads(entries[TIMINGS][0])}
    responses = x.apis.responses
    if token:
        # An answered or expired one is left as it is: this is another response.
        with suppress(NotFound, Conflict):
            body = orjson.dumps({"answers": _whole(page, answers), "status": "partial", **more})
            kept = await responses.save_partial(x.principal, token, body, None)
            return token, kept.expires_at.isoformat()
    body = orjson.dumps({"answers": answers, "status": "partial", **more})
    begun = await responses.submit(x.principal, SubmitResponse(body=body, slug=x.path["slug"]))
    return begun.resume_token or "", begun.expires_at.isoformat() if begun.expires_at else ""


async def saved(x: Exchange, page: FormPage, form_id: str, version: int, token: str) -> Saved | None:
    """What the token leads to; None when that is no answer to this form, or complete.

    Answers to an older version begin a response to the one that is shown.
    """
    responses = x.apis.responses
    try:
        found = await responses.resume(x.principal, token)
    except (NotFound, Conflict):
        return None
    if found.form_id != form_id or found.status != "partial":
        return None
    elements = [element for each in page.pages for element in each["elements"]]
    shown = str(found.meta.get("page", ""))
    entries = {**entries_of(elements, found.answers), TIMINGS: [orjson.dumps(found.timings or {}).decode()]}
    return Saved(entries, shown, token if found.version == version else "")


async def complete(x: Exchange, page: FormPage, document: Mapping[str, Any], token: str, key: str | None) -> None:
    """Submit a saved response, with exactly the answers of the document."""
    body = orjson.dumps({**document, "answers": _whole(page, document["answers"]), "status": "complete"})
    await screening.saved(x, token, body, key)


def _whole(page: FormPage, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers with null for every field without one: saved answers are changed field by field."""
    asked = {name for name, element in page.elements.items() if element["type"] not in WITHOUT_ANSWER}
    return dict.fromkeys(sorted(asked)) | dict(answers)
