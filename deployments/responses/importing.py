"""Responses that were given elsewhere: each taken once, however often its source is read."""

from db.repositories.files import FilesRefused
from db.repositories.submissions import LimitReached, Submission, known_rows, store_submissions
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportOutcome, ImportRow, RejectedRow
from deployments.responses.published import PublishedForm
from deployments.responses.submitting import new_submission
from eventing.outbox import EVENTS_TOPIC


async def import_rows(
    unit: UnitOfWork, principal: Principal, form: PublishedForm, rows: list[ImportRow]
) -> ImportOutcome:
    """Store the rows that are new and valid, all in the unit's transaction; tell what became of each other one."""
    connection = await unit.session.connection()
    known = await connection.run_sync(known_rows, unit.tenant, form.form_id, [row.key for row in rows])
    accepted: list[tuple[ImportRow, Submission]] = []
    rejected: list[RejectedRow] = []
    skipped = 0
    for row in rows:
        if row.key in known:
            skipped += 1
            continue
        known.add(row.key)
        answers, faults = form.rules.check(row.answers, partial=True)
        if faults:
            detail = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)
            rejected.append(RejectedRow(line=row.line, detail=detail[:1000]))
            continue
        moment = row.submitted_at or utc_now()
        accepted.append((row, new_submission(principal, form, answers, dict(row.meta), moment, import_key=row.key)))
    outcomes = await connection.run_sync(store_submissions, [submission for _, submission in accepted])
    for (row, _), outcome in zip(accepted, outcomes, strict=True):
        if isinstance(outcome, LimitReached):
            rejected.append(RejectedRow(line=row.line, detail="the form holds as many responses as it may"))
        elif isinstance(outcome, FilesRefused):
            named = "; ".join(f"{claim.pointer}: {code}" for claim, code in outcome.refused)
            rejected.append(RejectedRow(line=row.line, detail=named[:1000]))
    unit.announce(EVENTS_TOPIC)
    imported = sum(not isinstance(outcome, Exception) for outcome in outcomes)
    return ImportOutcome(imported=imported, skipped=skipped, rejected=sorted(rejected, key=lambda r: r.line))
