"""Who an ID token is about, and what the tenant's rules make of them."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from email_validator import EmailNotValidError, validate_email

from deployments.federation.contracts import ProvisionedRole, Provisioning
from deployments.federation.errors import DomainRefused, EmailUnverified, TokenRefused

_RANKS: Final[tuple[ProvisionedRole, ...]] = ("guest", "viewer", "analyst", "editor", "admin")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody for whom a provider vouches."""

    subject: str
    email: str
    name: str
    role: ProvisionedRole


def person_of(claims: dict[str, Any], provisioning: Provisioning) -> Person:
    """The person of verified claims. Raises EmailUnverified, DomainRefused, TokenRefused."""
    subject = claims["sub"]
    # At most 255 characters of ASCII, says OpenID Connect Core §2; anything else could not be told apart safely.
    if not subject or len(subject) > 255 or not (subject.isascii() and subject.isprintable()):
        raise TokenRefused("The ID token names nobody.")
    email = claims.get("email")
    if not isinstance(email, str) or len(email) > 320 or not _is_verified(claims):
        raise EmailUnverified
    try:
        address = validate_email(email, check_deliverability=False)
    except EmailNotValidError:
        raise EmailUnverified from None
    if (address.ascii_domain or "").lower() not in provisioning.allowed_domains:
        raise DomainRefused
    return Person(
        subject, address.normalized, _name(claims.get("name"), address.local_part), _role(claims, provisioning)
    )


def _is_verified(claims: dict[str, Any]) -> bool:
    # Entra ID has no `email_verified`, but says with `xms_edov` whether the owner of the domain is known.
    if "email_verified" in claims:
        return claims["email_verified"] is True
    return claims.get("xms_edov") in (True, "1", "true")


def _name(given: object, otherwise: str) -> str:
    text = given if isinstance(given, str) else ""
    printable = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    return printable.strip()[:_LONGEST_NAME].strip() or otherwise[:_LONGEST_NAME]


def _role(claims: dict[str, Any], provisioning: Provisioning) -> ProvisionedRole:
    given = claims.get(provisioning.role_claim) if provisioning.role_claim else None
    values = given if isinstance(given, list) else [given]
    roles = [
        provisioning.role_map[value] for value in values if isinstance(value, str) and value in provisioning.role_map
    ]
    return max(roles, key=_RANKS.index, default=provisioning.default_role)
