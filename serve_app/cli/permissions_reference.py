"""The reference of permissions, made from the table that is enforced and the operations that are served."""

from deployments.identity.permissions import PERMISSIONS, ROLES, Permission
from serve_app.edge.operations import Access, Operation
from serve_app.edge.routes import OPERATIONS

_ROLES = tuple(ROLES)

_HEAD = """# Permissions

What is not permitted is refused. This page is made by `formstream permissions` from
`deployments/identity/permissions.py` and from the operations of the API.

"""


def reference() -> str:
    """Roles, permissions and operations as a Markdown page."""
    return _HEAD + _roles() + "".join(_operations(name) for name in PERMISSIONS) + _others()


def _roles() -> str:
    lines = [
        f"| Permission | For | {' | '.join(_ROLES)} |",
        f"|---|---|{'---|' * len(_ROLES)}",
        *(
            f"| `{name}` | {permission.purpose} | {' | '.join(_held(permission))} |"
            for name, permission in PERMISSIONS.items()
        ),
    ]
    return "\n".join(lines) + "\n\n`administrator` is a role of the platform's own tenant.\n\n## Operations\n"


def _held(permission: Permission) -> list[str]:
    return ["yes" if role in permission.roles else "" for role in _ROLES]


def _operations(permission: str) -> str:
    served = [operation for operation in OPERATIONS if operation.scope == permission]
    return f"\n### `{permission}`\n\n" + _listed(served) if served else ""


def _others() -> str:
    return "".join(
        f"\n### For {access.value}\n\n" + _listed([o for o in OPERATIONS if o.scope is access])
        for access in (Access.SIGNED_IN, Access.PUBLIC)
    )


def _listed(operations: list[Operation]) -> str:
    return "".join(f"- `{operation.method} {operation.path}`: {operation.summary}.\n" for operation in operations)
