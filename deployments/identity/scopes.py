"""The one table of permissions: what each role may do."""

from typing import Final

PLATFORM_ADMIN: Final = "platform:admin"

_VIEWER = frozenset({"forms:read", "responses:read", "jobs:read", "tenant:read"})
_ANALYST = _VIEWER | {"jobs:write", "events:read"}
_EDITOR = _ANALYST | {"forms:write", "responses:write", "webhooks:read"}
_ADMIN = _EDITOR | {
    "webhooks:write",
    "users:read",
    "users:write",
    "api_keys:read",
    "api_keys:write",
    "tenant:write",
}

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": _VIEWER,
    "analyst": _ANALYST,
    "editor": _EDITOR,
    "admin": _ADMIN,
    "owner": _ADMIN,
    "administrator": _ADMIN | {PLATFORM_ADMIN},
}
"""Scopes by role. `administrator` exists in the platform's own tenant only."""

KNOWN_SCOPES: Final = frozenset[str]().union(*ROLES.values())


def scopes_of(role: str) -> frozenset[str]:
    """The scopes of a role; none for a role this version does not know."""
    return ROLES.get(role, frozenset())
