"""Store submissions many at a time: the hot path, in Core statements without ORM objects."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, tuple_, update
from sqlmodel import col

from db.models.events import Event
from db.models.forms import FormCounter
from db.models.imports import ImportedRow
from db.models.response_life import ResumeToken
from db.models.responses import IdempotencyKey, Response
from db.repositories.admission import NO_WISH, Admissions, ClaimTaken, QuotaFull, Regime, RegimeOutdated, Wish
from db.repositories.files import Attachment, FileClaim, attach_files, release_files
from db.session import bind_tenant

_INSERT_RESPONSE = insert(Response)
_INSERT_EVENT = insert(Event)
_INSERT_KEY = insert(IdempotencyKey)
_INSERT_IMPORTED = insert(ImportedRow)
_COUNT = (
    update(FormCounter)
    .where(
        col(FormCounter.tenant_id) == bindparam("tenant"),
        col(FormCounter.form_id) == bindparam("form"),
    )
    .values(
        responses=col(FormCounter.responses) + bindparam("more"),
        changes=col(FormCounter.changes) + bindparam("changed"),
    )
    .returning(col(FormCounter.responses), col(FormCounter.changes))
)


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated response ready to be stored: its rows, the form's limit, its files and the client's key.

    `regime` are the form's rules for what it admits once or so often, where it has any, and `wish` what they ask of
    this response. What does not count takes no place in the form's limit.
    """

    tenant_id: str
    form_id: str
    response: dict[str, Any]
    event: dict[str, Any]
    limit: int | None = None
    regime: Regime | None = None
    wish: Wish = NO_WISH
    counts: bool = True
    files: tuple[FileClaim, ...] = ()
    key: dict[str, Any] | None = None
    imported: dict[str, Any] | None = None
    completes: "Completion | None" = None


@dataclass(frozen=True, slots=True)
class Completion:
    """The row is there, as a partial response: at which change it was read, and what the call is known by later."""

    change: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The response's own row was written."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The key had been used before with this fingerprint: `result` is the answer of that time."""

    fingerprint: str
    result: dict[str, Any]


class LimitReached(Exception):
    """The form holds as many responses as it may."""


class Overtaken(Exception):
    """The partial response was changed since it was read, or is gone."""


Outcome = Stored | Replayed | LimitReached | Overtaken | ClaimTaken | QuotaFull | RegimeOutdated


def store_submissions(connection: Connection, submissions: Sequence[Submission]) -> list[Outcome | Exception]:
    """Write all of them in the open transaction; an outcome for each, in order.

    Limits are exact (R9): the counter row is locked by its update until the commit. Tenants and forms are taken in
    order, so two writers never wait for each other in a circle.
    """
    outcomes: list[Outcome | Exception] = [_STORED] * len(submissions)
    by_tenant: dict[str, list[int]] = defaultdict(list)
    for index, submission in enumerate(submissions):
        by_tenant[submission.tenant_id].append(index)
    for tenant_id in sorted(by_tenant):
        bind_tenant(connection, tenant_id)
        fresh = _without_known_keys(connection, tenant_id, submissions, by_tenant[tenant_id], outcomes)
        current = _not_overtaken(connection, tenant_id, submissions, fresh, outcomes)
        accepted, admissions = _within_limits(connection, tenant_id, submissions, current, outcomes)
        _insert(connection, [submissions[index] for index in accepted])
        for each, changes in admissions:
            each.write(changes)
    return outcomes


_STORED = Stored()


def _without_known_keys(
    connection: Connection,
    tenant_id: str,
    submissions: Sequence[Submission],
    indexes: list[int],
    outcomes: list[Outcome | Exception],
) -> list[int]:
    wanted = {(key["scope"], key["key"]) for i in indexes if (key := submissions[i].key) is not None}
    if not wanted:
        return indexes
    known = _find_keys(connection, tenant_id, wanted)
    fresh: list[int] = []
    for index in indexes:
        key = submissions[index].key
        if key is None:
            fresh.append(index)
        elif (found := known.get((key["scope"], key["key"]))) is not None:
            outcomes[index] = found
        else:
            known[key["scope"], key["key"]] = Replayed(key["fingerprint"], key["result"])
            fresh.append(index)
    return fresh


