"""Changing answers that were submitted: every version is kept, with who made it, when and why (R3)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from db.models.response_life import ResponseVersion
from db.models.responses import Response
from db.repositories.response_versions import ResponseVersionRepository
from db.repositories.responses import COMPLETE, ResponseRepository
from db.repositories.verdicts import VerdictRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.engine import CompiledForm
from deployments.kit.errors import Fault
from deployments.kit.principal import Principal
from deployments.responses.attaching import attach, claims_by
from deployments.responses.errors import InvalidAnswers, InvalidChange, NotComplete, RevisionNotFound, RevisionOutdated
from deployments.responses.life_contracts import AnswerChange, EditResponse, ResponseDiff, RevertResponse
from deployments.responses.masking import seen_verdicts
from deployments.responses.readmission import Readmission
from eventing.events.responses import ResponseUpdated
from eventing.outbox import record

_MOST_FAULTS: Final = 100


def require_current(row: Response, if_match: int | None) -> None:
    """Raise RevisionOutdated unless the change is based on the revision that holds."""
    if if_match is not None and if_match != row.revision:
        raise RevisionOutdated(f"the response is at revision {row.revision}")


async def edit(
    unit: UnitOfWork,
    principal: Principal,
    row: Response,
    command: EditResponse,
    rules: CompiledForm | None,
    hidden: Collection[str],
    readmission: Readmission,
) -> None:
    """Merge the answers by the `rules` of the version that they are to have; no new revision when nothing changes.

    `hidden` are the fields that the principal does not get to see, and so may not change. What was missing before, as
    in an import, may stay missing. Raises RevisionOutdated, NotComplete, InvalidAnswers, InvalidChange, QuotaReached.
    """
    require_current(row, command.if_match)
    _require_complete(row)
    version = command.version or row.version
    if rules is None or version < row.version:
        detail = "The form has no such later version."
        raise InvalidChange.at("/version", "version.unknown", detail)
    faults = [
        Fault(f"/answers/{name}", "personal", "You do not see this answer, so you may not change it.")
        for name in command.answers
        if name in hidden
    ]
    stored: Mapping[str, Any] = row.answers
    if version != row.version:
        known = {field.id for field in rules.definition.fields}
        stored = {name: value for name, value in stored.items() if name in known}
    answers, found = rules.check({**stored, **command.answers})
    if version == row.version and len(found) < _MOST_FAULTS:
        found = tuple(fault for fault in found if not _was_missing(fault, row.answers, command.answers))
    if faults or found:
        raise InvalidAnswers(faults=(*faults, *found))
    await attach(unit, row.form_id, row.id, claims_by(rules, answers))
    await _keep(unit, principal, row, answers, version, command.reason, readmission)


async def revert(
    unit: UnitOfWork, principal: Principal, row: Response, command: RevertResponse, readmission: Readmission
) -> None:
    """Let the answers of an earlier revision hold again, as a new one. Raises RevisionOutdated, RevisionNotFound,
    NotComplete, InvalidAnswers, QuotaReached."""
    require_current(row, command.if_match)
    _require_complete(row)
    version = await version_of(unit, row, command.revision)
    await _keep(unit, principal, row, version.answers, version.form_version, command.reason, readmission)


async def version_of(unit: UnitOfWork, row: Response, revision: int) -> ResponseVersion:
    """A version of the response's answers. Raises RevisionNotFound."""
    if row.revision == 1 and revision == 1:
        return _first(row)
    found = None
    if revision <= row.revision:
        found = await ResponseVersionRepository(unit.session, unit.tenant).find(row.id, revision)
    if found is None:
        raise RevisionNotFound
    return found


async def versions(unit: UnitOfWork, row: Response, before: int | None, limit: int) -> Sequence[ResponseVersion]:
    """The versions below the revision `before`, newest first."""
    if row.revision == 1:
        return [] if before is not None else [_first(row)]
    return await ResponseVersionRepository(unit.session, unit.tenant).page(row.id, before, limit)


async def diff(
    unit: UnitOfWork, row: Response, before: int | None, after: int | None, hidden: Collection[str]
) -> ResponseDiff:
    """What changed between two revisions, by default the latest two. Raises RevisionNotFound."""
    newer = await version_of(unit, row, after if after is not None else row.revision)
    older = await version_of(unit, row, before if before is not None else max(1, newer.revision - 1))
    names = _changed(older.answers, newer.answers)
    changes = [
        AnswerChange(field=name, before=None, after=None)
        if name in hidden
        else AnswerChange(field=name, before=older.answers.get(name), after=newer.answers.get(name))
        for name in names
    ]
    masked = [name for name in names if name in hidden]
    return ResponseDiff(before=older.revision, after=newer.revision, changes=changes, masked=masked)


def _require_complete(row: Response) -> None:
    if row.status != COMPLETE:
        raise NotComplete


def _was_missing(fault: Fault, stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    name = fault.pointer.removeprefix("/answers/")
    return fault.code == "required" and name not in stored and name not in given


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


async def _keep(
    unit: UnitOfWork,
    principal: Principal,
    row: Response,
    answers: dict[str, Any],
    version: int,
    reason: str | None,
    readmission: Readmission,
) -> None:
    changed = _changed(row.answers, answers)
    if not changed and version == row.version:
        return
    await readmission.require(unit, row, answers, row.answers)
    now = utc_now()
    repository = ResponseVersionRepository(unit.session, unit.tenant)
    if row.revision == 1:
        repository.add(_first(row))
    row.revision += 1
    row.answers, row.version, row.updated_at = answers, version, now
    # What was said of other answers does not hold any more.
    row.inference = seen_verdicts(row.inference, changed) or None
    await VerdictRepository(unit.session, unit.tenant).forget_vectors(row.id, changed)
    repository.add(
        ResponseVersion(
            tenant_id=unit.tenant,
            response_id=row.id,
            revision=row.revision,
            form_version=version,
            answers=answers,
            made_by=principal.subject,
            made_at=now,
            reason=reason,
        )
    )
    row.change = await ResponseRepository(unit.session, unit.tenant).next_change(row.form_id)
    fact = ResponseUpdated(
        response_id=row.id, form_id=row.form_id, form_version=version, revision=row.revision, changed=changed
    )
    record(unit, fact, actor=principal.subject, origin=principal.origin)


def _first(row: Response) -> ResponseVersion:
    """The version that a response is which was never edited."""
    return ResponseVersion(
        tenant_id=row.tenant_id,
        response_id=row.id,
        revision=1,
        form_version=row.version,
        answers=row.answers,
        made_by=row.submitted_by,
        made_at=row.submitted_at,
    )
