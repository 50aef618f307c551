"""Bringing a dump in, collection by collection, in small transactions: what one of them did stays done."""

from pathlib import Path
from typing import Any, Final

from deployments.imports.legacy import answers, attachments
from deployments.imports.legacy.accounts import Accounts
from deployments.imports.legacy.attachments import FileSource
from deployments.imports.legacy.dump import FILES, GRID_CHUNKS, VERSIONS, Dump
from deployments.imports.legacy.form_making import OF_VERSIONS, FormMaking
from deployments.imports.legacy.ledger import Ledger, batches
from deployments.imports.legacy.report import REFUSED, Report
from deployments.imports.legacy.response_taking import FORM_MISSING, RESPONSE_MISSING, ResponseTaking
from deployments.imports.legacy.spool import Spool
from deployments.imports.legacy.survey import Survey

_AT_ONCE: Final = 500


class Importer:
    """Takes a dump through a ledger. `files` is the folder where files lie."""

    def __init__(self, ledger: Ledger, dump: Dump, survey: Survey, files: Path) -> None:
        self._ledger = ledger
        self._dump = dump
        self._survey = survey
        self._folder = files

    async def run(self, folder: Path) -> Report:
        """Go through the dump; `folder` is for what is needed out of its order. Raises what the database raises."""
        self._ledger.report.unread = dict(self._survey.unread)
        with Spool(folder) as spool:
            await Accounts(self._ledger, self._dump).run()
            self._put_aside(spool)
            forms = FormMaking(self._ledger, self._dump, self._survey)
            await forms.run(spool)
            await self._rest(spool, OF_VERSIONS, FORM_MISSING)
            taking = ResponseTaking(self._ledger, self._dump, self._survey, forms.made)
            await taking.run(spool, FileSource(spool, self._folder))
            for shelf in (attachments.OF_RESPONSE, attachments.BY_ID):
                await self._rest(spool, shelf, RESPONSE_MISSING)
        return self._ledger.report

    def _put_aside(self, spool: Spool) -> None:
        """Keep what is needed out of its order: versions until their form comes, files until their response does."""
        for document in self._dump.documents(VERSIONS):
            spool.put_document(OF_VERSIONS, answers.form_of(document.members), document)
        for document in self._dump.documents(FILES):
            of = attachments.response_of(document.body)
            if of:
                spool.put_document(attachments.OF_RESPONSE, of, document)
            else:
                spool.put_document(attachments.BY_ID, document.source_id, document)
        for raw in self._dump.raw(GRID_CHUNKS):
            attachments.keep_chunk(spool, raw.body)

    async def _rest(self, spool: Spool, shelf: str, reason: str) -> None:
        """What belongs to nothing that is there."""
        for batch in batches(spool.left(shelf), _AT_ONCE):
            rows: list[dict[str, Any]] = []
            async with self._ledger.unit() as unit:
                known = await self._ledger.known(unit, batch[0].collection, batch)
                for document in batch:
                    if self._ledger.fresh(document, known, rows):
                        self._ledger.end(document, REFUSED, reason, rows)
                await self._ledger.keep(unit, rows)
