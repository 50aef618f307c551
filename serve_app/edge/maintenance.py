"""What is refused while the platform is in maintenance: whatever changes something of a tenant."""

import math
from datetime import UTC, datetime
from typing import Final

from deployments.identity.contracts import Maintenance
from deployments.kit.errors import DomainError, Unavailable
from deployments.kit.principal import PLATFORM_TENANT
from serve_app.edge.operations import Operation
from serve_app.edge.tenants import Tenants

GOES_ON: Final = frozenset(
    {
        # Who reads has to be logged in, and so has whoever ends the maintenance.
        *("log_in", "refresh", "log_out", "exchange_oidc_code", "log_out_at_provider", "verify_code"),
        *("show_second_factor", "send_second_factor_code", "request_code"),
        # Questions that are too long for an address.
        *("analytics_query", "run_query", "run_sql", "search_responses", "validate_definition", "look_up_invitation"),
        *("preview_mail_template", "preview_mail_template_in_language"),
        *("embed_texts", "extract_entities", "judge_spam", "classify_texts", "apply_model"),
    }
)
"""Operations that go on although their method says that they change something."""

_RETRY_S: Final = 60.0
_LONGEST_S: Final = 3_600.0


class UnderMaintenance(Unavailable):
    """Nothing is changed now; `retry_after` says when it is worth another try."""

    code, title = "maintenance", "The platform is in maintenance"


def is_refused(operation: Operation) -> bool:
    """Whether the operation has to wait for the end of a maintenance."""
    return operation.method != "GET" and operation.scope != "platform:admin" and operation.id not in GOES_ON


async def current(tenants: Tenants) -> Maintenance | None:
    """The maintenance of this moment, None when there is none or nobody can tell: that must not cost a submission."""
    try:
        platform = await tenants.find(PLATFORM_TENANT)
    except DomainError:
        return None
    return platform.maintenance if platform is not None else None


def refusal(maintenance: Maintenance) -> UnderMaintenance:
    """What a caller is told."""
    left = _RETRY_S if maintenance.until is None else (maintenance.until - datetime.now(UTC)).total_seconds()
    sentence = maintenance.reason or "Nothing can be changed at the moment; everything can be read."
    return UnderMaintenance(sentence, retry_after=math.ceil(min(max(left, 1.0), _LONGEST_S)))
