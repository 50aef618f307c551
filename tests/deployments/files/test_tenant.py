"""T7: files leave with the tenant's data, whole."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from tests.deployments.files.scene import ask_for_files, noise, send
from tests.eventing.harness import eventually
from tests.serve_app.one_process import one_process, settings_for


async def test_an_export_holds_the_files(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T7: the bytes beside the rows that say what they are."""
    content = noise(100_000)
    database = Database(sqlite_settings)
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch) as platform:
        owner = await platform.sign_up()
        await ask_for_files(database)
        file = (await send(platform.client(), content)).json()
        usage = (await owner.get("/api/v1/tenants/acme/usage")).json()
        assert usage["meters"]["storage_bytes"]["used"] == len(content)
        job_id = (await owner.post("/api/v1/tenants/acme/export")).json()["job_id"]

        async def done() -> bool:
            return bool((await owner.get(f"/api/v1/jobs/{job_id}")).json()["state"] == "succeeded")

        await eventually(done, deadline_s=60)
        url = (await owner.get(f"/api/v1/jobs/{job_id}")).json()["result"]["download_url"]
        bundle = zipfile.ZipFile(io.BytesIO((await owner.get(url)).content))
    await database.close()
    assert hashlib.sha256(bundle.read(f"files/files/{file['id']}")).hexdigest() == file["sha256"]
    (row,) = [json.loads(line) for line in bundle.read("tables/file.jsonl").splitlines()]
    assert (row["id"], row["name"], row["sha256"]) == (file["id"], "notes.txt", file["sha256"])
