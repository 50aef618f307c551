"""Secrets at rest."""

import pytest
from cryptography.fernet import InvalidToken

from deployments.kit.secret_keys import derive_key
from deployments.kit.vault import Vault

SECRET = "a secret key of the platform, 32+"


def test_what_is_sealed_opens_with_the_same_key_only() -> None:
    sealed = Vault(SECRET).seal("whsec_Zoë")
    assert "whsec" not in sealed
    assert Vault(SECRET).open(sealed) == "whsec_Zoë"
    with pytest.raises(InvalidToken):
        Vault(SECRET + "!").open(sealed)


def test_equal_texts_do_not_look_equal() -> None:
    vault = Vault(SECRET)
    assert vault.seal("same") != vault.seal("same")


def test_a_changed_text_is_noticed() -> None:
    sealed = Vault(SECRET).seal("whsec_1")
    forged = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(InvalidToken):
        Vault(SECRET).open(forged)


def test_no_key_serves_two_purposes() -> None:
    keys = {derive_key(SECRET, purpose) for purpose in ("vault", "access-tokens")} | {derive_key("other", "vault")}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    assert derive_key(SECRET, "vault") == derive_key(SECRET, "vault")
