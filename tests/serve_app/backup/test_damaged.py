"""O4: a backup that is not what was made is refused by the name of what is wrong, before anything is touched."""

from pathlib import Path
from typing import NoReturn

import orjson
import pyrage  # type: ignore[import-untyped]
import pytest
from pydantic import SecretStr

from db.session import Database
from deployments.kit.objects import ObjectStore, StoreUnavailable
from serve_app.backup import manifest
from serve_app.backup.configuration import SECRETS, SETTINGS
from serve_app.backup.drilling import Drill, drill_backup
from serve_app.backup.encryption import Wish
from serve_app.backup.errors import BackupFailed, BackupUnusable, RestoreFailed, RestoreRefused
from serve_app.backup.files import INDEX, OBJECTS
from serve_app.backup.making import DATABASE_FILE, back_up
from serve_app.backup.restoring import restore
from serve_app.settings import Settings
from tests.serve_app.backup.scene import PASSPHRASE, everything_in, flip, objects_in
from tests.serve_app.one_process import settings_for


@pytest.fixture
def there(sqlite_filled: Settings, tmp_path: Path) -> Settings:
    """An empty place with the same secret key."""
    folder = tmp_path / "there"
    return sqlite_filled.model_copy(
        update={"data_dir": folder, "database_url": f"sqlite:///{folder / 'formstream.db'}"}
    )


async def test_one_flipped_bit_is_found_in_every_kind_of_part(
    sqlite_filled: Settings, shelf: Path, there: Settings
) -> None:
    """O4: database, files, settings, index, manifest and seal, encrypted or not."""
    owner = pyrage.x25519.Identity.generate()
    for wish in (Wish(), Wish(recipients=(str(owner.to_public()),))):
        folder = (await back_up(sqlite_filled, shelf, wish=wish, full=True)).folder
        suffix = ".age" if wish.recipients else ""
        an_object = sorted((folder / OBJECTS).rglob(f"*{suffix}"))[-1]
        parts = [folder / f"{name}{suffix}" for name in (DATABASE_FILE, SETTINGS)]
        parts += [an_object, folder / INDEX, folder / manifest.MANIFEST, folder / manifest.SEAL]
        if wish.recipients:
            parts.append(folder / f"{SECRETS}{suffix}")
        for part in parts:
            sound = part.read_bytes()
            flip(part)
            with pytest.raises(BackupUnusable, match=part.name):
                await restore(there, folder, identities=[owner])
            part.write_bytes(sound)
            assert not (there.data_dir / "formstream.db").exists()
            assert not (there.data_dir / "objects").exists() or await objects_in(there) == {}
    an_object.unlink()
    with pytest.raises(BackupUnusable, match=f"{an_object.name} is missing"):
        await restore(there, folder, identities=[owner])


async def test_an_encrypted_backup_opens_with_its_key_only(
    sqlite_filled: Settings, shelf: Path, there: Settings, tmp_path: Path
) -> None:
    """O4: nothing that people wrote is readable in it, the secret key comes with it, and another key is told so."""
    owner = pyrage.x25519.Identity.generate()
    stranger = pyrage.x25519.Identity.generate()
    made = await back_up(sqlite_filled, shelf, wish=Wish(PASSPHRASE, (str(owner.to_public()),)))
    content = b"".join(path.read_bytes() for path in made.folder.rglob("*") if path.is_file())
    for readable in (b"ada@example.org", b"acme 1", sqlite_filled.secret_key.get_secret_value().encode()):
        assert readable not in content
    without_key = there.model_copy(update={"secret_key": type(there.secret_key)("")})
    with pytest.raises(BackupUnusable, match="The passphrase is not the one"):
        await restore(without_key, made.folder, passphrase="another one altogether")
    with pytest.raises(BackupUnusable, match="encrypted for another key"):
        await restore(without_key, made.folder, identities=[stranger])
    with pytest.raises(BackupUnusable, match="FORMSTREAM_BACKUP_PASSPHRASE is not set"):
        await restore(without_key, made.folder)
    identity = made.folder / manifest.IDENTITY
    sound = identity.read_bytes()
    flip(identity)
    with pytest.raises(BackupUnusable, match=f"{manifest.IDENTITY} is damaged"):
        await restore(without_key, made.folder, passphrase=PASSPHRASE)
    identity.write_bytes(sound)
    done = await restore(without_key, made.folder, identities=[owner])
    assert done.has_secret_key
    assert (there.data_dir / "secret.key").read_text().strip() == sqlite_filled.secret_key.get_secret_value()
    ours, theirs = Database(sqlite_filled.database()), Database(there.database())
    assert await everything_in(theirs) == await everything_in(ours)
    await ours.close()
    await theirs.close()
    assert await objects_in(there) == await objects_in(sqlite_filled)


