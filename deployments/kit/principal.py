"""Who is asking, for which tenant, with which rights, and from where."""

from dataclasses import dataclass, field
from typing import Any, Literal

from deployments.kit.errors import Forbidden
from eventing.events.envelope import Origin

PLATFORM_TENANT = "_platform"


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified caller. `subject` is the id of a user or key; `scopes` are what it may do in `tenant_id`."""

    tenant_id: str
    subject: str
    kind: Literal["user", "api_key", "anonymous", "system"]
    role: str = ""
    scopes: frozenset[str] = frozenset()
    origin: Origin = field(default_factory=Origin)

    def __reduce__(self) -> tuple[Any, ...]:
        # See `Origin`: this crosses a handle with each call.
        return Principal, (self.tenant_id, self.subject, self.kind, self.role, self.scopes, self.origin)

    @classmethod
    def anonymous(cls, tenant_id: str, origin: Origin) -> "Principal":
        """A visitor of a public form."""
        return cls(tenant_id, "anonymous", "anonymous", origin=origin)

    @classmethod
    def system(cls, tenant_id: str, name: str, origin: Origin | None = None) -> "Principal":
        """The platform itself, at work for a tenant: a consumer or a job."""
        return cls(tenant_id, f"system:{name}", "system", scopes=frozenset({"*"}), origin=origin or Origin())

    def may(self, scope: str) -> bool:
        """Whether the principal holds `scope`."""
        return scope in self.scopes or "*" in self.scopes

    def require(self, scope: str) -> None:
        """Raise Forbidden unless the principal holds `scope`."""
        if not self.may(scope):
            raise Forbidden(f"this needs the permission {scope}")
