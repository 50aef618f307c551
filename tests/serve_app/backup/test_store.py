"""O4: backups that are away from the machine, in a store that speaks S3."""

import errno
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pyrage  # type: ignore[import-untyped]
import pytest
from pydantic import SecretStr

from db.session import Database
from deployments.kit.objects import ObjectStore
from serve_app.backup import manifest
from serve_app.backup.drilling import Drill, drill_backup
from serve_app.backup.encryption import Wish
from serve_app.backup.errors import BackupFailed, BackupUnusable
from serve_app.backup.files import INDEX, OBJECTS
from serve_app.backup.making import DATABASE_FILE, back_up
from serve_app.backup.places import backup_at, shelf_at
from serve_app.backup.restoring import restore
from serve_app.backup.store_path import StorePath
from serve_app.backup.store_shelf import ALIVE
from serve_app.cli.backup import show
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings
from tests.s3 import Bucket, client, fresh_bucket
from tests.serve_app.backup.scene import PASSPHRASE, Place, add_file, everything_in, objects_in
from tests.serve_app.backup.test_killed import kill_at

# More than one piece of an upload, and of a download.
LARGE = 17 << 20


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with fresh_bucket() as bucket:
        yield bucket


class Away:
    """A prefix in the bucket, looked at by somebody else's client."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._client = client(bucket)
        self.url = f"s3://{bucket.name}/{prefix}"

    def settings(self, **changes: Any) -> dict[str, Any]:
        """How it is reached."""
        return {
            "backup_url": self.url,
            "backup_store_endpoint": self._bucket.endpoint,
            "backup_store_region": self._bucket.region,
            "backup_store_access_key": self._bucket.access_key,
            "backup_store_secret_key": SecretStr(self._bucket.secret_key),
            **changes,
        }

    def contents(self) -> list[str]:
        """All that lies there."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name, Prefix=self._prefix)
        return [each["Key"].removeprefix(f"{self._prefix}/") for page in pages for each in page.get("Contents", ())]

    def folders(self) -> set[str]:
        """What lies there side by side."""
        return {key.partition("/")[0] for key in self.contents()}

    def read(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=self._bucket.name, Key=f"{self._prefix}/{key}")["Body"].read()
        return content

    def write(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._bucket.name, Key=f"{self._prefix}/{key}", Body=content)

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket.name, Key=f"{self._prefix}/{key}")


@pytest.fixture
def away(bucket: Bucket, tmp_path: Path) -> Away:
    return Away(bucket, tmp_path.name)


@pytest.fixture
def there(sqlite_filled: Settings, tmp_path: Path, away: Away) -> Settings:
    """An empty place with the same secret key."""
    folder = tmp_path / "there"
    url = f"sqlite:///{folder / 'formstream.db'}"
    return sqlite_filled.model_copy(update=away.settings(data_dir=folder, database_url=url))


