"""Links that open one file for whoever has them, which only the platform can have written."""

import hashlib
import hmac
import re
from datetime import UTC, datetime


class Links:
    """HMAC-SHA256 (RFC 2104) over purpose, tenant, what is opened and end. `prefix` begins the ids of the latter."""

    def __init__(self, key: str, purpose: str, prefix: str) -> None:
        self._key = key.encode()
        self._purpose = purpose
        self._form = re.compile(rf"({re.escape(prefix)}_[0-9a-f]{{32}})\.(\d{{1,12}})\.([0-9a-f]{{64}})")

    def link(self, tenant_id: str, target: str, expires_at: datetime) -> str:
        """The text that opens something until a moment (whole seconds)."""
        until = str(int(expires_at.timestamp()))
        return f"{target}.{until}.{self._mac(tenant_id, target, until)}"

    def target_of(self, tenant_id: str, link: str, now: datetime) -> str | None:
        """What a link opens now, None for one that is not ours or over."""
        found = self._form.fullmatch(link)
        if found is None or not hmac.compare_digest(found[3], self._mac(tenant_id, found[1], found[2])):
            return None
        return found[1] if int(found[2]) > now.astimezone(UTC).timestamp() else None

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join((self._purpose, *parts)).encode(), hashlib.sha256).hexdigest()
