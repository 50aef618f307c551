"""E-mail messages: rendered from a template, addressed to one person, safe against what people type."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage, Message
from email.policy import EmailPolicy, Policy
from textwrap import dedent
from typing import Any, Final

import idna
from jinja2 import PackageLoader, select_autoescape

from deployments.kit.errors import Invalid
from deployments.notifications.wording import Wording, as_html, environment, fill
from deployments.notifications.words import in_words

_NOT_FOR_HEADERS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")
_LINE_AT_MOST = 900  # RFC 5322 §2.1.1 allows 998 with the header's name
_UNSUBSCRIBE_URL = re.compile(r"https://[!-;=?-~]{1,800}")

_loader = PackageLoader("deployments.notifications")
_environment = environment(
    loader=_loader,
    autoescape=select_autoescape(("html.j2",), default_for_string=False),
)
_TEMPLATES = frozenset(_environment.list_templates())
_BODY = re.compile(r"{% block body %}\n(.*?){% endblock %}", re.DOTALL)
_UNSUBSCRIBE: Final = {"en": "Unsubscribe", "de": "Abbestellen"}


class _Literal(UnstructuredHeader, BaseHeader):
    """Text that stands for itself: the standard class decodes encoded words in it, line breaks and all."""

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        kwds["decoded"] = value
        kwds["parse_tree"] = cls.value_parser("")


class _Url(_Literal):
    """A header on one line: the standard fold would turn a long URL into encoded words, which nobody reads."""

    def fold(self, *, policy: "Policy[Message]") -> str:
        return f"{self.name}: {self}{policy.linesep}"


class _Subject(_Literal):
    """A subject in encoded words (RFC 2047) where it needs them: the standard fold loses spaces between them."""

    def fold(self, *, policy: "Policy[Message]") -> str:
        plain = self.isascii() and "=?" not in self and len(self) <= _LINE_AT_MOST
        header = Header(str(self), "us-ascii" if plain else "utf-8", header_name=self.name)
        return f"{self.name}: {header.encode(linesep=policy.linesep)}{policy.linesep}"


def _policy() -> "EmailPolicy[EmailMessage]":
    headers = HeaderRegistry()
    headers.map_to_type("subject", _Subject)
    headers.map_to_type("list-unsubscribe", _Url)
    return EmailPolicy(message_factory=EmailMessage, header_factory=headers)


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says: its subject on one line, and its body as plain text and as HTML."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Brand:
    """How a tenant's mails present themselves: the name beside the sender's address, where replies go, the look."""

    name: str = ""
    reply_to: str | None = None
    logo_url: str | None = None
    colour: str | None = None


NO_BRAND: Final = Brand()


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a mail carries."""

    name: str
    media_type: str
    content: bytes


def render(
    template: str,
    values: Mapping[str, object],
    locale: str | Sequence[str] = "en",
    *,
    own: Mapping[str, Wording] | None = None,
    brand: Brand = NO_BRAND,
    unsubscribe_url: str | None = None,
) -> Content:
    """The mail of a name in `catalogue`, in the first of the languages `locale` (RFC 5646) that there are words for.

    `own` are the tenant's words by language in lower case, the empty one for every language; they come before those of
    this package, which are in English and, in folders of the language's name, in others. Values are escaped in HTML. A
    value that a template needs and does not get raises jinja2.UndefinedError; TooLong says what it says.
    """
    wanted = [locale] if isinstance(locale, str) else list(locale)
    language, wording = _chosen(template, wanted, own or {})
    spoken = {**in_words(values, language), "language": language}
    layout = {"brand": brand, "unsubscribe_url": unsubscribe_url, "unsubscribe": _unsubscribe(language)}
    if wording is None:
        folder = "" if language == "en" else f"{language}/"
        subject, text, html = (
            _environment.get_template(f"{folder}{template}.{part}.j2").render({**spoken, **layout})
            for part in ("subject.txt", "txt", "html")
        )
    else:
        subject, text = fill(wording.subject, spoken), fill(wording.text, spoken)
        body = as_html(text, spoken.get("link")) if wording.html is None else fill(wording.html, spoken, html=True)
        html = _environment.get_template("own.html.j2").render(
            {**layout, "language": language, "title": subject, "body": body}
        )
    if unsubscribe_url is not None:
        text = f"{text.rstrip()}\n\n-- \n{_unsubscribe(language)}: {unsubscribe_url}\n"
    return Content(_line(subject), text, html)


def built_in(template: str, language: str = "en") -> Wording | None:
    """The words of this package, as a tenant could have written them; None where there are none."""
    folder = "" if language == "en" else f"{language}/"
    if f"{folder}{template}.txt.j2" not in _TEMPLATES:
        return None
    subject, text, html = (_source(f"{folder}{template}.{part}.j2") for part in ("subject.txt", "txt", "html"))
    body = _BODY.search(html)
    return Wording(subject.strip(), text, dedent(body[1]) if body is not None else None)


