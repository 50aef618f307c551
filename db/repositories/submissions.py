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
from db.models.responses import IdempotencyKey, Response
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
        changes=col(FormCounter.changes) + bindparam("more"),
    )
    .returning(col(FormCounter.responses), col(FormCounter.changes))
)


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated response ready to be stored: its rows, the form's limit, its files and the client's key."""

    tenant_id: str
    form_id: str
    response: dict[str, Any]
    event: dict[str, Any]
    limit: int | None = None
    files: tuple[FileClaim, ...] = ()
    key: dict[str, Any] | None = None
    imported: dict[str, Any] | None = None


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


Outcome = Stored | Replayed | LimitReached


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
        accepted = _within_limits(connection, tenant_id, submissions, fresh, outcomes)
        _insert(connection, [submissions[index] for index in accepted])
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


def _within_limits(
    connection: Connection,
    tenant_id: str,
    submissions: Sequence[Submission],
    indexes: list[int],
    outcomes: list[Outcome | Exception],
) -> list[int]:
    indexes = _with_files(connection, tenant_id, submissions, indexes, outcomes)
    by_form: dict[str, list[int]] = defaultdict(list)
    for index in indexes:
        by_form[submissions[index].form_id].append(index)
    refused: set[int] = set()
    for form_id in sorted(by_form):
        mine = by_form[form_id]
        total, changes = _count(connection, tenant_id, form_id, len(mine))
        for change, index in enumerate(mine, changes - len(mine) + 1):
            submissions[index].response["change"] = change
        limit = submissions[mine[-1]].limit
        over = 0 if limit is None else min(max(total - limit, 0), len(mine))
        if over:
            _count(connection, tenant_id, form_id, -over)
            for index in mine[-over:]:
                outcomes[index] = LimitReached()
            refused.update(mine[-over:])
    if without := [submissions[index].response["id"] for index in refused if submissions[index].files]:
        release_files(connection, tenant_id, without)
    return [index for index in indexes if index not in refused]


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


def _count(connection: Connection, tenant_id: str, form_id: str, more: int) -> tuple[int, int]:
    row = connection.execute(_COUNT, {"tenant": tenant_id, "form": form_id, "more": more}).one_or_none()
    return (0, 0) if row is None else (row.responses, row.changes)


def _insert(connection: Connection, submissions: Sequence[Submission]) -> None:
    if not submissions:
        return
    connection.execute(_INSERT_RESPONSE, [submission.response for submission in submissions])
    connection.execute(_INSERT_EVENT, [submission.event for submission in submissions])
    if keys := [submission.key for submission in submissions if submission.key is not None]:
        connection.execute(_INSERT_KEY, keys)
    if imported := [submission.imported for submission in submissions if submission.imported is not None]:
        connection.execute(_INSERT_IMPORTED, imported)


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
