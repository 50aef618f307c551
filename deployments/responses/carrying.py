"""Responses of another backend: each to the version that it answered, with its time, and told of as imported."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from db.repositories.files import FilesRefused
from db.repositories.response_origins import ResponseOriginRepository
from db.repositories.responses import PURGED, ResponseRepository
from db.repositories.submissions import LimitReached, Submission, store_submissions
from db.session import Database, UnitOfWork
from deployments.kit.carrying import Carried, TakenBack, checksum
from deployments.kit.file_fields import file_fields
from deployments.kit.principal import Principal
from deployments.kit.set_aside import set_aside
from deployments.responses import trash
from deployments.responses.contracts import CarriedResponse
from deployments.responses.errors import FormNotFound
from deployments.responses.published import PublishedForm, PublishedForms
from deployments.responses.submitting import new_submission
from eventing.outbox import EVENTS_TOPIC

CHANGED = "response.changed"
_FULL = "form.full"
_FORM_GONE = "form.gone"
_VERSION_GONE = "version.gone"


class CarriedResponses:
    """Takes responses in, and back. What it knows of forms holds while it lives, so it lives as long as one import."""

    def __init__(self, database: Database) -> None:
        self._forms = PublishedForms(database)
        self._versions: dict[tuple[str, int], PublishedForm | str] = {}

    async def take_in(
        self, unit: UnitOfWork, principal: Principal, responses: Sequence[CarriedResponse]
    ) -> list[Carried]:
        """What became of each, all in the unit's transaction. Answers that the form refuses stay beside the others."""
        outcomes: list[Carried] = []
        accepted: list[tuple[int, Submission]] = []
        for index, each in enumerate(responses):
            form = await self._version(unit, each.form_id, each.version)
            if isinstance(form, str):
                outcomes.append(Carried(problem=form))
                continue
            submission, notes = _submission(principal, form, each)
            accepted.append((index, submission))
            row = submission.response
            outcomes.append(Carried(row["id"], _checksum(row), notes=notes))
        connection = await unit.session.connection()
        stored = await connection.run_sync(store_submissions, [submission for _, submission in accepted])
        for (index, _), outcome in zip(accepted, stored, strict=True):
            if isinstance(outcome, FilesRefused):
                outcomes[index] = Carried(problem=outcome.refused[0][1])
            elif isinstance(outcome, LimitReached):
                outcomes[index] = Carried(problem=_FULL)
            elif isinstance(outcome, Exception):
                raise outcome
        unit.announce(EVENTS_TOPIC)
        return outcomes

    @staticmethod
    async def checksums(unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
        """The checksums of responses as they are now, by id; empty for those of which only a trace is left."""
        rows = await ResponseOriginRepository(unit.session, unit.tenant).contents(ids)
        return {row.id: "" if row.status == PURGED else _checksum(dict(row._mapping)) for row in rows}

    @staticmethod
    async def take_back(unit: UnitOfWork, principal: Principal, form_id: str, ids: Collection[str]) -> TakenBack:
        """Remove responses of a form for good, but those that somebody has worked on since."""
        origins = ResponseOriginRepository(unit.session, unit.tenant)
        touched = await origins.touched(form_id, ids)
        chosen = await ResponseRepository(unit.session, unit.tenant).chosen(form_id, ids)
        await trash.purge(unit, principal, [row for row in chosen if row.id not in touched])
        return TakenBack(frozenset(ids) - touched, dict.fromkeys(touched, CHANGED))

    async def _version(self, unit: UnitOfWork, form_id: str, version: int) -> PublishedForm | str:
        known = self._versions.get((form_id, version))
        if known is None:
            known = self._versions[form_id, version] = await self._load(unit, form_id, version)
        return known

    async def _load(self, unit: UnitOfWork, form_id: str, version: int) -> PublishedForm | str:
        try:
            form = await self._forms.get(unit.tenant, form_id=form_id)
        except FormNotFound:
            return _FORM_GONE
        rules = form.rules if version == form.version else await self._forms.rules(unit, form_id, version)
        if rules is None:
            return _VERSION_GONE
        return replace(form, version=version, rules=rules, files=file_fields(rules.definition.document()))


def _submission(
    principal: Principal, form: PublishedForm, given: CarriedResponse
) -> tuple[Submission, Mapping[str, str]]:
    answers, aside, notes = set_aside(form.rules, given.answers)
    meta = given.meta
    if aside:
        meta = {**meta, "set_aside": {**meta.get("set_aside", {}), **aside}}
    submission = new_submission(principal, form, answers, meta, given.submitted_at, imported=True)
    submission.response["submitted_by"] = given.submitted_by
    if given.started_at is not None:
        seconds = (given.submitted_at - given.started_at).total_seconds()
        submission.response.update(started_at=given.started_at, seconds=seconds)
    return submission, notes


def _checksum(row: Mapping[str, Any]) -> str:
    return checksum(
        *(row["form_id"], row["version"], row["status"], row["answers"], row["meta"], row["submitted_by"]),
        row["submitted_at"].isoformat(timespec="microseconds"),
    )
