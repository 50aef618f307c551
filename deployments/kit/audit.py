"""Writing down what somebody did where no event tells of it."""

from typing import Any

from db.repositories.audit import Deed
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal


def audit(unit: UnitOfWork, principal: Principal, action: str, entity_id: str, **details: Any) -> None:
    """Add to the tenant's audit trail, in the unit's transaction. `details` must hold no secret."""
    origin = principal.origin
    unit.audit(
        Deed(
            at=utc_now(),
            actor=principal.subject,
            action=action,
            entity_id=entity_id,
            address=origin.address,
            user_agent=origin.user_agent,
            request_id=origin.request_id,
            details=details,
        )
    )
