"""O9: the secret key is rotated by command, where the platform keeps it and where it is given."""

import asyncio
import io
import json
import stat
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr
from rich.console import Console

from db.models.visits import CaptchaProvider
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.kit.errors import Unavailable
from deployments.kit.kept_keys import KeptKeys
from deployments.kit.secret_keys import SecretKeys, key_id
from deployments.kit.vault import Vault
from deployments.tenancy.contracts import ErasureReceipt
from deployments.tenancy.receipts import Signer
from serve_app.cli import secret_keys
from serve_app.cli.database import prepare
from serve_app.cli.doctor import secrecy
from serve_app.cli.doctor.finding import Severity
from serve_app.cli.environment import ensure_secret_key
from serve_app.cli.failure import CommandFailed
from serve_app.cli.preflight import problems
from serve_app.cli.receipt import platform_key, verify
from serve_app.cli.secret_keys import remove, reseal, rotate, status
from serve_app.settings import Settings
from tests.factories import make_tenant
from tests.serve_app.cli.doctor.looking import installation

FIRST, SECOND = "f" * 40, "s" * 40
QUIET = Console(quiet=True)
AGES = timedelta(days=400)

Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is in force in the second in which it came."""
    monkeypatch.setattr(secret_keys, "HEAD_START", timedelta(0))


@pytest.fixture
def kept(tmp_path: Path, sqlite_settings: DatabaseSettings) -> Settings:
    """Of a platform that keeps its key itself."""
    settings = Settings(data_dir=tmp_path, database_url=sqlite_settings.url)
    ensure_secret_key(settings)
    prepare(settings)
    return settings


@pytest.fixture
def given(tmp_path: Path, sqlite_settings: DatabaseSettings) -> Settings:
    """Of a platform whose processes are given the key."""
    settings = Settings(data_dir=tmp_path, database_url=sqlite_settings.url, secret_key=SecretStr(FIRST))
    prepare(settings)
    return settings


def keys_of(settings: Settings, current: str, *old: str) -> Settings:
    changes = {"secret_key": SecretStr(current), "old_secret_keys": SecretStr(" , ".join(old))}
    return settings.model_copy(update=changes)


def with_database(settings: Settings, use: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with Database(settings.database()) as database:
            return await use(database)

    return asyncio.run(run())


def store_something(settings: Settings, tenant_id: str = "acme") -> None:
    async def store(database: Database) -> None:
        await make_tenant(database, tenant_id)
        sealed = Vault(settings.secret_keys()).seal("hush")
        row = CaptchaProvider(
            tenant_id=tenant_id,
            provider="turnstile",
            site_key="s",
            secret=sealed,
            verify_url="https://v.example",
            updated_by="usr_1",
            updated_at=utc_now(),
        )
        async with database.write(tenant_id) as unit:
            unit.session.add(row)

    with_database(settings, store)


def states(settings: Settings, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What `status` says of each key, by its name."""
    status(settings, QUIET, as_json=True)
    said = json.loads(capsys.readouterr().out)
    names = ("current", "next", "needed")
    return {key["id"]: next((name for name in names if key[name]), "old") for key in said["keys"]}


