"""An import, or a rollback, in a process of its own that kills itself inside of a transaction.

`python -m tests.deployments.imports.legacy.killed_process <database url> <dump> import|rollback <run> <transaction>`
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.repositories.legacy import LegacyRepository
from db.session import Database
from db.settings import DatabaseSettings
from deployments.imports.legacy import response_taking, rollback
from tests.deployments.imports.legacy.dumps import bring_in, legacy

PIECE = 40


def doomed(number: int) -> None:
    """Die when documents are kept, or forgotten, for the last time but before that is committed."""
    add, forget, forget_form = LegacyRepository.add, LegacyRepository.forget, LegacyRepository.forget_form
    done = 0

    async def counted() -> None:
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)

    async def adding(self: LegacyRepository, rows: Sequence[Mapping[str, Any]]) -> None:
        await add(self, rows)
        await counted()

    async def forgetting(self: LegacyRepository, run_id: str, collection: str, source_ids: Any) -> None:
        await forget(self, run_id, collection, source_ids)
        await counted()

    async def forgetting_form(self: LegacyRepository, run_id: str, form_id: str) -> None:
        await forget_form(self, run_id, form_id)
        await counted()

    LegacyRepository.add = adding  # type: ignore[method-assign]
    LegacyRepository.forget = forgetting  # type: ignore[method-assign]
    LegacyRepository.forget_form = forgetting_form  # type: ignore[method-assign]


async def main(url: str, dump: Path, work: str, run_id: str, number: int) -> None:
    response_taking._RESPONSES = rollback._AT_ONCE = PIECE  # type: ignore[misc]
    doomed(number)
    database = Database(DatabaseSettings(url=url))
    if work == "import":
        await bring_in(database, dump, create="Acme")
    else:
        await legacy(database, dump.parent).roll_back(run_id)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
