"""What every mail carries whatever it says: its sender, where failures are told, and the way out of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final

from deployments.kit.secret_keys import RotatingKey

_TOKEN: Final = re.compile(r"([a-z]{2,10}_[0-9a-f]{32})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Stationery:
    """The platform's part of each mail. Without a `key` nothing can be unsubscribed from.

    Failures are told to `bounces`, with the mail's id behind a plus (VERP): what comes back says which mail it is
    about, whatever the other side keeps of it.
    """

    sender: str
    public_url: str = ""
    key: RotatingKey | None = None
    bounces: str = ""

    def return_path(self, mail_id: str) -> str:
        """The envelope's sender; empty for the address of the sender."""
        if not self.bounces:
            return ""
        local, _, domain = parseaddr(self.bounces)[1].rpartition("@")
        return f"{local}+{mail_id}@{domain}"

    def unsubscribe_url(self, tenant_id: str, mail_id: str) -> str | None:
        """A link for the recipient of a mail alone."""
        return (
            f"{self.public_url}/unsubscribe/{tenant_id}/{mail_id}.{self.key.mac(_signed(tenant_id, mail_id))}"
            if self.key is not None
            else None
        )

    def one_click(self, url: str | None) -> str | None:
        """The link for the head of a mail, where RFC 8058 wants https."""
        return url if url is not None and url.startswith("https://") else None

    def mail_of(self, tenant_id: str, token: str, older: Sequence[bytes] = ()) -> str | None:
        """The mail that a link belongs to, None when the link is not ours. `older` are keys that once made links."""
        found = _TOKEN.fullmatch(token)
        if found is None or self.key is None:
            return None
        keys = (self.key, *map(RotatingKey.of, older))
        return found[1] if any(key.made(_signed(tenant_id, found[1]), found[2]) for key in keys) else None


def _signed(tenant_id: str, mail_id: str) -> bytes:
    return f"unsubscribe\n{tenant_id}\n{mail_id}".encode()
