"""What crosses the door of federation."""

from typing import Protocol


class FederationApi(Protocol):
    """Logging in with an identity provider (OpenID Connect)."""
