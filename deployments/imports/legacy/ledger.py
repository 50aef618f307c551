"""What becomes of documents: each is looked up before, comes to an end, and is told of with what it became."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from db.models.legacy import LegacyDocument
from db.repositories.legacy import LegacyRepository
from db.session import Database, UnitOfWork
from deployments.imports.legacy import answers
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.forms import is_gone
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.report import KNOWN, REFUSED, SKIPPED, Report
from deployments.kit.principal import Principal

ACTOR: Final = "legacy"
FORM_NOT_MADE: Final = "form.not_made"
MOST_NAMES: Final = 10_000
"""How many names are tried beside one that is taken."""

_MOST_BYTES: Final = 4 << 20
_DELETED: Final = "document.deleted"
_BROKEN: Final = "document.broken"
_REPEATED: Final = "document.repeated"
_DIFFERS: Final = "document.differs"

Progress = Callable[[str, int], None]
"""Told of a collection, and how many of its documents are done."""


@dataclass(frozen=True, slots=True)
class Options:
    """What becomes of an e-mail or slug that is taken."""

    on_email_conflict: Literal["link", "skip", "rename"] = "link"
    on_slug_conflict: Literal["rename", "skip"] = "rename"


class Ledger:
    """One pass through a dump. Without a `run_id` nothing is written: what is reported is what there would be.

    `people` are accounts by what their documents are called.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        tenant_id: str,
        options: Options,
        *,
        run_id: str | None = None,
        new_tenant: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.database = database
        self.intake = intake
        self.tenant_id = tenant_id
        self.options = options
        self.run_id = run_id
        self.new_tenant = new_tenant
        self.progress = progress or (lambda collection, done: None)
        self.principal = Principal.system(tenant_id, ACTOR)
        self.people: dict[str, str] = {}
        self.report = Report()
        self._seen: dict[str, str] = {}

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[UnitOfWork | None]:
        """A transaction; a view in a dry run, None when there is no tenant to look at."""
        if self.run_id is not None:
            async with self.database.write(self.tenant_id) as unit:
                yield unit
        elif self.new_tenant:
            yield None
        else:
            async with self.database.read(self.tenant_id) as unit:
                yield unit

    async def before(self, collection: str, documents: Sequence[Document]) -> dict[str, LegacyDocument]:
        """What became of documents earlier, outside of a transaction of their own."""
        if not documents or (self.run_id is None and self.new_tenant):
            return {}
        async with self.database.read(self.tenant_id) as view:
            return await self.known(view, collection, documents)

    async def known(
        self, unit: UnitOfWork | None, collection: str, documents: Iterable[Document]
    ) -> dict[str, LegacyDocument]:
        if unit is None:
            return {}
        ids = {id_ for each in documents for id_ in (each.source_id, repeated(each))}
        return await LegacyRepository(unit.session, unit.tenant).known(collection, ids)

    def fresh(self, document: Document, known: Mapping[str, LegacyDocument], rows: list[dict[str, Any]]) -> bool:
        """Whether a document is one to be brought in. What became of others is in the report, and in `rows`."""
        before, again = known.get(document.source_id), known.get(repeated(document))
        if again is not None or (before is not None and (before.place == document.place or not self._is_ours(before))):
            notes = {} if before is None or before.sha256 == document.sha256 else {"": _DIFFERS}
            self.report.count(document, KNOWN, notes)
            return False
        first = self._seen.setdefault(f"{document.collection}:{document.source_id}", document.place)
        if before is not None or first != document.place:
            document.source_id = repeated(document)
            self.end(document, REFUSED, _REPEATED, rows)
        elif document.problem:
            self.end(document, REFUSED, _BROKEN, rows, detail=document.problem)
        elif is_gone(document.members):
            self.end(document, SKIPPED, _DELETED, rows)
        else:
            return True
        return False

    def _is_ours(self, row: LegacyDocument) -> bool:
        return row.run_id == self.run_id

    def end(
        self,
        document: Document,
        outcome: str,
        reason: str,
        rows: list[dict[str, Any]],
        notes: Mapping[str, str] | None = None,
        *,
        detail: str = "",
        **values: Any,
    ) -> None:
        """A document has come to its end."""
        notes = document.notes if notes is None else notes
        self.report.count(document, outcome, notes, reason="")
        if reason:
            self.report.note(document, "", reason, detail, outcome)
        told = {"": reason, **notes} if reason else notes
        rows.append(
            {
                "tenant_id": self.tenant_id,
                "collection": document.collection,
                "source_id": document.source_id,
                "run_id": self.run_id,
                "place": document.place,
                "sha256": document.sha256,
                "outcome": outcome,
                "form_id": None,
                "new_id": None,
                "stored": None,
                "notes": answers.noted(told),
                "extra": None,
                **values,
            }
        )

    async def keep(self, unit: UnitOfWork | None, rows: Sequence[dict[str, Any]]) -> None:
        if unit is not None and self.run_id is not None:
            await LegacyRepository(unit.session, unit.tenant).add(rows)


def repeated(document: Document) -> str:
    """What a document is called whose id an earlier one has."""
    return f"{document.source_id}@{document.place}"


def batches(documents: Iterable[Document], most: int) -> Iterator[list[Document]]:
    """The documents in lists of at most so many; a list ends, too, when they are together too large."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += document.size
        if len(batch) >= most or size > _MOST_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def kept_json(extra: Mapping[str, Any]) -> dict[str, Any] | None:
    """What has no place elsewhere, as it is kept with a document."""
    return answers.as_json(dict(extra)) if extra else None
