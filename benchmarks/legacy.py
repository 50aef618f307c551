"""What bringing in another backend's database takes: a dry run, the import, its verification and its rollback, on both
databases.

`python -m benchmarks.legacy [--documents 100000] [--databases sqlite postgresql] [--format bson]`
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from benchmarks.databases import scratch
from benchmarks.legacy_dump import FORMATS, write_dump
from benchmarks.machine import describe
from db.migrate import upgrade
from db.session import Database
from db.settings import DatabaseSettings
from deployments.files.carrying import CarriedFiles
from deployments.files.settings import FilesSettings
from deployments.forms import carrying as forms
from deployments.identity import carrying as identity
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.running import Legacy, Order
from deployments.kit.objects import ObjectStore
from deployments.responses.carrying import CarriedResponses


async def _timed(name: str, work: Callable[[], Awaitable[Any]], documents: int) -> Any:
    began, worked = time.perf_counter(), time.process_time()
    result = await work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    memory = psutil.Process().memory_info().rss / 2**20
    print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {documents / seconds:,.0f} | {memory:,.0f} |", flush=True)
    return result


async def _measure(settings: DatabaseSettings, folder: Path, dump: Path, documents: int) -> None:
    await upgrade(settings)
    async with Database(settings) as database:
        files = CarriedFiles(ObjectStore((folder / "objects").as_uri()), FilesSettings(signing_key=SecretStr("k" * 32)))
        legacy = Legacy(database, Intake(identity, forms, CarriedResponses(database), files))
        order = Order(dump, "acme", create_tenant="Acme", raise_quotas=True)
        print("| | seconds | of CPU time | documents/s | memory, MB |\n|---|---|---|---|---|")
        await _timed("dry run", lambda: legacy.dry_run(order), documents)
        imported = await _timed("import", lambda: legacy.bring_in(order), documents)
        verified = await _timed("verification", lambda: legacy.verify(imported.run_id), documents)
        await _timed("rollback", lambda: legacy.roll_back(imported.run_id), documents)
        made = {name: counts["made"] for name, counts in imported.report.outcomes.items()}
        print(f"made: {made}; verified: {verified.is_right}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--format", choices=FORMATS, default="bson")
    arguments = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump"
        write_dump(dump, arguments.documents, form=arguments.format)
        for database in arguments.databases:
            print(f"\n{database}, {arguments.documents:,} documents:")
            with scratch(database) as settings:
                asyncio.run(_measure(settings, Path(folder) / database, dump, arguments.documents))


if __name__ == "__main__":
    main()
