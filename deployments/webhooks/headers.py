"""Headers of a customer's own, sent along with each delivery."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from deployments.kit.errors import Fault
from deployments.webhooks.contracts import Header

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
# Framing, routing and hop-by-hop headers (RFC 9110 §7.6.1), and what this platform says about a delivery.
_RESERVED: Final = frozenset(
    (
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"),
        *("keep-alive", "te", "trailer", "upgrade", "expect", "accept-encoding", "via", "forwarded"),
        *("proxy-connection", "proxy-authorization", "proxy-authenticate", "user-agent"),
    )
)
_RESERVED_PREFIXES: Final = ("webhook-", "ce-", "formstream-", "x-forwarded-", "proxy-", "svix-")
_ALWAYS_SECRET: Final = frozenset(("authorization", "cookie"))


def header_faults(headers: Sequence[Header], kept: Mapping[str, str]) -> Iterator[Fault]:
    """Everything wrong with a list of headers; `kept` are the secret ones there are, which need no value."""
    seen = set[str]()
    for index, header in enumerate(headers):
        at, name = f"/headers/{index}", header.name.lower()
        if not _NAME.fullmatch(header.name):
            yield Fault(f"{at}/name", "header.name", "a header's name has 1 to 64 letters, digits and dashes")
        elif name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            yield Fault(f"{at}/name", "header.reserved", f"{header.name} is not for customers to set")
        elif name in seen:
            yield Fault(f"{at}/name", "header.duplicate", f"{header.name} is there twice")
        seen.add(name)
        if header.value is None:
            if not (is_secret(header) and name in kept):
                yield Fault(f"{at}/value", "required", "a header needs a value")
        elif not _VALUE.fullmatch(header.value):
            yield Fault(f"{at}/value", "header.value", "a header's value is visible ASCII text")


def is_secret(header: Header) -> bool:
    """Whether the value of a header is never shown."""
    return header.secret or header.name.lower() in _ALWAYS_SECRET
