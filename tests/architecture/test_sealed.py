"""O9: whatever the vault encrypts is encrypted anew when the secret key is rotated."""

import ast

from db.models import SQLModel
from db.repositories.sealed import sealed_columns
from deployments.tenancy.inventory import EXPORTED, LEFT_OUT, SECRET_NAME
from tests.architecture.rooms import ROOT

SEALED = {f"{table}.{column}" for table, columns in sealed_columns().items() for column in columns}

NOT_ENCRYPTED = {
    "challenge.account": "a hash",
    "challenge.proof": "a hash",
}
"""Of `LEFT_OUT`, what is no hash by its name, with what it is."""

SEALING = {
    "deployments/federation/service/connections.py": "sso_connection.client_secret",
    "deployments/federation/service/logins.py": "sso_login.sealed",
    "deployments/federation/service/logouts.py": "sso_session.sealed",
    "deployments/identity/service/captcha.py": "captcha_provider.secret",
    "deployments/identity/service/code_logins.py": "job.payload",
    "deployments/identity/service/own_factors.py": "second_factor.secret",
    "deployments/identity/signing_keys.py": "signing_key.sealed",
    "deployments/kit/kept_keys.py": "secret_key.sealed",
    "deployments/notifications/contracts.py": "job.payload",
    "deployments/tenancy/people/subject.py": "person_erasure.sealed",
    "deployments/webhooks/service/endpoints.py": "webhook_endpoint.secret",
}
"""Where something is encrypted, and the column that it goes to. What a login carries to its provider and back, the
`state` of `logouts.py`, is stored nowhere."""


def test_of_every_secret_column_it_is_known_whether_it_is_encrypted() -> None:
    """A new one is declared with `sealed()` (db/models/columns.py), or is a hash, or is on a list with its reason."""
    columns = {f"{table.name}.{column.name}" for table in SQLModel.metadata.tables.values() for column in table.columns}
    secret = {name for name in columns if SECRET_NAME.search(name.partition(".")[2])} | LEFT_OUT.keys()
    hashed = {name for name in secret if name.endswith("_hash")}
    undecided = secret - SEALED - hashed - EXPORTED.keys() - NOT_ENCRYPTED.keys()
    assert not undecided
    assert not SEALED & (hashed | NOT_ENCRYPTED.keys())


def test_what_leaves_out_an_encrypted_column_from_exports_says_so() -> None:
    """`job.payload` is exported without what is encrypted in it."""
    assert SEALED - LEFT_OUT.keys() == {"job.payload"}


def test_whatever_encrypts_has_a_column_that_is_encrypted_anew() -> None:
    """A new place that calls the vault goes to `SEALING` with its column, which has to be declared with `sealed()`."""
    found = {
        str(path.relative_to(ROOT))
        for room in ("deployments", "eventing", "serve_app")
        for path in (ROOT / room).rglob("*.py")
        if any(_seals(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == SEALING.keys()
    assert set(SEALING.values()) <= SEALED


def _seals(node: ast.AST) -> bool:
    """`vault.seal(…)`, by whatever name the vault goes; a unit of work has a method of that name without arguments."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "seal"
        and bool(node.args)
    )
