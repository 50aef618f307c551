"""Pages without a form: sent, closed, not there, not possible."""

from typing import Any, Final

from deployments.forms.contracts import PublishedForm
from deployments.kit.errors import DomainError
from serve_app.edge.form_pages.appearance import Appearance, text_in
from serve_app.edge.form_pages.locales import moment
from serve_app.edge.form_pages.policy import page_policy
from serve_app.edge.form_pages.rendering import render
from serve_app.edge.form_pages.texts import LANGUAGES, Texts, negotiated, texts_in
from serve_app.edge.operations import Headers, Reply

HTML: Final = "text/html; charset=utf-8"
POLICY: Final = page_policy()

_BY_CODE: Final = {
    "form.closed": "closed",
    "quota.responses": "full",
    "tenant.suspended": "suspended",
    "maintenance": "maintenance",
}
_BY_REASON: Final = {"not_open_yet": "waiting", "full": "full", "suspended": "suspended"}
_BY_STATUS: Final = {404: "missing", 413: "large", 429: "busy", 503: "busy", 504: "busy"}


def headers(look: Appearance) -> Headers:
    """What goes with every page of a form."""
    return (
        ("content-security-policy", look.policy()),
        # Every view has a key of its own, under which its answers are stored once.
        ("cache-control", "private, no-cache"),
        ("vary", "Accept-Language, Accept, Accept-Encoding"),
    )


def sent(published: PublishedForm, t: Texts, look: Appearance, again: str, form: str, *, embedded: bool) -> Reply:
    """Thanks."""
    body = _notice(
        published,
        t,
        look,
        embedded=embedded,
        heading=t("sent_title"),
        text=look.message or t("sent_text"),
        again=again,
        done=True,
        form=form,
    )
    return Reply(body, media_type=HTML, headers=headers(look))


def closed(published: PublishedForm, t: Texts, look: Appearance, *, embedded: bool) -> Reply:
    """Why the form takes no answers now, in its owner's words where there are any."""
    opens_at = published.opens_at
    kind = _BY_REASON.get(published.closed_reason or "", "closed")
    body = _notice(
        published,
        t,
        look,
        embedded=embedded,
        heading=t(f"{kind}_title"),
        text=text_in(published.message, t.language) or t(f"{kind}_text"),
        opens_at=opens_at if kind == "waiting" else None,
        moment=moment(opens_at, t.language) if opens_at is not None else "",
    )
    return Reply(body, status=403, media_type=HTML, headers=headers(look))


def failure(error: DomainError, language: str | None, accepted: str | None) -> bytes:
    """A failure in the visitor's language."""
    t = texts_in(negotiated(LANGUAGES, language, accepted))
    kind = _BY_CODE.get(error.code) or _BY_STATUS.get(error.status, "failed")
    return render("notice.html.j2", t, heading=t(f"{kind}_title"), text=t(f"{kind}_text"))


def _notice(published: PublishedForm, t: Texts, look: Appearance, *, embedded: bool, **values: Any) -> bytes:
    frame: dict[str, Any] = {"style": look.style, "logo": look.logo, "logo_alt": look.logo_alt, "embedded": embedded}
    return render("notice.html.j2", t, **frame, title=published.title, **values)
