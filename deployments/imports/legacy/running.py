"""Imports as a whole: started, gone on with after a crash, looked at, verified, rolled back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from db.models.legacy import LegacyRun
from db.repositories.audit import Deed
from db.repositories.legacy import LegacyDirectory, LegacyRepository
from db.repositories.tenants import TenantRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import TenantSettings
from deployments.imports.legacy.dump import FORMS, Dump, open_dump
from deployments.imports.legacy.errors import (
    RunNotFound,
    RunOpen,
    RunOver,
    RunUnlike,
    TenantMissing,
    TenantThere,
)
from deployments.imports.legacy.importing import Importer
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.ledger import ACTOR, Ledger, Options, Progress
from deployments.imports.legacy.report import Report
from deployments.imports.legacy.rollback import Rollback, RolledBack
from deployments.imports.legacy.survey import Survey, look_at
from deployments.imports.legacy.verifying import Verification, Verifier
from deployments.kit.features import require_feature
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_active

RUNNING: Final = "running"
DONE: Final = "done"
ROLLING_BACK: Final = "rolling_back"
ROLLED_BACK: Final = "rolled_back"

_FORMS_LIMIT: Final = "max_forms"
_RESPONSES_LIMIT: Final = "max_responses_per_form"

Watch = Callable[[Mapping[str, int]], Progress]
"""Told how many documents there are by collection, it is to be told how many are done."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be imported. `create_tenant` is the name of a tenant that comes with it; `files` is where files lie,
    else the dump itself."""

    dump: Path
    tenant_id: str
    options: Options = field(default_factory=Options)
    create_tenant: str | None = None
    raise_quotas: bool = False
    files: Path | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to; without a run it was a dry run. `resumed`: an earlier attempt had begun it."""

    run_id: str | None
    report: Report
    resumed: bool = False