async def test_a_backup_from_before_a_rotation_is_restored(
    sqlite_filled: Settings, shelf: Path, there: Settings, tmp_path: Path
) -> None:
    """O9: with its keys where the place keeps keys itself, and where they are given only if they are listed."""
    first, second = sqlite_filled.secret_key.get_secret_value(), "second secret key of this platform"
    older = "a key that was before and is still listed"
    made = await back_up(
        sqlite_filled.model_copy(update={"old_secret_keys": SecretStr(older)}), shelf, wish=Wish(PASSPHRASE)
    )
    given = there.model_copy(update={"secret_key": SecretStr(second), "old_secret_keys": SecretStr(first)})
    with pytest.raises(RestoreRefused, match="Name its keys among FORMSTREAM_OLD_SECRET_KEYS"):
        await restore(given, made.folder, passphrase=PASSPHRASE)
    kept = there.model_copy(update={"secret_key": SecretStr("")})
    kept.data_dir.mkdir(parents=True, exist_ok=True)
    kept.keys_file().write_text(f"{second}\n")
    await restore(kept, made.folder, passphrase=PASSPHRASE)
    assert kept.secret_keys().all() == (second, first, older)
    tried = await drill_backup(given, made.folder, Drill(scratch=tmp_path / "scratch"), passphrase=PASSPHRASE)
    assert tried.wrong == ()


async def test_what_cannot_be_a_place_or_a_backup_of_this_version_is_refused(
    sqlite_filled: Settings, shelf: Path, there: Settings, tmp_path: Path
) -> None:
    """O4: a place that is not empty is told what is in it; so are another secret key and a newer schema."""
    folder = (await back_up(sqlite_filled, shelf)).folder
    with pytest.raises(RestoreRefused, match=r"There is the database file .*formstream\.db"):
        await restore(sqlite_filled, folder)
    other = settings_for(tmp_path / "other", sqlite_filled.database(), secret_key="another secret key" * 3)
    with pytest.raises(BackupUnusable, match="not written by a platform with the secret key"):
        await restore(other, folder)
    stray = there.data_dir / "objects" / "acme" / "files" / "fil_stray"
    stray.parent.mkdir(parents=True)
    stray.write_text("?")
    with pytest.raises(RestoreRefused, match=r"1 files in the object store .* acme/files/fil_stray"):
        await restore(there, folder)
    stray.unlink()
    _rewrite(folder, sqlite_filled, dialect="postgresql")
    with pytest.raises(RestoreRefused, match="of a postgresql database"):
        await restore(there, folder)
    _rewrite(folder, sqlite_filled, dialect="sqlite", revision="9999")
    with pytest.raises(RestoreRefused, match=r"schema 9999, which this version, .*, does not know"):
        await restore(there, folder)
    assert not (there.data_dir / "formstream.db").exists()
    with pytest.raises(BackupFailed, match="at least 12 characters"):
        await back_up(sqlite_filled, shelf, wish=Wish("short"))


async def test_a_store_or_a_disk_that_fails_is_told_as_it_is(
    sqlite_filled: Settings, shelf: Path, there: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: and when it works again, the restore goes on."""
    folder = (await back_up(sqlite_filled, shelf)).folder
    for failure, told in ((StoreUnavailable(), StoreUnavailable), (OSError(28, "No space left"), RestoreFailed)):
        with monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "writer", lambda *_, error=failure: _raise(error))
            with pytest.raises(told):
                await restore(there, folder)
    await restore(there, folder)
    assert await objects_in(there) == await objects_in(sqlite_filled)


def _raise(error: Exception) -> NoReturn:
    raise error


def _rewrite(folder: Path, settings: Settings, **changes: str) -> None:
    """Seal the manifest with changes, as another version would have written it."""
    document = orjson.loads((folder / manifest.MANIFEST).read_bytes()) | changes
    found = manifest.Manifest.model_validate(document, strict=False)
    manifest.write(folder, found, settings.secret_key.get_secret_value())