def _find_keys(
    connection: Connection, tenant_id: str, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Replayed]:
    rows = connection.execute(
        select(
            col(IdempotencyKey.scope),
            col(IdempotencyKey.key),
            col(IdempotencyKey.fingerprint),
            col(IdempotencyKey.result),
        ).where(
            col(IdempotencyKey.tenant_id) == tenant_id,
            tuple_(col(IdempotencyKey.scope), col(IdempotencyKey.key)).in_(list(wanted)),
        )
    )
    return {(scope, key): Replayed(fingerprint, result) for scope, key, fingerprint, result in rows}


def find_key(connection: Connection, tenant_id: str, scope: str, key: str) -> Replayed | None:
    """What was answered under a client's key, if it was used."""
    return (_find_keys(connection, tenant_id, [(scope, key)])).get((scope, key))


def _not_overtaken(
    connection: Connection,
    tenant_id: str,
    submissions: Sequence[Submission],
    indexes: list[int],
    outcomes: list[Outcome | Exception],
) -> list[int]:
    """Lock the partial responses that are completed, before the counters as everybody does; leave out what is stale."""
    read = {submissions[i].response["id"] for i in indexes if submissions[i].completes is not None}
    if not read:
        return indexes
    rows = connection.execute(
        select(col(Response.id), col(Response.change))
        .where(
            col(Response.tenant_id) == tenant_id,
            col(Response.id).in_(read),
            col(Response.status) == "partial",
            col(Response.deleted_at).is_(None),
        )
        .order_by(col(Response.id))
        .with_for_update()
    )
    changes = {row.id: row.change for row in rows}
    current: list[int] = []
    for index in indexes:
        submission = submissions[index]
        # Removed, so that of two completions in one group the second is overtaken by the first.
        completes = submission.completes
        if completes is None or changes.pop(submission.response["id"], None) == completes.change:
            current.append(index)
        else:
            outcomes[index] = Overtaken()
    return current


def _within_limits(
    connection: Connection,
    tenant_id: str,
    submissions: Sequence[Submission],
    indexes: list[int],
    outcomes: list[Outcome | Exception],
) -> tuple[list[int], list[tuple[Admissions, int]]]:
    indexes = _with_files(connection, tenant_id, submissions, indexes, outcomes)
    by_form: dict[str, list[int]] = defaultdict(list)
    for index in indexes:
        by_form[submissions[index].form_id].append(index)
    accepted: set[int] = set()
    admissions: list[tuple[Admissions, int]] = []
    for form_id in sorted(by_form):
        mine = by_form[form_id]
        if all(submissions[index].counts and submissions[index].regime is None for index in mine):
            accepted.update(_taken(connection, tenant_id, form_id, submissions, mine, outcomes))
            continue
        found, admission = _admitted(connection, tenant_id, form_id, submissions, mine, outcomes)
        accepted.update(found)
        if admission is not None:
            admissions.append(admission)
    refused = [submissions[index] for index in indexes if index not in accepted]
    if without := [submission.response["id"] for submission in refused if submission.files]:
        release_files(connection, tenant_id, without)
    return [index for index in indexes if index in accepted], admissions


def _with_files(
    connection: Connection,
    tenant_id: str,
    submissions: Sequence[Submission],
    indexes: list[int],
    outcomes: list[Outcome | Exception],
) -> list[int]:
    """Give the responses their files; without those that may not have what they name."""
    asking = [index for index in indexes if submissions[index].files]
    if not asking:
        return indexes
    wanted = [
        Attachment(submissions[index].form_id, submissions[index].response["id"], submissions[index].files)
        for index in asking
    ]
    refused = set()
    for index, refusal in zip(asking, attach_files(connection, tenant_id, wanted), strict=True):
        if refusal is not None:
            outcomes[index] = refusal
            refused.add(index)
    return [index for index in indexes if index not in refused]


def _taken(
    connection: Connection,
    tenant_id: str,
    form_id: str,
    submissions: Sequence[Submission],
    mine: list[int],
    outcomes: list[Outcome | Exception],
) -> list[int]:
    """Those that find room, by one statement when all do."""
    total, changes = _count(connection, tenant_id, form_id, len(mine), len(mine))
    for change, index in enumerate(mine, changes - len(mine) + 1):
        submissions[index].response["change"] = change
    limit = submissions[mine[-1]].limit
    over = 0 if limit is None else min(max(total - limit, 0), len(mine))
    if not over:
        return mine
    _count(connection, tenant_id, form_id, -over, -over)
    for index in mine[-over:]:
        outcomes[index] = LimitReached()
    return mine[:-over]


