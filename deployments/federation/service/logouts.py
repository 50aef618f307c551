"""The rules of a logout at the provider (OpenID Connect RP-Initiated Logout 1.0): what is kept for it, what is said."""

from typing import Final

import httpx
from cryptography.fernet import InvalidToken
from pydantic import ValidationError

from db.models.federation import SsoConnection
from deployments.federation.settings import FederationSettings
from deployments.federation.tickets import is_safe_return
from deployments.kit.contract import Contract
from deployments.kit.vault import Vault

_LONGEST_HINT: Final = 3_000
"""Characters of an ID token that still fits into an address: some servers take 4,096 in all."""


class _Kept(Contract):
    """What is kept of a login while its session lasts."""

    issuer: str
    client_id: str
    id_token: str | None


def seal(vault: Vault, connection: SsoConnection, id_token: str) -> str:
    """What is kept of the login that this ID token came from; without the token itself where it is too long."""
    hint = id_token if len(id_token) <= _LONGEST_HINT else None
    kept = _Kept(issuer=connection.issuer, client_id=connection.client_id, id_token=hint)
    return vault.seal(kept.model_dump_json())


def address(
    vault: Vault,
    settings: FederationSettings,
    endpoint: str,
    connection: SsoConnection,
    sealed: str,
    return_to: str,
) -> str | None:
    """Where the browser ends its session at the provider; None when the connection leads to another one since."""
    try:
        kept = _Kept.model_validate_json(vault.open(sealed))
    except (InvalidToken, ValidationError):
        return None
    if (kept.issuer, kept.client_id) != (connection.issuer, connection.client_id):
        return None
    asked = {
        "client_id": connection.client_id,
        "post_logout_redirect_uri": settings.post_logout_redirect_uri,
        "state": vault.seal(return_to),
    }
    if kept.id_token is not None:
        asked["id_token_hint"] = kept.id_token
    return str(httpx.URL(endpoint).copy_merge_params(asked))


def return_of(vault: Vault, state: str) -> str:
    """The path that a state leads back to, and the start for one that is not ours."""
    try:
        path = vault.open(state)
    except (InvalidToken, UnicodeEncodeError):
        return "/"
    return path if is_safe_return(path) else "/"
