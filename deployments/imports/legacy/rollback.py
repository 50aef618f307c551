"""Taking an import back: what it made goes, what people changed since stays and is reported.

Each step is a transaction that removes things together with what is known of them, so it can be begun again anywhere.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from db.repositories.legacy import KEPT, LegacyRepository
from db.repositories.response_origins import ResponseOriginRepository
from db.session import Database
from deployments.imports.legacy.dump import FILES, FORMS, RESPONSES, USERS, VERSIONS
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.ledger import ACTOR, Progress
from deployments.imports.legacy.report import MADE
from deployments.kit.principal import Principal

ANSWERED: Final = "form.answered_since"
CHANGED: Final = "changed"
WORKED_ON: Final = "form.responses_changed"
_AT_ONCE: Final = 200


@dataclass(slots=True)
class RolledBack:
    """How much was removed by collection, and what was kept for which reason, by what it is called."""

    removed: dict[str, int] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


class Rollback:
    """Takes one run of a tenant back."""

    def __init__(
        self, database: Database, intake: Intake, tenant_id: str, run_id: str, progress: Progress | None = None
    ) -> None:
        self._database = database
        self._intake = intake
        self._tenant_id = tenant_id
        self._run_id = run_id
        self._principal = Principal.system(tenant_id, ACTOR)
        self._progress = progress or (lambda collection, done: None)
        self._removed: Counter[str] = Counter()
        self._kept: dict[str, str] = {}

    async def run(self) -> RolledBack:
        """Take back forms as a whole where nobody has touched them, else their responses one by one; then people."""
        await self._forms()
        await self._responses()
        await self._users()
        await self._remember()
        async with self._database.write(self._tenant_id) as unit:
            repository = LegacyRepository(unit.session, unit.tenant)
            await repository.forget_rest(self._run_id)
        return RolledBack(dict(self._removed), self._kept)

    async def _remember(self) -> None:
        """Name what an earlier attempt kept, too."""
        for collection in (USERS, FORMS, RESPONSES):
            after = ""
            while True:
                async with self._database.read(self._tenant_id) as unit:
                    repository = LegacyRepository(unit.session, unit.tenant)
                    rows = await repository.page(self._run_id, collection, KEPT, after, _AT_ONCE)
                if not rows:
                    break
                after = rows[-1].source_id
                for row in rows:
                    self._kept.setdefault(f"{collection} {row.new_id}", CHANGED)

    async def _forms(self) -> None:
        after = ""
        while True:
            async with self._database.write(self._tenant_id) as unit:
                repository = LegacyRepository(unit.session, unit.tenant)
                rows = await repository.page(self._run_id, FORMS, MADE, after, 1)
                if not rows:
                    return
                row = rows[0]
                form_id, after = row.new_id or "", row.source_id
                reason = ""
                if await repository.has_strangers(self._run_id, form_id, RESPONSES):
                    reason = ANSWERED
                elif await ResponseOriginRepository(unit.session, unit.tenant).any_touched(form_id):
                    reason = WORKED_ON
                else:
                    take_back = self._intake.forms.take_back
                    actor = self._principal.subject
                    reason = await take_back(unit, self._principal, form_id, row.stored or "", actor)
                if reason:
                    self._kept[f"{FORMS} {form_id}"] = reason
                else:
                    for collection, count in (await repository.of_form(self._run_id, form_id)).items():
                        self._removed[collection] += count
                    await repository.forget_form(self._run_id, form_id)
            self._progress(FORMS, self._removed[FORMS])

    async def _responses(self) -> None:
        """Those of forms that stay, or that were there before."""
        after = ""
        while True:
            async with self._database.write(self._tenant_id) as unit:
                repository = LegacyRepository(unit.session, unit.tenant)
                rows = await repository.page(self._run_id, RESPONSES, MADE, after, _AT_ONCE)
                if not rows:
                    break
                after = rows[-1].source_id
                by_form: dict[str, list[str]] = {}
                for row in rows:
                    by_form.setdefault(row.form_id or "", []).append(row.new_id or "")
                kept: dict[str, str] = {}
                for form_id in sorted(by_form):
                    back = await self._intake.responses.take_back(unit, self._principal, form_id, by_form[form_id])
                    kept.update(back.kept)
                removed = [row.source_id for row in rows if row.new_id not in kept]
                await repository.forget(self._run_id, RESPONSES, removed)
                await repository.keep(self._run_id, RESPONSES, [r.source_id for r in rows if r.new_id in kept])
            self._removed[RESPONSES] += len(removed)
            self._kept |= {f"{RESPONSES} {response_id}": reason for response_id, reason in kept.items()}
            self._progress(RESPONSES, self._removed[RESPONSES])
        for collection in (FORMS, VERSIONS, FILES):
            await self._settle(collection)

    async def _settle(self, collection: str) -> None:
        """What is left of forms that stay: they keep their versions. Files went with their responses, or stay with
        them."""
        while True:
            async with self._database.write(self._tenant_id) as unit:
                repository = LegacyRepository(unit.session, unit.tenant)
                rows = await repository.page(self._run_id, collection, MADE, "", _AT_ONCE)
                if not rows:
                    return
                ids = [row.source_id for row in rows]
                if collection == FILES:
                    await repository.forget(self._run_id, collection, ids)
                else:
                    await repository.keep(self._run_id, collection, ids)

    async def _users(self) -> None:
        after = ""
        while True:
            async with self._database.write(self._tenant_id) as unit:
                repository = LegacyRepository(unit.session, unit.tenant)
                rows = await repository.page(self._run_id, USERS, MADE, after, _AT_ONCE)
                if not rows:
                    return
                after = rows[-1].source_id
                made = [(row.new_id or "", row.stored or "") for row in rows]
                back = await self._intake.people.take_back(unit, self._principal, made)
                gone = [row.source_id for row in rows if row.new_id in back.removed]
                await repository.forget(self._run_id, USERS, gone)
                await repository.keep(self._run_id, USERS, [r.source_id for r in rows if r.new_id in back.kept])
            self._removed[USERS] += len(gone)
            self._kept |= {f"{USERS} {user_id}": reason for user_id, reason in back.kept.items()}
            self._progress(USERS, self._removed[USERS])
