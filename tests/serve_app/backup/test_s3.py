"""O4: files that are in a store that speaks S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore
from serve_app.backup.errors import RestoreRefused
from serve_app.backup.making import back_up
from serve_app.backup.restoring import restore
from tests.s3 import Bucket, fresh_bucket
from tests.serve_app.backup.scene import add_file, objects_in
from tests.serve_app.one_process import settings_for


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with fresh_bucket() as bucket:
        yield bucket


async def test_they_are_copied_once_and_restored_below_another_prefix(
    bucket: Bucket, sqlite_settings: DatabaseSettings, shelf: Path, tmp_path: Path
) -> None:
    """O4: a prefix with others' files is none to restore into; one with larger files than a piece is no other."""
    settings = settings_for(tmp_path / "data", sqlite_settings, **bucket.settings("first"))
    store = ObjectStore(settings.object_store(), **settings.object_store_options())
    database = Database(sqlite_settings)
    for size in (10, 6_000_000):
        await add_file(database, store, "acme", bytes(size))
    await database.close()
    await back_up(settings, shelf)
    made = await back_up(settings, shelf)
    assert (made.linked, made.manifest.objects.count) == (2, 2)
    there = settings_for(tmp_path / "there", DatabaseSettings(url=f"sqlite:///{tmp_path / 'there' / 'f.db'}"))
    taken = there.model_copy(
        update=bucket.settings("first") | {"object_store_secret_key": settings.object_store_secret_key}
    )
    await store.put("globex/files/fil_1", b"?")
    with pytest.raises(RestoreRefused, match="as globex/files/fil_1"):
        await restore(taken, made.folder)
    await store.delete("globex/files/fil_1")
    fresh = taken.model_copy(update={"object_store_url": bucket.settings("second")["object_store_url"]})
    await restore(fresh, made.folder)
    assert await objects_in(fresh) == await objects_in(settings)
