"""E-mail addresses and URLs."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import idna
import re2  # type: ignore[import-untyped]
from email_validator import EmailNotValidError, validate_email
from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS

from deployments.models.extraction.findings import MAX_FINDINGS, Finding
from deployments.models.extraction.reading import Reading

_EMAIL: Final[Any] = re2.compile(r"[\pL\pN][\pL\pN\pM.!#$%&'*+/=?^_`{|}~-]*@(?:[\pL\pN][\pL\pN\pM-]*\.)+[\pL\pM]+")
_LONGEST_EMAIL: Final = 254  # RFC 5321
# Endings of domains that are also words or endings of files: without a scheme, "www." or a path, "the end.it was" and
# "script.py" are more likely than an address.
_WORDS: Final = frozenset(
    [
        "am",
        "as",
        "at",
        "be",
        "by",
        "do",
        "in",
        "is",
        "it",
        "me",
        "my",
        "no",
        "so",
        "to",
        "us",
        "ai",
        "cc",
        "md",
        "mk",
        "pl",
        "ps",
        "py",
        "rs",
        "sh",
        "gl",
        "la",
        "ms",
        "pm",
        "st",
        "tk",
    ]
)
_COMMON: Final = frozenset(
    [
        "com",
        "net",
        "org",
        "info",
        "biz",
        "edu",
        "gov",
        "int",
        "mil",
        "name",
        "pro",
        "app",
        "dev",
        "shop",
        "store",
        "online",
        "site",
        "xyz",
        "cloud",
        "blog",
        "tech",
        "travel",
        "jobs",
        "mobi",
        "museum",
        "coop",
        "aero",
        "asia",
        "cat",
        "tel",
        "berlin",
        "hamburg",
        "koeln",
        "wien",
        "bayern",
        "paris",
        "bzh",
        "london",
        "swiss",
    ]
)
_TLDS: Final = frozenset(each.lower() for each in TLDS)


def emails(reading: Reading) -> Iterator[Finding]:
    """Addresses that could receive mail; the value has the domain in small letters."""
    for number, match in enumerate(_EMAIL.finditer(reading.text)):
        if number == MAX_FINDINGS:
            return
        if match.end() - match.start() > _LONGEST_EMAIL:
            continue
        if match.group().rpartition(".")[2].lower() not in _TLDS:
            continue
        try:
            address = validate_email(match.group(), check_deliverability=False)
        except EmailNotValidError:
            continue
        yield Finding("email", match.start(), match.end(), address.normalized)


def urls(reading: Reading) -> Iterator[Finding]:
    """Web addresses; the value has a scheme, and the host in small ASCII letters."""
    links = _linkify().match(reading.text) or []
    for link in links[:MAX_FINDINGS]:
        if link.schema in ("mailto:", "//"):
            continue
        value = _normalised(link.url, guessed=not link.schema)
        if value is not None:
            yield Finding("url", link.index, link.last_index, value, 1.0 if link.schema else 0.9)


def _normalised(url: str, *, guessed: bool) -> str | None:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
        ascii_host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except (ValueError, idna.IDNAError):
        return None
    if "." not in host:
        return None
    if guessed and not host.startswith("www."):
        ending = parts.netloc.partition(":")[0].rpartition(".")[2]
        if ending != ending.lower() or (parts.path in ("", "/") and not _sure(ending, host)):
            return None
    scheme = "https" if guessed else parts.scheme.lower()
    return urlunsplit((scheme, f"{ascii_host.lower()}{port}", parts.path, parts.query, parts.fragment))


def _sure(ending: str, host: str) -> bool:
    """Whether a host alone is an address: by the ending, or by a name that no sentence has."""
    if ending in _WORDS:
        return host.count(".") > 1 and len(host) > len("i.e.it")
    return ending in _COMMON or len(ending) == len("de") or not ending.isascii()


@cache
def _linkify() -> Any:
    linkify = LinkifyIt(options={"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": False})
    return linkify.tlds(sorted(_TLDS))
