"""The random values of a login, and what is kept of them."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from deployments.identity.contracts import TENANT_ID

_TICKET: Final = re.compile(r"(?P<tenant>[^.]{2,63})\.[A-Za-z0-9_-]{43}")
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")
# Printable ASCII without a fragment. No second slash and no backslash, which browsers take for one: those would name
# a host. Neither spaces nor control characters, which browsers drop before they look.
_RETURN_TO: Final = re.compile(r"/(?:[\x21\x22\x24-\x2e\x30-\x5b\x5d-\x7e][\x21\x22\x24-\x5b\x5d-\x7e]{0,510})?")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What shows that a code and a token belong to this login (RFC 7636, OpenID Connect Core §3.1.2.1)."""

    verifier: str
    nonce: str

    @property
    def code_challenge(self) -> str:
        """The S256 challenge of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_challenge() -> Challenge:
    """A fresh challenge, 256 bits each."""
    return Challenge(secrets.token_urlsafe(32), secrets.token_urlsafe(32))


def new_ticket(tenant_id: str) -> str:
    """256 random bits, and the tenant in whose rows to look for them."""
    return f"{tenant_id}.{secrets.token_urlsafe(32)}"


def tenant_of(ticket: str) -> str | None:
    """The tenant that a ticket names; None for what cannot be one."""
    found = _TICKET.fullmatch(ticket)
    return found["tenant"] if found and re.fullmatch(TENANT_ID, found["tenant"]) else None


def browser_of(cookie: str | None) -> str:
    """The cookie's value when it can be one of ours, so that several tabs can log in at once; else a fresh one."""
    return cookie if cookie is not None and _BROWSER.fullmatch(cookie) else secrets.token_urlsafe(32)


def fingerprint(ticket: str) -> str:
    """What is kept of a random value: its SHA-256, hexadecimal."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()


def is_safe_return(path: str) -> bool:
    """Whether people may be sent there: a path of the same origin, of at most 512 characters, without a fragment."""
    return _RETURN_TO.fullmatch(path) is not None