async def test_it_is_made_listed_and_restored(
    filled: Settings,
    database: Database,
    store: ObjectStore,
    away: Away,
    place: Place,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """O4: with both databases, encrypted; files of the one before are copied by the store, and the old one is gone."""
    settings = filled.model_copy(update=away.settings())
    owner = pyrage.x25519.Identity.generate()
    wish = Wish(recipients=(str(owner.to_public()),))
    await add_file(database, store, "acme", b"large" * (LARGE // 5))
    first = await back_up(settings, "", wish=wish)
    second = await back_up(settings, "", wish=wish, keep=1)
    assert (first.linked, second.linked, second.removed) == (0, 5, (first.manifest.id,))
    assert away.folders() == {second.manifest.id}
    assert not any(b"ada@example.org" in away.read(key) for key in away.contents())
    show(settings, away.url, as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert [each["folder"] for each in listed["backups"]] == [f"{away.url}/{second.manifest.id}"]
    assert (listed["backups"][0]["bytes"], listed["unfinished"]) == (second.manifest.size, [])
    fresh = (await place()).model_copy(update=away.settings())
    await restore(fresh, backup_at(fresh, away.url), identities=[owner])
    async with Database(fresh.database()) as again:
        assert await everything_in(again) == await everything_in(database)
    assert await objects_in(fresh) == await objects_in(settings)


async def test_it_is_tried_and_the_same_when_it_was_brought_to_a_disk(
    sqlite_filled: Settings, away: Away, there: Settings, tmp_path: Path
) -> None:
    """O4: by whatever copies buckets; and a folder may be named by its URL."""
    settings = sqlite_filled.model_copy(update=away.settings())
    made = await back_up(settings, away.url)
    named = backup_at(settings, f"{away.url}/{made.manifest.id}")
    tried = await drill_backup(settings, named, Drill(scratch=tmp_path / "scratch"))
    assert (tried.wrong, len(tried.checks)) == ((), 4)
    for key in away.contents():
        path = tmp_path / "brought" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(away.read(key))
    folder = backup_at(there, (tmp_path / "brought").as_uri())
    assert folder == tmp_path / "brought" / made.manifest.id
    await restore(there, folder)
    assert await objects_in(there) == await objects_in(sqlite_filled)


@pytest.mark.parametrize(
    ("function", "linked", "passphrase"),
    [
        ("serve_app.backup.files:Copies._note", 0, ""),
        ("serve_app.backup.manifest:write", 4, PASSPHRASE),
    ],
    ids=["files", "end"],
)
async def test_one_that_was_killed_is_none_and_the_next_one_goes_on(
    sqlite_filled: Settings,
    away: Away,
    function: str,
    linked: int,
    passphrase: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """O4: it is not listed; its files are used, and when its maker has been silent for long, removed."""
    settings = sqlite_filled.model_copy(update=away.settings(backup_passphrase=SecretStr(passphrase)))
    shelf = shelf_at(settings, "")
    await kill_at(settings, "backup", away.url, function, 1)
    assert shelf.complete() == []
    (left,) = shelf.unfinished()
    with pytest.raises(BackupUnusable, match="no complete backup"):
        backup_at(settings, away.url)
    made = await back_up(settings, "")
    assert made.linked == linked
    # Nobody knows yet whether its maker is dead.
    assert away.folders() == {left.name, made.manifest.id}
    monkeypatch.setattr("serve_app.backup.store_shelf._SILENT", timedelta(0))
    last = await back_up(settings, "")
    assert away.folders() == {made.manifest.id, last.manifest.id}
    assert not any(key.endswith(ALIVE) for key in away.contents())


async def test_what_is_damaged_is_found_before_anything_is_touched(
    sqlite_filled: Settings, away: Away, there: Settings
) -> None:
    """O4: database, file, index, manifest and seal; one that is missing is named, too."""
    made = await back_up(sqlite_filled.model_copy(update=away.settings()), away.url)
    name = made.manifest.id
    file = next(key for key in away.contents() if f"/{OBJECTS}/" in key)
    for key in (file, *(f"{name}/{part}" for part in (DATABASE_FILE, INDEX, manifest.MANIFEST, manifest.SEAL))):
        sound = away.read(key)
        away.write(key, sound[:-2] + bytes([sound[-2] ^ 1]) + sound[-1:])
        with pytest.raises(BackupUnusable, match=key.rpartition("/")[2]):
            await restore(there, backup_at(there, away.url))
        away.write(key, sound)
    away.remove(file)
    with pytest.raises(BackupUnusable, match="is missing in the backup"):
        await restore(there, backup_at(there, away.url))
    assert not there.data_dir.joinpath("formstream.db").exists()
    # The next one does not have it from this one.
    assert (await back_up(sqlite_filled.model_copy(update=away.settings()), away.url)).linked == 3


async def test_one_whose_files_were_taken_away_meanwhile_is_not_sealed(
    sqlite_filled: Settings, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: as by another one that took its maker, who had slept, for dead."""
    settings = sqlite_filled.model_copy(update=away.settings())
    sound = manifest.Manifest.model_copy

    def slept(*arguments: Any, **named: Any) -> manifest.Manifest:
        away.remove(next(key for key in away.contents() if f"/{OBJECTS}/" in key))
        return sound(*arguments, **named)

    monkeypatch.setattr(manifest.Manifest, "model_copy", slept)
    with pytest.raises(BackupFailed, match="is not what lies there"):
        await back_up(settings, "")
    assert shelf_at(settings, "").complete() == []


async def test_what_is_others_stays_and_a_place_that_is_none_is_told(
    sqlite_filled: Settings, away: Away, bucket: Bucket
) -> None:
    """O4: nothing is removed that has no name of a backup; nor do backups go where files are, which they would hold."""
    settings = sqlite_filled.model_copy(update=away.settings())
    away.write("photos/one.jpg", b"mine")
    await back_up(settings, "", keep=1)
    await back_up(settings, "", keep=1)
    assert away.read("photos/one.jpg") == b"mine"
    for url, told in (
        ("s3://nobodys-bucket-of-formstream/backups", "404"),
        ("nowhere://bucket", "no place for backups"),
    ):
        with pytest.raises((BackupFailed, BackupUnusable), match=told):
            await back_up(settings, url)
        with pytest.raises(BackupUnusable, match=told):
            backup_at(settings, url).exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StorePath, "remove_all", _forbidden)
        with pytest.raises(CommandFailed, match="complete, and older ones cannot"):
            await back_up(settings, "", keep=1)
    assert len(shelf_at(settings, "").complete()) == 1
    with pytest.raises(BackupUnusable, match="FORMSTREAM_BACKUP_URL"):
        await back_up(settings.model_copy(update={"backup_url": ""}), "")
    files = bucket.settings("files") | {"object_store_secret_key": SecretStr(bucket.secret_key)}
    with pytest.raises(BackupFailed, match="where the platform keeps its files"):
        shelf_at(settings.model_copy(update=files), f"s3://{bucket.name}/files/backups")
    # A prefix that only begins alike is another one.
    shelf_at(settings.model_copy(update=files), f"s3://{bucket.name}/files-2")


def _forbidden(path: StorePath) -> NoReturn:
    raise OSError(errno.EIO, "403 Forbidden", str(path))
