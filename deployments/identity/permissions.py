"""The one table of permissions: what each is for and which roles hold it (U5).

The edge enforces it, the API document and docs/permissions.md are made from it. What no role holds, nobody may do.
"""

from dataclasses import dataclass
from typing import Final

PLATFORM_ADMIN: Final = "platform:admin"

_OWNER: Final = ("administrator", "owner")
_ADMIN: Final = (*_OWNER, "admin")
_EDITOR: Final = (*_ADMIN, "editor")
_ANALYST: Final = (*_EDITOR, "analyst")
_VIEWER: Final = (*_ANALYST, "viewer")


@dataclass(frozen=True, slots=True)
class Permission:
    """What somebody may do, in a sentence, and the roles that include it."""

    purpose: str
    roles: tuple[str, ...]


PERMISSIONS: Final[dict[str, Permission]] = {
    "forms:read": Permission("See forms, their drafts and versions.", _VIEWER),
    "forms:write": Permission("Create, change, publish and delete forms.", _EDITOR),
    "forms:share": Permission("Say who may use a single form.", _EDITOR),
    "responses:read": Permission("See responses, comments and exports.", _VIEWER),
    "responses:write": Permission("Submit, import, change and delete responses.", _EDITOR),
    "responses:read_personal": Permission("See the answers of fields with personal data.", _EDITOR),
    "people:erase": Permission("Erase everything that a person answered, with a receipt.", _ADMIN),
    "ai:use": Permission("Ask the models about texts; see classifiers, search by meaning.", _VIEWER),
    "ai:write": Permission("Label, train, correct and register models; choose what runs on responses.", _EDITOR),
    "analytics:read": Permission("See figures, charts and reports.", _VIEWER),
    "analytics:write": Permission("Ask in SQL, keep queries, set alarms on figures.", _ANALYST),
    "reports:write": Permission("Have reports made and mailed, one time or by schedule.", _EDITOR),
    "jobs:read": Permission("See jobs and their results.", _VIEWER),
    "jobs:write": Permission("Cancel and retry jobs.", _ANALYST),
    "events:read": Permission("See events.", _ANALYST),
    "events:write": Permission("Redrive and discard dead letters, replay events.", _ADMIN),
    "webhooks:read": Permission("See webhook endpoints and their deliveries.", _EDITOR),
    "webhooks:write": Permission("Create, change and delete webhook endpoints, with their secrets.", _ADMIN),
    "mail:read": Permission("See the words of mails, mailings with their recipients, suppressed addresses.", _EDITOR),
    "mail:send": Permission("Write to many people about a form.", _EDITOR),
    "mail:write": Permission("Change the words and looks of mails, and who gets none.", _ADMIN),
    "users:read": Permission("See the tenant's people and sessions.", _ADMIN),
    "users:write": Permission("Add, change and deactivate people.", _ADMIN),
    "api_keys:read": Permission("See the tenant's API keys, without their secrets.", _ADMIN),
    "api_keys:write": Permission("Create and revoke API keys.", _ADMIN),
    "sso:read": Permission("See the providers that people may log in with.", _ADMIN),
    "sso:write": Permission("Say which providers people may log in with, and what they become.", _OWNER),
    "audit:read": Permission("See, verify and export the audit trail.", _ADMIN),
    "tenant:read": Permission("See the tenant with its settings and usage.", _VIEWER),
    "tenant:write": Permission("Change the tenant's own settings.", _ADMIN),
    "tenant:own": Permission("Export the whole tenant, delete it.", _OWNER),
    PLATFORM_ADMIN: Permission(
        "Create, suspend, resume and erase tenants; set quotas and switches.", ("administrator",)
    ),
}
"""Every permission there is. `administrator` is a role of the platform's own tenant only."""

ROLES: Final[dict[str, frozenset[str]]] = {
    role: frozenset(name for name, permission in PERMISSIONS.items() if role in permission.roles)
    for role in ("guest", *reversed(_VIEWER))
}
"""Permissions by role, the least role first. A guest may use the forms that were shared with them and nothing else."""

_SHARED: Final = frozenset(
    {
        *("forms:read", "forms:write", "responses:read", "responses:write", "responses:read_personal"),
        *("analytics:read", "events:read"),
    }
)

GRANTS: Final = {role: ROLES[role] & _SHARED for role in ("viewer", "analyst", "editor")}
"""What a grant of a role gives somebody for a single form."""

KNOWN_SCOPES: Final = frozenset(PERMISSIONS)


def scopes_of(role: str) -> frozenset[str]:
    """The permissions of a role; none for a role this version does not know."""
    return ROLES.get(role, frozenset())