class Legacy:
    """Imports of other backends' databases, of all tenants: for who runs the platform."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    async def dry_run(self, order: Order, watch: Watch | None = None) -> Imported:
        """What an import would do. Nothing is written. Raises as `bring_in` does."""
        with open_dump(order.dump) as dump:
            survey = look_at(dump)
            tenant = await self._tenant(order.tenant_id)
            if tenant is None and order.create_tenant is None:
                raise TenantMissing(f"There is no tenant {order.tenant_id}; --create-tenant NAME makes it.")
            settings = TenantSettings().model_dump() if tenant is None else tenant
            report = await self._pass(order, dump, survey, None, watch, new_tenant=tenant is None)
            report.quotas = _short_of(settings, survey, await self._forms_now(order.tenant_id, tenant is None))
        return Imported(None, report)

    async def bring_in(self, order: Order, watch: Watch | None = None) -> Imported:
        """Import the dump, or go on with it where an attempt ended. Raises FileUnreadable, TenantMissing, TenantThere,
        RunOpen when another dump is half way in, RunUnlike when this one was begun otherwise, FeatureDisabled."""
        with open_dump(order.dump) as dump:
            survey = look_at(dump)
            run, resumed = await self._begin(order, dump.checksum(), survey)
            report = await self._pass(order, dump, survey, run.id, watch, new_tenant=run.made_tenant)
            await self._end(run.tenant_id, run.id, DONE, report.document())
        return Imported(run.id, report, resumed)

    async def runs(self) -> list[LegacyRun]:
        """Every run, oldest first."""
        async with self._database.unscoped_read() as unit:
            return list(await LegacyDirectory(unit.session).runs_in_any_tenant())

    async def tally(self, run: LegacyRun) -> dict[str, dict[str, int]]:
        """How many documents a run has done by now, by collection and outcome."""
        found: dict[str, dict[str, int]] = {}
        async with self._database.read(run.tenant_id) as unit:
            tallies = await LegacyRepository(unit.session, unit.tenant).tallies(run.id)
        for (collection, outcome), count in sorted(tallies.items()):
            found.setdefault(collection, {})[outcome] = count
        return found

    async def verify(self, run_id: str, path: Path | None = None) -> Verification:
        """Hold what is stored against the dump, which is where it was unless a `path` says otherwise. Raises
        RunNotFound, RunOver, FileUnreadable."""
        run = await self._run(run_id)
        if run.status != DONE:
            raise RunOver(f"The run is {run.status}; only a whole one can be verified.")
        with open_dump(path or Path(run.source)) as dump:
            return await Verifier(self._database, self._intake, run.tenant_id, run_id).verify(dump)

    async def roll_back(self, run_id: str, progress: Progress | None = None) -> RolledBack:
        """Remove what a run made, but what people changed since; go on where an attempt ended. Raises RunNotFound,
        RunOver."""
        run = await self._run(run_id)
        if run.status == ROLLED_BACK:
            raise RunOver("The run is rolled back already.")
        tenant_id = run.tenant_id
        async with self._database.write(tenant_id) as unit:
            await self._mark(unit, run_id, ROLLING_BACK)
        result = await Rollback(self._database, self._intake, tenant_id, run_id, progress).run()
        await self._end(tenant_id, run_id, ROLLED_BACK, {**run.report, "rollback": asdict(result)})
        return result

    async def _pass(
        self,
        order: Order,
        dump: Dump,
        survey: Survey,
        run_id: str | None,
        watch: Watch | None,
        *,
        new_tenant: bool,
    ) -> Report:
        folder = order.files or (order.dump if order.dump.is_dir() else order.dump.parent)
        ledger = Ledger(
            self._database,
            self._intake,
            order.tenant_id,
            order.options,
            run_id=run_id,
            new_tenant=new_tenant,
            progress=None if watch is None else watch(survey.totals),
        )
        with TemporaryDirectory(prefix="formstream-legacy-") as scratch:
            return await Importer(ledger, dump, survey, folder).run(Path(scratch))

    async def _begin(self, order: Order, checksum: str, survey: Survey) -> tuple[LegacyRun, bool]:
        async with self._database.write(order.tenant_id) as unit:
            repository = LegacyRepository(unit.session, unit.tenant)
            tenant = await TenantRepository(unit.session, unit.tenant).get_locked()
            for known in await repository.runs(RUNNING, ROLLING_BACK) if tenant is not None else ():
                if known.status == ROLLING_BACK:
                    raise RunOpen(f"The run {known.id} is half way out: formstream legacy rollback {known.id}.")
                if known.dump != checksum:
                    raise RunOpen(f"The run {known.id} of {known.source} is half way in; finish it or roll it back.")
                if known.options != asdict(order.options):
                    raise RunUnlike(f"The run {known.id} was begun with other options: {known.options}.")
                return known, True
            if order.create_tenant is not None:
                await self._make_tenant(unit, order, survey, there=tenant is not None)
            elif tenant is None:
                raise TenantMissing(f"There is no tenant {order.tenant_id}; --create-tenant NAME makes it.")
            else:
                require_active(tenant.status, TenantMissing)
                require_feature(tenant.settings, "imports")
                if order.raise_quotas:
                    count = await self._forms_now(order.tenant_id, new=False)
                    wider = _widened(tenant.settings, survey, count)
                    await self._intake.people.raise_quotas(unit, Principal.system(unit.tenant, ACTOR), wider)
            run = LegacyRun(
                tenant_id=unit.tenant,
                id=new_id("lgr"),
                source=str(order.dump.resolve()),
                dump=checksum,
                options=asdict(order.options),
                status=RUNNING,
                made_tenant=order.create_tenant is not None,
                report={},
                started_at=utc_now(),
            )
            repository.begin(run)
            _audit(unit, run.id, "legacy.import_started", {"source": run.source, "dump": checksum})
            return run, False

    async def _make_tenant(self, unit: UnitOfWork, order: Order, survey: Survey, *, there: bool) -> None:
        if there:
            raise TenantThere(f"There is a tenant {order.tenant_id} already; leave --create-tenant out.")
        settings = TenantSettings()
        if order.raise_quotas:
            settings = TenantSettings.model_validate(
                {**settings.model_dump(), **_widened(settings.model_dump(), survey, 0)}
            )
        name = order.create_tenant or order.tenant_id
        await self._intake.people.make_tenant(unit, Principal.system(order.tenant_id, ACTOR), name, settings)

    async def _end(self, tenant_id: str, run_id: str, status: str, report: dict[str, Any]) -> None:
        async with self._database.write(tenant_id) as unit:
            run = await self._mark(unit, run_id, status)
            run.report, run.ended_at = report, utc_now()
            action = "legacy.rolled_back" if status == ROLLED_BACK else "legacy.imported"
            _audit(unit, run_id, action, {"collections": report.get("collections", {})})

    async def _mark(self, unit: UnitOfWork, run_id: str, status: str) -> LegacyRun:
        run = await LegacyRepository(unit.session, unit.tenant).run(run_id)
        if run is None:
            raise RunNotFound
        run.status = status
        return run

    async def _run(self, run_id: str) -> LegacyRun:
        async with self._database.unscoped_read() as unit:
            found = await LegacyDirectory(unit.session).runs_in_any_tenant(run_id)
        if not found:
            raise RunNotFound(f"There is no run {run_id}.")
        return found[0]

    async def _tenant(self, tenant_id: str) -> dict[str, Any] | None:
        async with self._database.read(tenant_id) as unit:
            row = await TenantRepository(unit.session, unit.tenant).get()
            return None if row is None else row.settings

    async def _forms_now(self, tenant_id: str, new: bool) -> int:
        if new:
            return 0
        async with self._database.read(tenant_id) as unit:
            return await self._intake.forms.count(unit)


def _short_of(settings: Mapping[str, Any], survey: Survey, forms: int) -> list[str]:
    """The quotas that the dump does not fit into."""
    found = []
    most, wanted = settings.get(_FORMS_LIMIT), forms + survey.totals[FORMS]
    if most is not None and wanted > most:
        found.append(f"{_FORMS_LIMIT} is {most}, with the dump there would be {wanted} forms")
    most, wanted = settings.get(_RESPONSES_LIMIT), max(survey.responses.values(), default=0)
    if most is not None and wanted > most:
        found.append(f"{_RESPONSES_LIMIT} is {most}, a form of the dump has {wanted}")
    return found


def _widened(settings: Mapping[str, Any], survey: Survey, forms: int) -> dict[str, int]:
    """The quotas that have to be raised for the dump, with what they are raised to."""
    wanted = {
        _FORMS_LIMIT: forms + survey.totals[FORMS],
        _RESPONSES_LIMIT: max(survey.responses.values(), default=0),
    }
    return {
        name: count for name, count in wanted.items() if (limit := settings.get(name)) is not None and count > limit
    }


def _audit(unit: UnitOfWork, run_id: str, action: str, details: dict[str, Any]) -> None:
    actor = Principal.system(unit.tenant, ACTOR).subject
    unit.audit(Deed(at=utc_now(), actor=actor, action=action, entity_id=run_id, details=details))
