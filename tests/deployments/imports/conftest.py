"""A place for files, forms and responses, and a way to run one import job."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployments.imports.contracts import StartImport
from deployments.kit.objects import ObjectStore
from eventing.jobs import JobRun
from tests.deployments.imports.platform import MemoryForms, MemoryResponses

TENANT = "acme"


@dataclass
class Bench:
    """What an import needs, with the progress that jobs report."""

    objects: ObjectStore
    forms: MemoryForms
    responses: MemoryResponses
    reports: list[tuple[int, int | None]] = field(default_factory=list)
    cancelled: bool = False

    async def upload(self, content: bytes | str, name: str = "survey.csv", **command: Any) -> StartImport:
        """The command to import an uploaded file."""
        data = content.encode() if isinstance(content, str) else content
        file = f"{TENANT}/imports/{name}"
        async with self.objects.writer(file) as writer:
            await writer.write(data)
        return StartImport(
            **{
                "file": file,
                "file_name": name,
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "format": "surveymonkey_csv",
                "slug": "survey",
                "title": "Survey",
                **command,
            }
        )

    def job(self, command: StartImport) -> JobRun:
        """An attempt at the job of a command."""

        async def report(done: int, total: int | None) -> bool:
            self.reports.append((done, total))
            return self.cancelled

        return JobRun(
            tenant_id=TENANT,
            id="job_1",
            payload=command.model_dump(mode="json", exclude={"idempotency_key"}),
            attempt=1,
            created_by="usr_1",
            soft_limit_s=60.0,
            report=report,
        )

    async def has_file(self, command: StartImport) -> bool:
        try:
            async with self.objects.local_copy(command.file):
                return True
        except FileNotFoundError:
            return False


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    forms = MemoryForms()
    return Bench(ObjectStore(f"file://{tmp_path}/objects"), forms, MemoryResponses(forms))