def languages_of(template: str) -> tuple[str, ...]:
    """The languages that this package has the words in, English first."""
    folders = sorted({name.partition("/")[0] for name in _TEMPLATES if "/" in name})
    return tuple(language for language in ("en", *folders) if built_in(template, language) is not None)


def _source(name: str) -> str:
    return _loader.get_source(_environment, name)[0]


def _chosen(template: str, wanted: Sequence[str], own: Mapping[str, Wording]) -> tuple[str, Wording | None]:
    """The language, and the tenant's words, None for those of this package."""
    for tag in wanted:
        full = tag.lower()
        short = full.partition("-")[0]
        for name in (full, short, ""):
            if name in own:
                return (name or short), own[name]
        if f"{short}/{template}.txt.j2" in _TEMPLATES:
            return short, None
        if short == "en":
            break
    if f"{template}.txt.j2" not in _TEMPLATES and own:
        # A mailing of the tenant's own has no other words than these.
        name = sorted(own)[0]
        return name or "en", own[name]
    return "en", None


def _unsubscribe(language: str) -> str:
    return _UNSUBSCRIBE.get(language.partition("-")[0], _UNSUBSCRIBE["en"])


def message_id(key: str, sender: str) -> str:
    """The Message-ID of what is sent under a key of our own, in the sender's domain (RFC 5322 §3.6.4)."""
    domain = sender.rpartition("@")[2].rstrip(">") or "formstream"
    return f"<{key}@{domain}>"


def build(
    content: Content,
    *,
    sender: str,
    to: str,
    message_id: str,
    date: datetime,
    unsubscribe_url: str | None = None,
    brand: Brand = NO_BRAND,
    mail_id: str | None = None,
    attachment: Attachment | None = None,
) -> EmailMessage:
    """The message, in text and HTML, from one mailbox to one mailbox (`a@b.c` or `Name <a@b.c>`).

    `brand` gives the sender another name and says where replies go; `mail_id` travels along, so that what comes back
    tells which mail it is about.

    The same arguments give the same bytes, so with a `message_id` (`<unique@domain>`) that belongs to the event
    a message sent twice is recognised as one. An https `unsubscribe_url` makes it unsubscribable by one click
    (RFC 8058). Raises Invalid for a bad mailbox, with pointer `/sender` or `/to` and code `format.email`;
    ValueError for a bad message id or URL.
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message id has the form <unique@domain>")
    message = EmailMessage(_policy())
    address = mailbox(sender, "/sender")
    message["From"] = Address(_line(brand.name) or address.display_name, address.username, address.domain)
    if brand.reply_to is not None:
        message["Reply-To"] = mailbox(brand.reply_to, "/reply_to")
    message["To"] = mailbox(to, "/to")
    message["Subject"] = _line(content.subject)
    message["Date"] = date
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    if mail_id is not None:
        message["X-Formstream-Mail"] = mail_id
    if unsubscribe_url is not None:
        if not _UNSUBSCRIBE_URL.fullmatch(unsubscribe_url):
            raise ValueError("an unsubscribe URL is an https URL in ASCII of at most 800 characters")
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # Quoted-printable escapes every "=", so no answer can contain the boundary, which has one and is not random.
    message.set_content(content.text, cte="quoted-printable")
    message.add_alternative(content.html, subtype="html", cte="quoted-printable")
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    message.set_boundary(boundary)
    if attachment is not None:
        kind, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(attachment.content, maintype=kind, subtype=subtype, filename=_line(attachment.name))
        message.set_boundary(f"{boundary}.files")
    return message


def _line(text: str) -> str:
    return _NOT_FOR_HEADERS.sub(" ", text).strip()


def mailbox(text: str, pointer: str) -> Address:
    """Exactly one mailbox, its domain in ASCII form (RFC 5891). Raises Invalid with the code `format.email`."""
    wrong = Invalid.at(pointer, "format.email", "This is not one e-mail address.")
    # Control characters first: the parser would accept a folded line.
    if not text.strip() or any(not (c == " " or c.isprintable()) for c in text):
        raise wrong
    try:
        header = _policy().header_factory("To", text)
    except (HeaderParseError, ValueError, LookupError, AttributeError, TypeError):
        raise wrong from None  # the standard parser trips over some bad input instead of calling it bad
    if header.defects or len(header.addresses) != 1 or header.groups[0].display_name is not None:
        raise wrong
    address: Address = header.addresses[0]
    # An encoded word may have hidden a control character until now.
    if not address.username or not address.domain or not address.display_name.isprintable():
        raise wrong
    if address.domain.isascii():
        return address
    try:
        domain = idna.encode(address.domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise wrong from None
    return Address(address.display_name, address.username, domain)
