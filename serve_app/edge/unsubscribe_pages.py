"""The way out of mail: a page with one button, and what mail programs press for their readers (RFC 8058)."""

from html import escape
from typing import Final

from sanic import Request

from deployments.kit.errors import DomainError
from deployments.notifications.contracts import Subscription
from serve_app.edge.answer import Answer
from serve_app.edge.correlation import correlation_id
from serve_app.edge.errors import problem
from serve_app.edge.operations import Access, Body, Exchange, Operation, Reply

_PATH: Final = "/unsubscribe/{tenant}/{subscription}"
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-robots-tag", "noindex"),
)
_HTML: Final = "text/html; charset=utf-8"
_TEXTS: Final = {
    "en": {
        "title": "Unsubscribe",
        "ask": "Shall {tenant} send no more mail to {email}?",
        "button": "Unsubscribe",
        "done": "{tenant} sends no more mail to {email}. Mail about an account is still sent.",
        "gone": "This link leads nowhere. Perhaps it is not whole.",
    },
    "de": {
        "title": "Abbestellen",
        "ask": "Soll {tenant} keine Nachrichten mehr an {email} senden?",
        "button": "Abbestellen",
        "done": "{tenant} sendet keine Nachrichten mehr an {email}, außer zu einem Konto.",
        "gone": "Dieser Link führt nirgendwohin. Vielleicht ist er unvollständig.",
    },
}
_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    "<style>body{{font-family:sans-serif;margin:3rem auto;max-width:34rem;padding:0 1rem;color:#1f2430;"
    "background:#fff}}button{{font:inherit;padding:.6rem 1.2rem;color:#fff;background:#1f4fa3;border:0;"
    "border-radius:8px}}button:focus-visible{{outline:3px solid #1f2430;outline-offset:2px}}</style></head>"
    "<body><main><h1>{title}</h1><p>{text}</p>{form}</main></body></html>\n"
)
_FORM: Final = '<form method="post"><button type="submit">{button}</button></form>'


async def ask(x: Exchange) -> Reply:
    """The page. Looking changes nothing: programs look at every link of a mail."""
    return _shown(await x.apis.notifications.find_subscription(x.principal, x.path["subscription"]))


async def unsubscribe(x: Exchange) -> Reply:
    """The button, or one click in a mail program. What the body says beside that does not matter."""
    return _shown(await x.apis.notifications.unsubscribe(x.principal, x.path["subscription"]))


def page_problem(error: DomainError, request: Request) -> Answer:
    """A failure as a page."""
    answer = problem(error, request)
    if error.status == 404:
        texts = _TEXTS["en"]
        body = _PAGE.format(language="en", title=texts["title"], text=texts["gone"], form="")
        answer = Answer(404, body.encode(), _HTML, correlation_id(request), _HEADERS)
    return answer


def _shown(subscription: Subscription) -> Reply:
    language = subscription.language.partition("-")[0].lower()
    language = language if language in _TEXTS else "en"
    texts = _TEXTS[language]
    said = texts["done" if subscription.unsubscribed else "ask"]
    page = _PAGE.format(
        language=language,
        title=texts["title"],
        text=escape(said.format(tenant=subscription.tenant, email=subscription.email)),
        form="" if subscription.unsubscribed else _FORM.format(button=texts["button"]),
    )
    return Reply(page.encode(), media_type=_HTML, headers=_HEADERS)


UNSUBSCRIBE_PAGES = tuple(
    Operation(
        id=name,
        method=method,  # type: ignore[arg-type]
        path=_PATH,
        summary="The way out of mail",
        tag="Mail",
        scope=Access.PUBLIC,
        rate="submit",
        handler=handler,
        body=Body.RAW_JSON,
        response=str,
        response_media_type="text/html",
        documented=False,
        problem=page_problem,
    )
    for name, method, handler in (("show_unsubscribe", "GET", ask), ("unsubscribe", "POST", unsubscribe))
)
"""What links in mails lead to; `deployments.notifications.stationery` writes them."""
