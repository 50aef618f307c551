"""What the doctor says of the place where backups go."""

import os
from pathlib import Path

from serve_app.cli.doctor.backups import encryption, examine, place
from serve_app.cli.doctor.finding import Severity
from serve_app.settings import Settings
from tests.s3 import client, fresh_bucket
from tests.serve_app.cli.doctor.looking import installation, worst


async def test_none_and_a_folder_are_well(tmp_path: Path) -> None:
    for url in ("", str(tmp_path / "backups"), (tmp_path / "backups").as_uri()):
        found = await examine(installation(tmp_path, backup_url=url))
        assert {each.severity for each in found} == {Severity.OK}
    assert not os.listdir(tmp_path), "the doctor changes nothing"


def test_a_bucket_is_tried_and_has_to_be_elsewhere_than_the_files(tmp_path: Path) -> None:
    with fresh_bucket() as bucket:
        settings = bucket.settings("files")

        def looked_at(url: str) -> tuple[Severity, str]:
            found = place(Settings(data_dir=tmp_path, **settings, backup_url=url))
            worst([found], "backups.place")
            assert bucket.secret_key not in found.says
            return found.severity, found.says

        assert looked_at(f"s3://{bucket.name}/backups")[0] is Severity.OK
        assert client(bucket).list_objects_v2(Bucket=bucket.name)["KeyCount"] == 0, "nothing of it stays"
        assert looked_at("s3://no-such-bucket/backups")[0] is Severity.ERROR
        severity, told = looked_at(f"s3://{bucket.name}/files/backups")
        assert (severity, "where the platform keeps its files" in told) == (Severity.ERROR, True)
        assert looked_at("nowhere://bucket")[0] is Severity.ERROR


def test_what_lies_in_a_bucket_is_to_be_encrypted(tmp_path: Path) -> None:
    given = {"data_dir": tmp_path, "backup_url": "s3://bucket/backups"}
    worst([encryption(Settings(**given))], "backups.encryption")
    assert encryption(Settings(**given)).severity is Severity.WARNING
    assert encryption(Settings(**given, backup_passphrase="correct horse battery")).severity is Severity.OK
