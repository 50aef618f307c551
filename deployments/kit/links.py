"""Links that open one file for whoever has them, which only the platform can have written."""

import re
from datetime import UTC, datetime

from deployments.kit.secret_keys import RotatingKey


class Links:
    """HMAC-SHA256 (RFC 2104) over purpose, tenant, what is opened and end. `prefix` begins the ids of the latter."""

    def __init__(self, key: RotatingKey, purpose: str, prefix: str) -> None:
        self._key = key
        self._purpose = purpose
        self._form = re.compile(rf"({re.escape(prefix)}_[0-9a-f]{{32}})\.(\d{{1,12}})\.([0-9a-f]{{64}})")

    def link(self, tenant_id: str, target: str, expires_at: datetime) -> str:
        """The text that opens something until a moment (whole seconds)."""
        until = str(int(expires_at.timestamp()))
        return f"{target}.{until}.{self._key.mac(self._covered(tenant_id, target, until))}"

    def target_of(self, tenant_id: str, link: str, now: datetime) -> str | None:
        """What a link opens now, None for one that is not ours or over."""
        found = self._form.fullmatch(link)
        if found is None or not self._key.made(self._covered(tenant_id, found[1], found[2]), found[3]):
            return None
        return found[1] if int(found[2]) > now.astimezone(UTC).timestamp() else None

    def _covered(self, *parts: str) -> bytes:
        return "\n".join((self._purpose, *parts)).encode()
