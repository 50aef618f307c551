"""What is examined: the settings, the environment they come from, and how replicas are placed."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from serve_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation as its settings describe it; `serve_config` is None for the embedded placement, `nats_monitor`
    the address of nats-server's monitoring where that is known."""

    settings: Settings
    environment: Mapping[str, str]
    serve_config: Path | None = None
    nats_monitor: str = ""

    @property
    def embedded(self) -> bool:
        """Whether `formstream up` starts what is needed, on this machine."""
        return self.serve_config is None

    @property
    def published(self) -> bool:
        """Whether others than this machine can reach it."""
        return not is_local(self.settings.host) or self.settings.public_url.startswith("https:")


def is_local(host: str | None) -> bool:
    """Whether a host is this machine; None and empty are a socket on it."""
    if not host or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
