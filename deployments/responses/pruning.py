"""Purging what has lain in the trash long enough, and what nobody went on with: once a day."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import groupby
from typing import Final

from db.repositories.response_trash import ResponseTrashDirectory, ResponseTrashRepository
from db.repositories.responses import PARTIAL, ResponseRepository
from db.repositories.resume_tokens import ResumeTokenDirectory, ResumeTokenRepository
from db.repositories.visits import VisitDirectory
from db.session import Database
from db.types import utc_now
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.principal import Principal
from deployments.responses import trash
from deployments.responses.settings import TRASH_LIFE
from eventing.jobs import LOWEST

PRUNE: Final = "responses.prune"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Purge responses whose time is over.", "platform:admin", priority=LOWEST, standing=DAILY
)

_ACTOR: Final = "responses"
_BATCH: Final = 200
_FORMS: Final = 500


async def prune(database: Database, is_over: Callable[[], bool]) -> dict[str, int]:
    """Purge what is due, a bounded batch in each transaction, until nothing is left or it `is_over`; how much of each
    there was."""
    return {
        "trashed": await _trashed(database, is_over),
        "abandoned": await _abandoned(database, is_over),
        "outlived": await _outlived(database, is_over),
        "tokens": await _tokens(database, is_over),
        "visits": await _visits(database, is_over),
    }


async def _trashed(database: Database, is_over: Callable[[], bool]) -> int:
    before = utc_now() - TRASH_LIFE
    purged = 0
    forms: Iterable[tuple[str, str]] = [("", "")]
    while forms and not is_over():
        async with database.unscoped_read() as unit:
            forms = await ResponseTrashDirectory(unit.session).due_in_any_tenant(before, _FORMS)
        for tenant_id, form_id in forms:
            batch = _BATCH
            while batch == _BATCH and not is_over():
                async with database.write(tenant_id) as unit:
                    ids = await ResponseTrashRepository(unit.session, tenant_id).due(form_id, before, _BATCH)
                    rows = await ResponseRepository(unit.session, tenant_id).chosen(form_id, ids)
                    # Somebody may have brought one back meanwhile.
                    due = [row for row in rows if row.deleted_at is not None and row.deleted_at <= before]
                    await trash.purge(unit, Principal.system(tenant_id, _ACTOR), due)
                batch = len(ids)
                purged += len(due)
    return purged


async def _outlived(database: Database, is_over: Callable[[], bool]) -> int:
    """R8: what a form keeps for a time only."""
    purged = 0
    after = ("", "")
    while not is_over():
        async with database.unscoped_read() as unit:
            forms = await ResponseTrashDirectory(unit.session).limited_in_any_tenant(after, _FORMS)
        for tenant_id, form_id, days in forms:
            before = utc_now() - timedelta(days=days)
            batch = _BATCH
            while batch == _BATCH and not is_over():
                async with database.write(tenant_id) as unit:
                    ids = await ResponseTrashRepository(unit.session, tenant_id).outlived(form_id, before, _BATCH)
                    rows = await ResponseRepository(unit.session, tenant_id).chosen(form_id, ids)
                    await trash.purge(unit, Principal.system(tenant_id, _ACTOR), rows)
                batch = len(ids)
                purged += len(rows)
        if len(forms) < _FORMS:
            break
        after = forms[-1][:2]
    return purged


async def _abandoned(database: Database, is_over: Callable[[], bool]) -> int:
    purged = 0
    batch = _BATCH
    while batch == _BATCH and not is_over():
        now = utc_now()
        async with database.unscoped_read() as unit:
            found = await ResumeTokenDirectory(unit.session).abandoned_in_any_tenant(now, _BATCH)
        batch = len(found)
        for (tenant_id, form_id), group in groupby(found, key=lambda entry: entry[:2]):
            async with database.write(tenant_id) as unit:
                tokens = ResumeTokenRepository(unit.session, tenant_id)
                rows = await ResponseRepository(unit.session, tenant_id).chosen(form_id, [id_ for *_, id_ in group])
                # Somebody may have gone on meanwhile.
                due = [
                    row
                    for row in rows
                    if row.status == PARTIAL
                    and (token := await tokens.get(row.id)) is not None
                    and token.expires_at <= now
                ]
                await trash.purge(unit, Principal.system(tenant_id, _ACTOR), due)
            purged += len(due)
    return purged


async def _tokens(database: Database, is_over: Callable[[], bool]) -> int:
    removed = 0
    batch = _BATCH
    while batch == _BATCH and not is_over():
        async with database.unscoped_write() as unit:
            batch = await ResumeTokenDirectory(unit.session).remove_used_in_any_tenant(utc_now(), _BATCH)
        removed += batch
    return removed


async def _visits(database: Database, is_over: Callable[[], bool]) -> int:
    """What is remembered of visitors' addresses and captchas."""
    removed = 0
    batch = _BATCH
    while batch == _BATCH and not is_over():
        async with database.unscoped_write() as unit:
            batch = await VisitDirectory(unit.session).forget_in_any_tenant(utc_now(), _BATCH)
        removed += batch
    return removed
