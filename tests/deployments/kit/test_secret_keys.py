"""O9: which secret key makes what is made, which are accepted, and what is derived from them."""

import hashlib
import hmac
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken

from deployments.kit import secret_keys
from deployments.kit.links import Links
from deployments.kit.secret_keys import (
    KeyLine,
    RotatingKey,
    SecretKeys,
    derive_key,
    in_force,
    key_id,
    parse_keys,
    written_keys,
)
from deployments.kit.vault import Vault

OLD, NEW = "o" * 32, "n" * 32
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class TestFile:
    def test_is_read_as_it_was_written(self) -> None:
        lines = (KeyLine(NEW, NOW), KeyLine(OLD))
        assert parse_keys(written_keys(lines)) == lines
        assert parse_keys(f"# of March\n\n{NEW}\n") == (KeyLine(NEW),)

    def test_a_key_that_somebody_chose_may_have_spaces(self) -> None:
        assert parse_keys("a key that was written by somebody\n") == (KeyLine("a key that was written by somebody"),)

    @pytest.mark.parametrize("text", ["short", f"short {NOW.isoformat()}", f"{NEW} 2026-03-01T25:00:00+00:00"])
    def test_what_is_no_key_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            parse_keys(text)

    def test_a_time_needs_a_zone(self) -> None:
        with pytest.raises(ValueError, match="needs a zone"):
            parse_keys(f"{NEW} 2026-03-01T00:00:00")

    def test_a_key_is_accepted_before_its_time_and_makes_from_then_on(self) -> None:
        lines = (KeyLine(NEW, NOW), KeyLine(OLD))
        assert in_force(lines, NOW - timedelta(microseconds=1)) == (OLD, NEW)
        assert in_force(lines, NOW) == (NEW, OLD)

    def test_is_read_again_when_it_changes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(secret_keys, "_REREAD_S", 0.0)
        file = tmp_path / "secret.key"
        file.write_text(f"{OLD}\n")
        keys = SecretKeys(file=file)
        vault, old = Vault(keys), Vault(OLD)
        made_before = vault.seal("whsec_1")
        file.write_text(f"{NEW}\n{OLD}\n")
        assert keys.all() == (NEW, OLD)
        assert vault.open(made_before) == "whsec_1"
        with pytest.raises(InvalidToken):
            old.open(vault.seal("whsec_2"))
        file.write_text(f"{NEW}\n")
        with pytest.raises(InvalidToken):
            vault.open(made_before)

    def test_while_it_cannot_be_read_the_keys_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(secret_keys, "_REREAD_S", 0.0)
        file = tmp_path / "secret.key"
        file.write_text(f"{OLD}\n")
        keys = SecretKeys(file=file)
        for content in ("short\n", ""):
            file.write_text(content)
            assert keys.all() == (OLD,)
        os.remove(file)
        assert keys.all() == (OLD,)


class TestSecretKeys:
    def test_those_beside_the_current_one_come_after_it(self) -> None:
        assert SecretKeys(NEW, also=(OLD, NEW)).all() == (NEW, OLD)

    def test_names_say_nothing_about_a_key(self) -> None:
        assert key_id(OLD) != key_id(NEW)
        assert len(key_id(OLD)) == 12

    def test_what_is_derived_is_what_it_was_before_keys_could_be_rotated(self) -> None:
        """Links and cookies of earlier versions go on working."""
        text = derive_key(OLD, "files").hex()
        expected = hmac.new(text.encode(), b"said", hashlib.sha256).hexdigest()
        assert SecretKeys(OLD).derived("files").digits().mac(b"said") == expected


class TestRotatingKey:
    def test_what_an_accepted_key_made_is_accepted_and_nothing_else(self) -> None:
        until = datetime.now(UTC) + timedelta(hours=1)
        target = "exp_" + "0" * 32
        link = Links(SecretKeys(OLD).derived("exports"), "export", "exp").link("acme", target, until)
        both = Links(SecretKeys(NEW, also=(OLD,)).derived("exports"), "export", "exp")
        assert both.target_of("acme", link, datetime.now(UTC)) == target
        assert both.target_of("other", link, datetime.now(UTC)) is None
        fresh = both.link("acme", target, until)
        assert fresh != link
        alone = Links(SecretKeys(NEW).derived("exports"), "export", "exp")
        assert alone.target_of("acme", fresh, datetime.now(UTC)) == target
        assert alone.target_of("acme", link, datetime.now(UTC)) is None

    def test_is_not_shown(self) -> None:
        assert OLD not in repr(RotatingKey.of(OLD))
        assert OLD not in repr(KeyLine(OLD))


def test_resealing_changes_what_another_key_made_and_nothing_else() -> None:
    vault = Vault(SecretKeys(NEW, also=(OLD,)))
    fresh = vault.resealed(Vault(OLD).seal("whsec_1"))
    assert fresh is not None
    assert Vault(NEW).open(fresh) == "whsec_1"
    assert vault.resealed(fresh) is None
    assert vault.resealed(Vault("x" * 32).seal("whsec_1")) is None
