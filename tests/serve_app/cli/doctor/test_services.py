"""What the doctor says of the mail server, the store, the models, the scanner and login providers."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.models.federation import SsoConnection
from db.session import Database
from db.settings import DatabaseSettings
from deployments.models import minilm
from deployments.models.registry import Provenance, Registry
from serve_app.cli.doctor import services
from serve_app.cli.doctor.finding import Severity
from serve_app.settings import Settings
from tests.deployments.files.clam import Daemon, running
from tests.deployments.notifications.mail_server import Mailbox, smtp
from tests.factories import make_tenant
from tests.s3 import fresh_bucket
from tests.serve_app.cli.doctor.looking import CLUSTER, installation

TENANT = "ten_doctor"


class TestMail:
    async def test_nobody_listens(self) -> None:
        found = await services.mail_server(Settings(smtp_url="smtp://u:hunter2@127.0.0.1:9"))
        assert found.severity is Severity.ERROR
        assert "hunter2" not in found.says

    async def test_a_server_without_the_encryption_that_is_asked_for(self) -> None:
        async with smtp(Mailbox()) as port:
            plain = await services.mail_server(Settings(smtp_url=f"smtp://127.0.0.1:{port}"))
            asked = await services.mail_server(Settings(smtp_url=f"smtp://127.0.0.1:{port}?starttls=true"))
        assert (plain.severity, asked.severity) == (Severity.OK, Severity.ERROR)

    async def test_mail_in_plain_to_another_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "is_local", lambda _: False)
        async with smtp(Mailbox()) as port:
            found = await services.mail_server(Settings(smtp_url=f"smtp://127.0.0.1:{port}"))
        assert (found.severity, "starttls" in found.cure) == (Severity.WARNING, True)

    async def test_an_address_that_is_none(self) -> None:
        assert (await services.mail_server(Settings(smtp_url="mail.example.com:25"))).severity is Severity.ERROR

    async def test_a_folder(self) -> None:
        assert (await services.mail_server(Settings())).severity is Severity.OK


class TestStore:
    async def test_a_folder_on_a_cluster(self, tmp_path: Path) -> None:
        found = await services.object_store(installation(tmp_path, serve_config=CLUSTER))
        assert found.severity is Severity.ERROR

    async def test_a_folder(self, tmp_path: Path) -> None:
        assert (await services.object_store(installation(tmp_path))).severity is Severity.OK
        assert not os.listdir(tmp_path)
        (tmp_path / "objects").write_text("not a folder")
        assert (await services.object_store(installation(tmp_path))).severity is Severity.ERROR

    async def test_a_bucket(self, tmp_path: Path) -> None:
        with fresh_bucket() as bucket:
            there = await services.object_store(installation(tmp_path, **bucket.settings("x")))
            missing = bucket.settings("x") | {"object_store_url": "s3://no-such-bucket"}
            lost = await services.object_store(installation(tmp_path, **missing))
        assert (there.severity, lost.severity) == (Severity.OK, Severity.ERROR)
        assert bucket.secret_key not in lost.says


class TestModels:
    def test_a_file_that_was_changed(self, tmp_path: Path) -> None:
        registry = Registry(tmp_path / "models")
        registry.register(
            minilm.NAME,
            "1",
            task="embedding",
            provenance=Provenance(source="test", license="MIT"),
            make=lambda folder: (folder / "model.int8.onnx").write_text("weights") and None,
        )
        settings = Settings(data_dir=tmp_path)
        single = Settings(data_dir=tmp_path, model_precision="fp32")
        assert services.models(single, embedded=False).severity is Severity.ERROR
        assert services.models(settings, embedded=True).severity is Severity.OK
        (registry.folder(minilm.NAME, "1") / "model.int8.onnx").write_text("wEights")
        assert services.models(settings, embedded=True).severity is Severity.ERROR

    def test_none_on_a_cluster(self, tmp_path: Path) -> None:
        assert services.models(Settings(data_dir=tmp_path), embedded=False).severity is Severity.WARNING


class TestScanner:
    async def test_nobody_listens(self) -> None:
        found = await services.scanner(Settings(clamav_url="tcp://127.0.0.1:9"))
        assert (found.severity, "refused" in found.says) == (Severity.ERROR, True)
        assert (await services.scanner(Settings())).severity is Severity.OK

    async def test_a_daemon_answers(self) -> None:
        async with running(Daemon()) as url:
            assert (await services.scanner(Settings(clamav_url=url))).severity is Severity.OK


async def test_a_login_provider_that_does_not_answer(tmp_path: Path, database_settings: DatabaseSettings) -> None:
    settings = Settings(data_dir=tmp_path, database_url=database_settings.url, egress_allow="127.0.0.0/8")
    assert [each.severity async for each in services.login_providers(settings)] == [Severity.OK]
    now = datetime.now(UTC)
    database = Database(database_settings)
    await make_tenant(database, TENANT)
    async with database.write(TENANT) as unit:
        for name, enabled in (("one", True), ("off", False)):
            unit.session.add(
                SsoConnection(
                    tenant_id=TENANT,
                    id=name,
                    name=name,
                    issuer=f"http://127.0.0.1:9/{name}",
                    client_id="id",
                    client_secret="sealed",
                    scopes=[],
                    provisioning={},
                    enabled=enabled,
                    enforced=False,
                    created_by="nobody",
                    created_at=now,
                    updated_at=now,
                )
            )
    await database.close()
    (found,) = [each async for each in services.login_providers(settings)]
    assert (found.severity, "http://127.0.0.1:9/one" in found.says) == (Severity.WARNING, True)
