"""Removing jobs that ended long ago, over all tenants. For unscoped transactions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select, tuple_
from sqlmodel import col

from db.models.jobs import Job


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many jobs were removed, and the last that was looked at; None when there are no more."""

    removed: int
    last: tuple[str, str] | None


def remove_finished(
    connection: Connection, before: Mapping[str, datetime], after: tuple[str, str], limit: int
) -> Pruned:
    """Look at the next `limit` jobs after this tenant and id, and remove those that ended `before` the moment that
    counts for their state. A job that was ordered again meanwhile is none of them."""
    key = tuple_(col(Job.tenant_id), col(Job.id))
    is_over = or_(*(and_(col(Job.state) == state, col(Job.finished_at) < moment) for state, moment in before.items()))
    found = select(col(Job.tenant_id), col(Job.id), is_over).where(key > after).order_by(*key.clauses).limit(limit)
    rows = [(tenant_id, job_id, over) for tenant_id, job_id, over in connection.execute(found)]
    last = (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
    over = [(tenant_id, job_id) for tenant_id, job_id, is_so in rows if is_so]
    if not over:
        return Pruned(0, last)
    removed = connection.execute(delete(Job).where(key.in_(over), is_over))
    return Pruned(removed.rowcount, last)