def test_where_the_platform_keeps_the_key(kept: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    file = kept.data_dir / "secret.key"
    first = kept.secret_keys().current
    store_something(kept)
    rotate(kept, QUIET)
    second = kept.secret_keys().current
    assert kept.secret_keys().all() == (second, first)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(CommandFailed, match="2 encrypted texts need"):
        remove(kept, key_id(first), QUIET, at_once=True)
    told = io.StringIO()
    reseal(kept, Console(file=told, width=200))
    assert "captcha_provider: 1 rows" in told.getvalue()
    assert "0 encrypted texts need an old key." in told.getvalue()
    assert states(kept, capsys) == {key_id(second): "current", key_id(first): "needed"}
    with pytest.raises(CommandFailed, match="may be removed from"):
        remove(kept, key_id(first), QUIET, at_once=False)
    with pytest.raises(CommandFailed, match="is the current key"):
        remove(kept, key_id(second), QUIET, at_once=True)
    with pytest.raises(CommandFailed, match="There is no secret key nonsense"):
        remove(kept, "nonsense", QUIET, at_once=True)
    remove(kept, key_id(first), QUIET, at_once=True)
    assert kept.secret_keys().all() == (second,)
    assert states(kept, capsys) == {key_id(second): "current"}


def test_a_second_key_waits_until_the_first_is_in_force(kept: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_keys, "HEAD_START", timedelta(minutes=1))
    first = kept.secret_keys().current
    rotate(kept, QUIET)
    assert kept.secret_keys().current == first, "until every process has read it"
    with pytest.raises(CommandFailed, match="not in force yet"):
        rotate(kept, QUIET)
    monkeypatch.setattr(secret_keys, "HEAD_START", timedelta(seconds=1))
    with pytest.raises(CommandFailed, match="run this again then"):
        reseal(kept, QUIET)


def test_where_the_key_is_given(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """First accepted everywhere, then in force, then what is stored, then gone: each step is a change of the
    environment, or a command."""
    store_something(given)
    first, second = key_id(FIRST), key_id(SECOND)
    with pytest.raises(CommandFailed, match="cannot be changed from here"):
        rotate(given, QUIET)
    accepted = keys_of(given, FIRST, SECOND)
    assert states(accepted, capsys) == {first: "current", second: "next"}
    in_force = keys_of(given, SECOND, FIRST)
    rotate(in_force, QUIET)
    assert states(in_force, capsys) == {second: "current", first: "needed"}
    store_something(accepted, "globex")  # by a process that has not started anew yet
    reseal(in_force, QUIET)
    with pytest.raises(CommandFailed, match="remove it from FORMSTREAM_OLD_SECRET_KEYS"):
        remove(in_force, first, QUIET, at_once=True)
    alone = keys_of(given, SECOND)
    assert states(alone, capsys) == {second: "current"}
    prepare(alone)
    assert not (given.data_dir / "secret.key").exists()


def test_a_start_notes_another_key(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(keys_of(given, SECOND, FIRST))
    assert states(keys_of(given, SECOND, FIRST), capsys)[key_id(FIRST)] == "needed"
    prepare(given)  # and back, because something was wrong
    assert states(keys_of(given, FIRST, SECOND), capsys) == {key_id(FIRST): "current", key_id(SECOND): "needed"}


def test_keys_that_are_too_short_are_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret_key=SecretStr(FIRST), old_secret_keys=SecretStr("short"))
    assert problems(settings) == ["Each of FORMSTREAM_OLD_SECRET_KEYS needs at least 32 characters."]
    (tmp_path / "secret.key").write_text("short\n")
    (sentence,) = problems(Settings(data_dir=tmp_path))
    assert sentence.endswith("cannot be used: a secret key has at least 32 characters.")


async def test_what_must_stay_is_that_of_the_first_key(database: Database) -> None:
    """The digests of people, whatever the order in which keys are listed later; links in mails by any key there was."""
    await KeptKeys(database, Vault(FIRST)).note()
    first = await KeptKeys(database, Vault(FIRST)).people()
    both = KeptKeys(database, Vault(SecretKeys(SECOND, also=(FIRST,))))
    for _ in range(2):
        await both.note()
    assert [key.id for key in await both.all()] == [key_id(FIRST), key_id(SECOND)]
    assert await both.people() == first
    assert len(set(await both.mail())) == 2
    early = KeptKeys(database, Vault(SECOND))  # the first key is gone before what it encrypted is encrypted anew
    with pytest.raises(Unavailable):
        await early.people()
    assert len(await early.mail()) == 1


async def test_keys_that_are_noted_at_once_are_noted_in_their_order(database: Database) -> None:
    """Of a platform that comes from a version that noted none."""
    await KeptKeys(database, Vault(SecretKeys(SECOND, also=(FIRST,)))).note()
    found = await KeptKeys(database, Vault(SecretKeys(SECOND, also=(FIRST,)))).all()
    assert [(key.id, key.retired_at is None) for key in found] == [(key_id(FIRST), False), (key_id(SECOND), True)]


def test_a_receipt_is_known_after_the_key_that_signed_it_is_gone(given: Settings) -> None:
    """Until then: whoever has the old key cannot sign what ended later."""
    prepare(keys_of(given, SECOND, FIRST))
    reseal(keys_of(given, SECOND, FIRST), QUIET)
    alone, file = keys_of(given, SECOND), given.data_dir / "receipt.json"
    for ended_at, is_known in ((utc_now(), True), (utc_now() + timedelta(days=2), False)):
        plain = ErasureReceipt(
            tenant_id="acme",
            requested_by="usr_1",
            started_at=ended_at,
            ended_at=ended_at,
            rows={},
            objects=0,
            messages=0,
            audit_sequence=1,
            audit_hash="ab" * 32,
            public_key="",
            signature="",
        )
        for secret in (FIRST, "x" * 40):
            file.write_text(Signer(secret).signed(plain).model_dump_json())
            if secret == FIRST and is_known:
                verify(file, platform_key(alone, file), QUIET)
                continue
            with pytest.raises(CommandFailed, match="was not signed by this key"):
                verify(file, platform_key(alone, file), QUIET)


class TestDoctor:
    def told(self, settings: Settings) -> list[tuple[Severity, str]]:
        names = ("database_url", "secret_key", "old_secret_keys")
        changes = {name: getattr(settings, name) for name in names}
        found = asyncio.run(secrecy.old_secret_keys(installation(settings.data_dir, **changes)))
        return [(each.severity, each.says) for each in found]

    def test_an_old_key_that_is_needed_and_one_that_is_not(
        self, given: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.told(given) == []
        store_something(given)
        both = keys_of(given, SECOND, FIRST)
        rotate(both, QUIET)
        ((severity, says),) = self.told(both)
        assert (severity, says.endswith(f"encrypted with the old secret key {key_id(FIRST)}.")) == (
            Severity.WARNING,
            True,
        )
        reseal(both, QUIET)
        assert [severity for severity, _ in self.told(both)] == [Severity.OK]
        monkeypatch.setattr(secrecy, "utc_now", lambda: utc_now() + AGES)
        ((severity, says),) = self.told(both)
        assert (severity, says.startswith(f"Nothing needs the old secret key {key_id(FIRST)}")) == (
            Severity.WARNING,
            True,
        )

    def test_a_key_that_was_removed_too_early(self, given: Settings) -> None:
        store_something(given)
        found = self.told(keys_of(given, SECOND, "t" * 40))
        assert (Severity.ERROR, "2 stored secrets are opened by none of the secret keys.") in found

    def test_a_file_that_holds_the_keys_before_the_given_one(self, tmp_path: Path) -> None:
        (tmp_path / "secret.key").write_text(f"{FIRST}\n")
        changes = {"secret_key": SECOND + "ab12cd34", "old_secret_keys": FIRST}
        found = secrecy.secret_key(installation(tmp_path, **changes))
        assert "secret.key-changed" not in {each.check for each in found}
