"""E-mail messages: rendered from a template, addressed to one person, safe against what people type."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage, Message
from email.policy import EmailPolicy, Policy
from typing import Any

import idna
from jinja2 import PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from deployments.kit.errors import Invalid

_NOT_FOR_HEADERS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")
_LINE_AT_MOST = 900  # RFC 5322 §2.1.1 allows 998 with the header's name
_UNSUBSCRIBE_URL = re.compile(r"https://[!-;=?-~]{1,800}")

_environment = ImmutableSandboxedEnvironment(
    loader=PackageLoader("deployments.notifications"),
    autoescape=select_autoescape(("html.j2",), default_for_string=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES = frozenset(_environment.list_templates())


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


def render(template: str, values: Mapping[str, object], locale: str = "en") -> Content:
    """Fill the templates `<template>.subject.txt.j2`, `.txt.j2` and `.html.j2` of this package.

    A folder named like the language of `locale` (RFC 5646) has those of that language; English stands in where there
    is none. Values are escaped in HTML. A value that a template needs and does not get raises jinja2.UndefinedError.
    `response_notification` takes `form_title`, `submitted_at` (aware datetime) and `answers`, a sequence of
    (question, answer) pairs of text.
    """
    language = locale.partition("-")[0].lower()
    if f"{language}/{template}.txt.j2" in _TEMPLATES:
        folder = f"{language}/"
    else:
        folder, language = "", "en"
    subject, text, html = (
        _environment.get_template(f"{folder}{template}.{part}.j2").render({**values, "language": language})
        for part in ("subject.txt", "txt", "html")
    )
    return Content(_NOT_FOR_HEADERS.sub(" ", subject).strip(), text, html)


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
) -> EmailMessage:
    """The message, in text and HTML, from one mailbox to one mailbox (`a@b.c` or `Name <a@b.c>`).

    The same arguments give the same bytes, so with a `message_id` (`<unique@domain>`) that belongs to the event
    a message sent twice is recognised as one. An https `unsubscribe_url` makes it unsubscribable by one click
    (RFC 8058). Raises Invalid for a bad mailbox, with pointer `/sender` or `/to` and code `format.email`;
    ValueError for a bad message id or URL.
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message id has the form <unique@domain>")
    message = EmailMessage(_policy())
    message["From"] = _mailbox(sender, "/sender")
    message["To"] = _mailbox(to, "/to")
    message["Subject"] = _NOT_FOR_HEADERS.sub(" ", content.subject).strip()
    message["Date"] = date
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe_url is not None:
        if not _UNSUBSCRIBE_URL.fullmatch(unsubscribe_url):
            raise ValueError("an unsubscribe URL is an https URL in ASCII of at most 800 characters")
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # Quoted-printable escapes every "=", so no answer can contain the boundary, which has one and is not random.
    message.set_content(content.text, cte="quoted-printable")
    message.add_alternative(content.html, subtype="html", cte="quoted-printable")
    message.set_boundary("=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32])
    return message


def _mailbox(text: str, pointer: str) -> Address:
    """Exactly one mailbox, its domain in ASCII form (RFC 5891)."""
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
