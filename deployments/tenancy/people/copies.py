"""Copies of answers that somebody took: files that an erasure removes, since whose answers they hold cannot be told."""

from collections.abc import Collection
from typing import Final, Protocol

from db.repositories.classifiers import ClassifierRepository
from db.repositories.jobs import JobRepository
from db.repositories.tenant_exports import TenantExportRepository
from db.session import Database
from deployments.exports.contracts import FORGET
from deployments.inference.contracts import FORGET_LEARNED, TRAIN
from deployments.kit.objects import SEARCH, ObjectStore, object_key
from deployments.reports.contracts import FORGET as FORGET_REPORTS
from deployments.tenancy.exporting import FOLDER
from eventing.jobs import JobSpec, Retry, enqueue

_SOON_S: Final = 5.0


class Copies(Protocol):
    """One kind of copies. `place` names it in receipts."""

    place: str

    async def remove_some(self, tenant_id: str, form_ids: Collection[str]) -> int:
        """Remove some of a tenant's copies of these forms' responses; how many, 0 when there are none left.

        What is being made when this is called must not come into being, or hold nothing that was erased before. Raises
        Retry while that has to be waited for.
        """
        ...


class TenantExports:
    """Copies of a whole tenant. One that is being made is waited for; one that has not begun is not made."""

    place = "tenant_export"

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    async def remove_some(self, tenant_id: str, form_ids: Collection[str]) -> int:
        async with self._database.read(tenant_id) as unit:
            found = await TenantExportRepository(unit.session, tenant_id).page(None, 1)
        if not found:
            return 0
        async with self._database.read(found[0].job_tenant_id) as unit:
            job = await JobRepository(unit.session, unit.tenant).find(found[0].job_id)
        if found[0].finished_at is None and job is not None and job.state == "running":
            raise Retry("An export of the tenant is being made.", after_s=_SOON_S)
        while await self._objects.delete_some(object_key(tenant_id, FOLDER, found[0].id)):
            pass
        async with self._database.write(tenant_id) as unit:
            exports = TenantExportRepository(unit.session, tenant_id)
            export = await exports.find_locked(found[0].id)
            if export is not None:
                await exports.delete(export)
        return 1


class ResponseFiles:
    """Exports of the forms' responses, reports on them and their tables in the lake: each erased batch has ordered a
    job that takes it out of them, and what is left is to wait for these."""

    place = "response_export"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove_some(self, tenant_id: str, form_ids: Collection[str]) -> int:
        async with self._database.read(tenant_id) as unit:
            jobs = JobRepository(unit.session, tenant_id)
            # The one for reports is ordered by the other one before that ends.
            if await jobs.has_unfinished(FORGET) or await jobs.has_unfinished(FORGET_REPORTS):
                raise Retry("Files that hold responses of the person are being written anew.", after_s=_SOON_S)
        return 0


class SearchIndexes:
    """Indexes of the forms' answers by meaning. Who makes one meanwhile looks once more and removes it."""

    place = "search_index"

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def remove_some(self, tenant_id: str, form_ids: Collection[str]) -> int:
        removed = 0
        for form_id in sorted(form_ids):
            while count := await self._objects.delete_some(object_key(tenant_id, SEARCH, form_id)):
                removed += count
        return removed


class LearnedResponses:
    """Versions of classifiers that learned from responses which are gone: a job removes them and has others trained.
    One that is being trained may still learn from them, so it is waited for."""

    place = "classifier_version"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove_some(self, tenant_id: str, form_ids: Collection[str]) -> int:
        async with self._database.write(tenant_id) as unit:
            jobs = JobRepository(unit.session, tenant_id)
            is_learning = any([await jobs.has_unfinished(kind) for kind in (TRAIN, FORGET_LEARNED)])
            outlived = await ClassifierRepository(unit.session, tenant_id).outlived()
            if outlived:
                spec = JobSpec(FORGET_LEARNED, {}, "system:tenancy", active_key=FORGET_LEARNED)
                await enqueue(unit, spec)
        if outlived or is_learning:
            raise Retry("Classifiers that learned from the person are removed.", after_s=_SOON_S)
        return 0
