"""Which columns of a tenant's tables leave the platform in an export."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

SECRET_NAME: Final = re.compile(r"hash|secret|token|sealed|password")
"""A column whose name looks like this stays here unless it is in `EXPORTED`, whoever adds it."""

LEFT_OUT: Final = {
    "api_key.key_hash": "who has it can look for the key",
    "captcha_provider.secret": "sealed by the platform, useless elsewhere",
    "challenge.account": "of a login under way",
    "challenge.code_hash": "of a login under way",
    "challenge.proof": "of a login under way",
    "challenge.token_hash": "of a login under way",
    "invitation.token_hash": "who has it can look for the token",
    "link_token.token_hash": "who has it can look for the token",
    "person_erasure.sealed": "whom an erasure under way is about, sealed by the platform",
    "recovery_code.code_hash": "who has it can look for the code",
    "refresh_token.token_hash": "who has it can look for the token",
    "resume_token.token_hash": "who has it can look for the token",
    "second_factor.secret": "sealed by the platform, useless elsewhere",
    "secret_key.sealed": "sealed by the platform, useless elsewhere",
    "signing_key.sealed": "sealed by the platform, useless elsewhere",
    "sso_connection.client_secret": "sealed by the platform, useless elsewhere",
    "sso_login.browser_hash": "of a login under way",
    "sso_login.code_hash": "of a login under way",
    "sso_login.sealed": "of a login under way",
    "sso_login.state_hash": "of a login under way",
    "sso_session.sealed": "sealed by the platform, useless elsewhere",
    "user_account.password_hash": "who has it can guess the password",
    "webhook_endpoint.previous_secrets": "sealed by the platform, useless elsewhere",
    "webhook_endpoint.secret": "sealed by the platform, useless elsewhere",
    "webhook_endpoint.secret_headers": "sealed by the platform, useless elsewhere",
}
"""Columns that are never exported, with the reason."""

EXPORTED: Final = {
    "audit_entry.hash": "shows that the trail is whole",
    "audit_entry.previous_hash": "shows that the trail is whole",
    "audit_head.hash": "shows that the trail is whole",
    "erasure_receipt.audit_hash": "public by purpose, and of the platform's own tenant",
}
"""Columns that look like a secret and are none, with the reason."""

_SEALED_ORDERS: Final = ("job", "payload", "sealed")


def exported_columns(table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Those columns of a table that an export holds."""
    return tuple(column for column in columns if _is_exported(f"{table}.{column}", column))


def left_out(tables: Mapping[str, Sequence[str]]) -> list[str]:
    """What an export of these tables with their columns does not hold, as `table.column`."""
    return sorted(
        f"{table}.{column}"
        for table, columns in tables.items()
        for column in set(columns) - set(exported_columns(table, columns))
    )


def presentable(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row without what is sealed inside of it: orders for letters may open an account."""
    name, column, key = _SEALED_ORDERS
    if table == name and key in row[column]:
        return {**row, column: {inner: value for inner, value in row[column].items() if inner != key}}
    return row


def _is_exported(full_name: str, name: str) -> bool:
    if full_name in LEFT_OUT:
        return False
    return full_name in EXPORTED or SECRET_NAME.search(name) is None
