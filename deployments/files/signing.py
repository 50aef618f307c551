"""What only the platform can have written: addresses of uploads, and links that expire."""

import re
from datetime import UTC, datetime

from deployments.kit.secret_keys import RotatingKey

_LINK = re.compile(r"(fil_[0-9a-f]{32})\.(\d{1,12})\.([0-9a-f]{64})")
_UPLOAD = re.compile(r"(fil_[0-9a-f]{32})\.([0-9a-f]{64})")


class Signatures:
    """HMAC-SHA256 (RFC 2104) over purpose, tenant and what is signed."""

    def __init__(self, key: str | RotatingKey) -> None:
        self._key = RotatingKey.of(key)

    def link(self, tenant_id: str, file_id: str, expires_at: datetime) -> str:
        """The text that opens a file until a moment (whole seconds)."""
        until = str(int(expires_at.timestamp()))
        return f"{file_id}.{until}.{self._mac('link', tenant_id, file_id, until)}"

    def file_of_link(self, tenant_id: str, link: str, now: datetime) -> str | None:
        """The file that a link opens now, None for one that is not ours or over."""
        found = _LINK.fullmatch(link)
        if found is None or not self._made(found[3], "link", tenant_id, found[1], found[2]):
            return None
        return found[1] if int(found[2]) > now.astimezone(UTC).timestamp() else None

    def upload(self, tenant_id: str, file_id: str) -> str:
        """The text that lets its holder go on with an upload."""
        return f"{file_id}.{self._mac('upload', tenant_id, file_id)}"

    def file_of_upload(self, tenant_id: str, upload_id: str) -> str | None:
        """The file of an upload, None for a text that is not ours."""
        found = _UPLOAD.fullmatch(upload_id)
        if found is None or not self._made(found[2], "upload", tenant_id, found[1]):
            return None
        return found[1]

    def caller(self, tenant_id: str, network: str) -> str:
        """What stands for a visitor's network address: the same until the key is replaced, and of no use elsewhere."""
        return self._mac("caller", tenant_id, network)

    def _mac(self, *parts: str) -> str:
        return self._key.mac("\n".join(parts).encode())

    def _made(self, mac: str, *parts: str) -> bool:
        return self._key.made("\n".join(parts).encode(), mac)
