"""The switches of a tenant: the one table of what there is, and the one way to ask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from deployments.kit.errors import Fault, Forbidden


@dataclass(frozen=True, slots=True)
class Feature:
    """What is switched, in a sentence, and how the switch stands until somebody changes it: a platform administrator,
    or where it is the tenant's `own`, its administrators too."""

    purpose: str
    default: bool = True
    own: bool = False


FEATURES: Final[dict[str, Feature]] = {
    "public_forms": Feature("Visitors see published forms and submit responses without a credential."),
    "webhooks": Feature("Events are delivered to addresses of the tenant's choice."),
    "imports": Feature("Forms and responses are brought in from files."),
    "exports": Feature("Responses, and all data of the tenant, are exported. Platform administrators always can."),
    "lake": Feature("Responses are written to the lake each day, as Parquet files."),
    "analytics_sql": Feature("Analysts ask the tables of responses in SQL."),
    "reports": Feature("Reports are made of responses and mailed by schedule."),
    "ai": Feature("Models look at texts: labels, entities, summaries, search by meaning."),
    "ai_generation": Feature("Forms are drafted from a prompt, and a generating model, where there is one, writes."),
    "login_codes": Feature("People can log in with a code instead of their password.", default=False, own=True),
    "require_second_factor": Feature("Nobody logs in with a password alone.", default=False, own=True),
    "mail": Feature(
        "Mails tell of responses, and mailings go to many people. Mails about accounts are sent in any case."
    ),
}
"""Every switch there is. Where each is asked for is found by its name; a test sees to it that each is."""


class FeatureDisabled(Forbidden):
    code, title = "feature.disabled", "This is switched off for the tenant"


def is_enabled(settings: Mapping[str, Any], name: str) -> bool:
    """Whether a tenant with these settings has the feature. Raises KeyError for a name that is none."""
    default = FEATURES[name].default
    return bool((settings.get("features") or {}).get(name, default))


def require_feature(settings: Mapping[str, Any], name: str) -> None:
    """Raise FeatureDisabled unless a tenant with these settings has the feature."""
    if not is_enabled(settings, name):
        raise FeatureDisabled(f"{name} is switched off for the tenant")


def unknown_features(names: Iterable[str], pointer: str) -> tuple[Fault, ...]:
    """A fault below `pointer` for each name that is no feature."""
    return tuple(
        Fault(f"{pointer}/{name}", "feature.unknown", f"there is no feature {name!r}")
        for name in sorted(names)
        if name not in FEATURES
    )


async def settings_of(unit: UnitOfWork) -> Mapping[str, Any]:
    """The settings of the unit's tenant as they are now."""
    row = await TenantRepository(unit.session, unit.tenant).get()
    return {} if row is None else row.settings
