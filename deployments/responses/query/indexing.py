"""The indexer: brings changed responses to the index in the background, piece by piece, every tenant in turn.

Queries are exact without it; it makes them fast. So it may lag, be killed, and run twice.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.exc import IntegrityError

from db.repositories.answer_index import AnswerIndexDirectory, AnswerIndexRepository, Entry, Piece
from db.repositories.answer_values import moment_of
from db.repositories.responses import QUARANTINED
from db.session import Database
from deployments.responses.errors import FormNotFound
from deployments.responses.query.forms import SearchedForm, SearchedForms
from eventing.duty import PAGE, Duty

INDEXER: Final = "answer-index"
AT_LEAST: Final = 2_000
"""Forms with fewer responses need no index: reading all of them is as fast."""

_ENTRIES: Final = 50_000


class AnswerIndexer(Duty):
    """Keeps the indexes of all forms."""

    def __init__(
        self, database: Database, *, at_least: int = AT_LEAST, piece: int | None = None, rest: bool = True
    ) -> None:
        """`piece`: responses in one transaction, by default few on SQLite, where submissions wait for it. `rest`:
        leave half of the time to others while a form is being answered."""
        super().__init__(database, INDEXER)
        self._forms = SearchedForms()
        self._at_least = at_least
        self._piece = piece or (200 if database.is_sqlite else 1_000)
        self._rest = rest
        self._changes: dict[tuple[str, str], int] = {}

    async def round(self) -> bool:
        """One piece of each form that is behind; whether there was any."""
        # Whose last change is what it was in the round before is not being answered now.
        before, self._changes = self._changes, {}

        async def advance(tenant_id: str, form_id: str) -> bool:
            began, form = time.monotonic(), (tenant_id, form_id)
            changes = await self._advance(tenant_id, form_id)
            if changes is not None:
                self._changes[form] = changes
            if self._rest and before.get(form) != changes:
                await asyncio.sleep(time.monotonic() - began)
            return changes is not None

        return await self._each_form(self._behind, advance)

    async def _behind(self, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            return await AnswerIndexDirectory(unit.session).behind(self._at_least, PAGE, after)

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
