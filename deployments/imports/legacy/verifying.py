"""Whether everything of a dump is accounted for, and what was made of it is still what is stored."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from db.repositories.legacy import LegacyRepository
from db.session import Database, UnitOfWork
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.dump import CARRIED, FILES, FORMS, RESPONSES, USERS, VERSIONS, Dump
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.ledger import batches, repeated
from deployments.imports.legacy.report import MADE

_AT_ONCE: Final = 500
_SHOWN: Final = 1_000

Checksums = Callable[[UnitOfWork, Collection[str]], Awaitable[dict[str, str]]]


@dataclass(slots=True)
class Verification:
    """What was found. `documents` counts those of the dump by collection, `checked` what was held against its checksum.

    `missing` have no trace, `differing` say something else than when they were imported, `changed` are no more what was
    made of them, `gone` are no more there. Of each the first thousand.
    """

    documents: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    checked: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "is_right": self.is_right,
            "documents": dict(self.documents),
            "outcomes": self.outcomes,
            "checked": dict(self.checked),
            "missing": self.missing,
            "differing": self.differing,
            "changed": self.changed,
            "gone": self.gone,
        }

    @property
    def is_right(self) -> bool:
        """Whether nothing was found."""
        return not (self.missing or self.differing or self.changed or self.gone)


class Verifier:
    """Looks at one run of a tenant."""

    def __init__(self, database: Database, intake: Intake, tenant_id: str, run_id: str) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._run_id = run_id
        self._checksums: dict[str, Checksums] = {
            USERS: intake.people.checksums,
            FORMS: intake.forms.checksums,
            VERSIONS: intake.forms.checksums,
            RESPONSES: intake.responses.checksums,
            FILES: intake.files.checksums,
        }

    async def verify(self, dump: Dump) -> Verification:
        """Every document of the dump against what is known of it, and that against what is stored."""
        found = Verification()
        for collection in CARRIED:
            for batch in batches(dump.documents(collection), _AT_ONCE):
                await self._documents(collection, batch, found)
            await self._stored(collection, found)
        return found

    async def _documents(self, collection: str, batch: list[Document], found: Verification) -> None:
        ids = {id_ for each in batch for id_ in (each.source_id, repeated(each))}
        async with self._database.read(self._tenant_id) as unit:
            known = await LegacyRepository(unit.session, unit.tenant).known(collection, ids)
        outcomes = found.outcomes.setdefault(collection, {})
        for document in batch:
            found.documents[collection] += 1
            row = known.get(repeated(document)) or known.get(document.source_id)
            if row is None:
                _tell(found.missing, f"{collection} {document.source_id} ({document.place})")
                continue
            outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
            if row.sha256 != document.sha256:
                _tell(found.differing, f"{collection} {document.source_id} ({document.place})")

    async def _stored(self, collection: str, found: Verification) -> None:
        after = ""
        while True:
            async with self._database.read(self._tenant_id) as unit:
                repository = LegacyRepository(unit.session, unit.tenant)
                rows = await repository.page(self._run_id, collection, MADE, after, _AT_ONCE)
                if not rows:
                    return
                now = await self._checksums[collection](unit, [row.new_id for row in rows if row.new_id])
            for row in rows:
                stored = now.get(row.new_id or "", "")
                name = f"{collection} {row.source_id}: {row.new_id}"
                if not stored:
                    _tell(found.gone, name)
                elif stored != row.stored:
                    _tell(found.changed, name)
                found.checked[collection] += 1
            after = rows[-1].source_id


def _tell(names: list[str], name: str) -> None:
    if len(names) < _SHOWN:
        names.append(name)
