"""The indexer: brings changed responses to the index in the background, piece by piece, every tenant in turn.

Queries are exact without it; it makes them fast. So it may lag, be killed, and run twice.
"""

import asyncio
import time
from dataclasses import replace
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError

from db.repositories.answer_index import AnswerIndexDirectory, AnswerIndexRepository, Entry, Piece
from db.repositories.answer_values import moment_of
from db.repositories.responses import QUARANTINED
from db.session import Database
from deployments.responses.errors import FormNotFound
from deployments.responses.query.forms import SearchedForm, SearchedForms
from eventing.leadership import Leadership
from eventing.pace import Pace

INDEXER: Final = "answer-index"
AT_LEAST: Final = 2_000
"""Forms with fewer responses need no index: reading all of them is as fast."""

_FORMS: Final = 100
_ENTRIES: Final = 50_000
_POLL_S: Final = 1.0
_STOP_S: Final = 5.0

_log = structlog.get_logger(__name__)


class AnswerIndexer:
    """Keeps the indexes of all forms. Several are harmless; the lease keeps one at work."""

    def __init__(
        self, database: Database, *, at_least: int = AT_LEAST, piece: int | None = None, rest: bool = True
    ) -> None:
        """`piece`: responses in one transaction, by default few on SQLite, where submissions wait for it. `rest`:
        leave half of the time to others while a form is being answered."""
        self._database = database
        self._forms = SearchedForms()
        self._at_least = at_least
        self._piece = piece or (200 if database.is_sqlite else 1_000)
        self._rest = rest
        self._changes: dict[tuple[str, str], int] = {}
        self._leadership = Leadership(database, INDEXER)
        self._pace = Pace(_POLL_S)
        self._finished = asyncio.Event()
        self._finished.set()

    async def run(self) -> None:
        """Index until `stop`. Never raises because of the database: it keeps trying, with back-off."""
        self._finished.clear()
        try:
            while not self._pace.is_stopped:
                try:
                    progress = await self._leadership.acquire() and await self.round()
                except Exception as error:  # noqa: BLE001 - an indexer that ends is worse than one that tries again
                    _log.warning("indexer failed", error=str(error) or type(error).__name__)
                    await self._pace.back_off()
                    continue
                self._pace.succeed()
                if not progress:
                    await self._pace.rest()
        finally:
            self._finished.set()

    async def stop(self) -> None:
        """End `run` after its current piece and give the lease back."""
        self._pace.stop()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._finished.wait()
            if self._leadership.is_held:
                await self._leadership.release()
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself
            _log.warning("indexer lease not released", error=str(error) or type(error).__name__)

    async def round(self) -> bool:
        """One piece of each form that is behind; whether there was any."""
        after = ("", "")
        progress = False
        # Whose last change is what it was in the round before is not being answered now.
        before, self._changes = self._changes, {}
        while not self._pace.is_stopped:
            async with self._database.unscoped_read() as unit:
                forms = await AnswerIndexDirectory(unit.session).behind(self._at_least, _FORMS, after)
            for form in forms:
                began = time.monotonic()
                changes = await self._advance(*form)
                if changes is not None:
                    progress = True
                    self._changes[form] = changes
                if self._rest and before.get(form) != changes:
                    await asyncio.sleep(time.monotonic() - began)
                if self._pace.is_stopped or not await self._leadership.acquire():
                    return progress
            if len(forms) < _FORMS:
                return progress
            after = forms[-1]
        return progress

    async def _advance(self, tenant_id: str, form_id: str) -> int | None:
        """Bring one piece of a form to the index; the number of the form's last change, None when nothing was done."""
        try:
            async with self._database.read(tenant_id) as unit:
                form = await self._forms.get(unit, form_id)
                repository = AnswerIndexRepository(unit.session, tenant_id, form_id, form.rules)
                piece = await repository.read(self._piece, up_to_version=form.version)
            if not piece.is_needed:
                return None
            piece, entries = await asyncio.to_thread(_entries, form, piece)
            async with self._database.write(tenant_id) as unit:
                repository = AnswerIndexRepository(unit.session, tenant_id, form_id, form.rules)
                return piece.changes if await repository.write(piece, entries) else None
        except (FormNotFound, IntegrityError):
            return None  # the form was deleted meanwhile


def _entries(form: SearchedForm, piece: Piece) -> tuple[Piece, list[Entry]]:
    """The entries of a piece, which ends earlier when they become very many: long texts have thousands of words."""
    entries: list[Entry] = []
    for place, row in enumerate(piece.responses, 1):
        if row.deleted_at is None and row.status != QUARANTINED:
            moment, response_id = moment_of(row.submitted_at), row.id
            entries += [(series, value, moment, response_id) for series, value in form.entries(row)]
        if len(entries) >= _ENTRIES and place < len(piece.responses):
            piece = replace(piece, ends=row.change, responses=piece.responses[:place])
            break
    entries.sort()
    return piece, entries