def _admitted(
    connection: Connection,
    tenant_id: str,
    form_id: str,
    submissions: Sequence[Submission],
    mine: list[int],
    outcomes: list[Outcome | Exception],
) -> tuple[list[int], tuple[Admissions, int] | None]:
    """Those that find room and are admitted, one after the other; what is left to be written, and at which change."""
    # Holds the counter, so what is read of the form afterwards stays true.
    total, changes = _count(connection, tenant_id, form_id, 0, 0)
    regimes = [regime for index in mine if (regime := submissions[index].regime) is not None]
    newest = max(regimes, key=lambda regime: regime.revision, default=None)
    admissions: Admissions | None = None
    if newest is not None:
        try:
            admissions = Admissions(connection, tenant_id, form_id, newest, changes)
        except RegimeOutdated as error:
            for index in mine:
                outcomes[index] = error
            return [], None
        admissions.expect([submissions[index].wish for index in mine])
    accepted: list[int] = []
    places = 0
    for index in mine:
        submission = submissions[index]
        refusal = _refusal(submission, newest, admissions, total + places)
        if refusal is not None:
            outcomes[index] = refusal
            continue
        if admissions is not None and submission.counts:
            admissions.grant(submission.wish, submission.response["id"])
        places += submission.counts
        accepted.append(index)
        submission.response["change"] = changes + len(accepted)
    _count(connection, tenant_id, form_id, places, len(accepted))
    return accepted, None if admissions is None else (admissions, changes + len(accepted))


def _refusal(
    submission: Submission, newest: Regime | None, admissions: Admissions | None, held: int
) -> LimitReached | ClaimTaken | QuotaFull | RegimeOutdated | None:
    if not submission.counts:
        return None
    if submission.limit is not None and held >= submission.limit:
        return LimitReached()
    if admissions is None or newest is None:
        return None
    if submission.regime is None or submission.regime.digest != newest.digest:
        return RegimeOutdated()
    return admissions.refusal(submission.wish)


def _count(connection: Connection, tenant_id: str, form_id: str, more: int, changed: int) -> tuple[int, int]:
    values = {"tenant": tenant_id, "form": form_id, "more": more, "changed": changed}
    row = connection.execute(_COUNT, values).one_or_none()
    return (0, 0) if row is None else (row.responses, row.changes)


def _insert(connection: Connection, submissions: Sequence[Submission]) -> None:
    if not submissions:
        return
    # Those with the same columns together: nearly always all of them, in one statement.
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for submission in submissions:
        if submission.completes is None:
            rows.setdefault(tuple(submission.response), []).append(submission.response)
        else:
            _complete(connection, submission.response, submission.completes)
    for alike in rows.values():
        connection.execute(_INSERT_RESPONSE, alike)
    connection.execute(_INSERT_EVENT, [submission.event for submission in submissions])
    if keys := [submission.key for submission in submissions if submission.key is not None]:
        connection.execute(_INSERT_KEY, keys)
    if imported := [submission.imported for submission in submissions if submission.imported is not None]:
        connection.execute(_INSERT_IMPORTED, imported)


def _complete(connection: Connection, row: dict[str, Any], completion: Completion) -> None:
    tenant_id, response_id = row["tenant_id"], row["id"]
    connection.execute(
        update(Response).where(col(Response.tenant_id) == tenant_id, col(Response.id) == response_id).values(row)
    )
    connection.execute(
        update(ResumeToken)
        .where(col(ResumeToken.tenant_id) == tenant_id, col(ResumeToken.response_id) == response_id)
        .values(fingerprint=completion.fingerprint)
    )


def known_rows(connection: Connection, tenant_id: str, form_id: str, keys: Sequence[str]) -> set[str]:
    """Which of these rows of a source are in the form already."""
    rows = connection.scalars(
        select(col(ImportedRow.row_key)).where(
            col(ImportedRow.tenant_id) == tenant_id,
            col(ImportedRow.form_id) == form_id,
            col(ImportedRow.row_key).in_(list(keys)),
        )
    )
    return set(rows)
