"""Accounts of a dump, in batches: made, linked to those that are there, or reported."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.session import UnitOfWork
from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy import people
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.dump import USERS, Dump
from deployments.imports.legacy.ledger import MOST_NAMES, Ledger, batches, kept_json
from deployments.imports.legacy.people import Person
from deployments.imports.legacy.report import LINKED, MADE, REFUSED, SKIPPED
from deployments.kit.carrying import Carried

_EMAIL_TAKEN: Final = "email.taken"
_EMAIL_BAD: Final = "email.unreadable"
_PEOPLE: Final = 100


class Accounts:
    """Brings the people of a dump in."""

    def __init__(self, ledger: Ledger, dump: Dump) -> None:
        self._ledger = ledger
        self._dump = dump
        self._emails: dict[str, str] = {}

    async def run(self) -> None:
        """All of them."""
        done = 0
        for batch in batches(self._dump.documents(USERS), _PEOPLE):
            rows: list[dict[str, Any]] = []
            async with self._ledger.unit() as unit:
                known = await self._ledger.known(unit, USERS, batch)
                fresh = [each for each in batch if self._ledger.fresh(each, known, rows)]
                for source_id, row in known.items():
                    if row.new_id:
                        self._ledger.people[source_id] = row.new_id
                await self._accounts(unit, fresh, rows)
                await self._ledger.keep(unit, rows)
            done += len(batch)
            self._ledger.progress(USERS, done)

    async def _accounts(self, unit: UnitOfWork | None, fresh: Sequence[Document], rows: list[dict[str, Any]]) -> None:
        new: dict[str, tuple[Document, Person]] = {}
        linked: list[tuple[Document, Person, str]] = []
        found = [(each, people.translate(each, owners=self._ledger.new_tenant)) for each in fresh]
        emails = {self._ledger.intake.people.normal_email(person.user.email) for _, person in found}
        taken = {} if unit is None else await self._ledger.intake.people.find(unit, emails)
        for document, person in found:
            email = self._ledger.intake.people.normal_email(person.user.email)
            if not email:
                self._ledger.end(document, REFUSED, _EMAIL_BAD, rows, person.notes)
            elif email not in taken and email not in new and email not in self._emails:
                new[email] = (document, person)
            elif self._ledger.options.on_email_conflict == "link":
                linked.append((document, person, email))
            elif self._ledger.options.on_email_conflict == "skip":
                self._ledger.end(document, SKIPPED, _EMAIL_TAKEN, rows, person.notes)
            else:
                free = await self._free_email(unit, email, new)
                new[free] = (document, people.renamed(person, free))
        await self._make_accounts(unit, new, rows)
        for document, person, email in linked:
            self._link(document, person, taken.get(email) or self._emails.get(email), rows)

    async def _make_accounts(
        self, unit: UnitOfWork | None, new: Mapping[str, tuple[Document, Person]], rows: list[dict[str, Any]]
    ) -> None:
        carried = [Carried(f"usr_{document.source_id}") for document, _ in new.values()]
        if unit is not None and self._ledger.run_id is not None:
            users = [person.user for _, person in new.values()]
            carried = await self._ledger.intake.people.take_in(unit, self._ledger.principal, users)
        for (email, (document, person)), outcome in zip(new.items(), carried, strict=True):
            if outcome.problem:
                self._ledger.end(document, REFUSED, outcome.problem, rows, person.notes)
                continue
            self._ledger.people[document.source_id] = self._emails[email] = outcome.id
            made: dict[str, Any] = {"new_id": outcome.id, "stored": outcome.stored, "extra": kept_json(person.extra)}
            self._ledger.end(document, MADE, "", rows, person.notes, **made)

    def _link(self, document: Document, person: Person, account: str | None, rows: list[dict[str, Any]]) -> None:
        if account is None:
            # The first of them was refused, and so is this one.
            self._ledger.end(document, REFUSED, _EMAIL_TAKEN, rows, person.notes)
            return
        self._ledger.people[document.source_id] = account
        self._ledger.end(
            document, LINKED, _EMAIL_TAKEN, rows, person.notes, new_id=account, extra=kept_json(person.extra)
        )

    async def _free_email(self, unit: UnitOfWork | None, email: str, new: Mapping[str, Any]) -> str:
        name, _, domain = email.rpartition("@")
        for number in range(2, MOST_NAMES):
            candidate = f"{name}+legacy{number}@{domain}"
            if candidate in new or candidate in self._emails:
                continue
            if unit is None or not await self._ledger.intake.people.find(unit, {candidate}):
                return candidate
        raise FileUnreadable("Too many accounts have the same e-mail.")
