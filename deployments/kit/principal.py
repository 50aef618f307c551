"""Who is asking, for which tenant, with which rights, and from where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deployments.kit.errors import Forbidden
from eventing.events.envelope import Origin

PLATFORM_TENANT = "_platform"


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified caller. `subject` is the id of a user or key; `scopes` are what it may do in all of `tenant_id`,
    `grants` what it may do beyond that with single forms, by form id."""

    tenant_id: str
    subject: str
    kind: Literal["user", "api_key", "anonymous", "system"]
    role: str = ""
    scopes: frozenset[str] = frozenset()
    origin: Origin = field(default_factory=Origin)
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    session_id: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # See `Origin`: this crosses a handle with each call.
        values = (self.tenant_id, self.subject, self.kind, self.role, self.scopes, self.origin)
        return Principal, (*values, self.grants, self.session_id)

    @classmethod
    def anonymous(cls, tenant_id: str, origin: Origin) -> "Principal":
        """A visitor of a public form."""
        return cls(tenant_id, "anonymous", "anonymous", origin=origin)

    @classmethod
    def system(cls, tenant_id: str, name: str, origin: Origin | None = None) -> "Principal":
        """The platform itself, at work for a tenant: a consumer or a job."""
        return cls(tenant_id, f"system:{name}", "system", scopes=frozenset({"*"}), origin=origin or Origin())

    def may(self, scope: str, form_id: str | None = None) -> bool:
        """Whether the principal holds `scope`: in the whole tenant, or for the form when one is named."""
        if scope in self.scopes or "*" in self.scopes:
            return True
        return form_id is not None and scope in self.grants.get(form_id, ())

    def forms_granted(self, scope: str) -> frozenset[str]:
        """The forms for which a grant gives `scope`."""
        return frozenset(form_id for form_id, scopes in self.grants.items() if scope in scopes)

    def require(self, scope: str, form_id: str | None = None) -> None:
        """Raise Forbidden unless the principal holds `scope`; see `may`."""
        if not self.may(scope, form_id):
            raise Forbidden(f"this needs the permission {scope}")
