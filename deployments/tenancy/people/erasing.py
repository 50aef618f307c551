"""The job that erases one person, step by step, in small transactions.

Where it is, and what it has counted, is written in the transaction of the work: an attempt that dies is taken up where
it was, and nothing is counted twice. Each step only begins when the one before is over:

    find     note the person's responses, in every form, version and state
    erase    purge them, with all that belongs to them
    retell   empty what stored events say of the person
    stream   when every consumer is done with the messages of before, remove those that told of people
    effects  empty what was made of the events: deliveries, dead letters, letters
    letters  remove the person's mails, and finished jobs that name them
    copies   remove files that somebody took of the tenant's responses
    files    wait until the files are gone
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import orjson

from db.models.people import PersonErasure
from db.repositories.admission import release_claims
from db.repositories.person_data import PersonDataRepository, Retold, Told
from db.repositories.person_erasures import FILE, RESPONSE, PersonErasureRepository, PersonTraceRepository
from db.repositories.response_trash import ResponseTrashRepository
from db.repositories.responses import ResponseRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.exports.contracts import FORGET
from deployments.kit.vault import Vault
from deployments.tenancy.people.copies import Copies
from deployments.tenancy.people.orders import ERASE_PERSON, QUEUE, to_receipt
from deployments.tenancy.people.stream import EventStream
from deployments.tenancy.people.subject import Subject
from deployments.tenancy.receipts import Signer
from eventing.errors import EventingError
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponsePurged
from eventing.events.tenancy import PersonErased
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue
from eventing.outbox import record
from eventing.redaction import TELLING, redacted

_READ: Final = 500
_ERASED: Final = 100
_TOLD: Final = 200
_SOON_S: Final = 2.0
_NATS_AWAY_S: Final = 30.0
_STEPS: Final = ("find", "erase", "retell", "stream", "effects", "letters", "copies", "files", "end")
_DRY: Final = ("find", "count", "end")

_VERSIONS: Final = "versions"

Step: TypeAlias = Callable[[JobRun, PersonErasure], Awaitable[bool]]
"""Does a piece of the step; whether the step is over."""


class ErasePerson:
    """Erases one person; run again, it goes on from where it was."""

    def __init__(
        self,
        database: Database,
        copies: Sequence[Copies],
        signer: Signer,
        vault: Vault,
        stream: EventStream,
        *,
        read: int = _READ,
        erased: int = _ERASED,
        told: int = _TOLD,
    ) -> None:
        """`read`, `erased` and `told` bound what one transaction takes of answers, responses and events."""
        self._database = database
        self._copies = copies
        self._signer = signer
        self._vault = vault
        self._stream = stream
        self._read, self._erased, self._told = read, erased, told
        self._pieces: Mapping[str, Step] = {
            "find": self._find,
            "count": self._count,
            "erase": self._erase,
            "retell": self._retell,
            "stream": self._forget,
            "effects": self._clear_effects,
            "letters": self._remove_letters,
            "copies": self._remove_copies,
            "files": self._await_files,
            "end": self._end,
        }

    async def run(self, job: JobRun) -> Done:
        """Do what is left to do. Raises Retry while something has to be waited for, GiveUp when nobody ordered it."""
        erasure_id: str = job.payload["erasure_id"]
        while True:
            async with self._database.read(job.tenant_id) as unit:
                row = await PersonErasureRepository(unit.session, unit.tenant).find(erasure_id)
            if row is None:
                raise GiveUp("The erasure is not there.")
            if row.ended_at is not None:
                return Done({"erasure_id": row.id, "dry_run": row.dry_run, "responses": sum(row.forms.values())})
            await job.progress(job.done, job.total)
            if await self._pieces[row.step](job, row) and row.step != "end":
                steps = _DRY if row.dry_run else _STEPS
                async with self._going_on(row) as (_, mine):
                    mine.step, mine.position = steps[steps.index(row.step) + 1], []

    # Looking for the person.

    async def _find(self, job: JobRun, row: PersonErasure) -> bool:
        subject = Subject.opened(self._vault, row.kind, row.sealed)  # type: ignore[arg-type]  # written by us
        if subject.kind == "responses":
            await self._note_named(row, subject.values)
            return True
        form_id = row.position[0] if row.position else await self._form_after(row, "")
        while form_id is not None:
            await self._search(job, row, form_id, subject)
            form_id = await self._form_after(row, form_id)
        return True

    async def _form_after(self, row: PersonErasure, form_id: str) -> str | None:
        async with self._database.read(row.tenant_id) as unit:
            found = await PersonDataRepository(unit.session, unit.tenant).forms(form_id, row.form_ids, 1)
        return found[0] if found else None

    async def _note_named(self, row: PersonErasure, ids: Sequence[str]) -> None:
        async with self._going_on(row) as (unit, mine):
            known = await PersonDataRepository(unit.session, unit.tenant).known(ids, row.form_ids)
            traces = self._traces(unit, row)
            for form_id in {form_id for form_id, _ in known}:
                await traces.note(RESPONSE, form_id, [id_ for of, id_ in known if of == form_id])
            mine.forms = await traces.forms()

    async def _search(self, job: JobRun, row: PersonErasure, form_id: str, subject: Subject) -> None:
        """Note the person's responses in a form: by their answers, then by those of earlier versions."""
        async with self._database.read(row.tenant_id) as unit:
            documents = await PersonDataRepository(unit.session, unit.tenant).definitions(form_id)
        fields = subject.fields(documents)
        if not fields and subject.kind == "field":
            return
        place = row.position if row.position[:1] == [form_id] else [form_id, "answers", "", "0"]
        while True:
            async with self._database.read(row.tenant_id) as unit:
                data = PersonDataRepository(unit.session, unit.tenant)
                if place[1] == _VERSIONS:
                    page = await data.earlier_answers(form_id, (place[2], int(place[3])), self._read)
                else:
                    page = await data.answers(form_id, place[2], self._read)
            theirs = {found.response_id for found in page if subject.is_in(found.answers, fields, found.meta)}
            if page:
                place = [form_id, place[1], page[-1].response_id, str(page[-1].revision)]
            elif place[1] == _VERSIONS:
                return
            else:
                place = [form_id, _VERSIONS, "", "0"]
            async with self._going_on(row) as (unit, mine):
                traces = self._traces(unit, row)
                await traces.note(RESPONSE, form_id, sorted(theirs))
                mine.position = place
                if theirs:
                    mine.forms = await traces.forms()
            row.position = place
            await job.progress(job.done + len(page))

    # Only counting.

    async def _count(self, job: JobRun, row: PersonErasure) -> bool:
        places: dict[str, int] = {RESPONSE: sum(row.forms.values())}
        after = ""
        while True:
            async with self._database.read(row.tenant_id) as unit:
                found = await self._traces(unit, row).responses(after, self._read)
                ids = [id_ for _, id_ in found]
                data = PersonDataRepository(unit.session, unit.tenant)
                _add(places, await data.belongings(ids))
            if not found:
                break
            after = ids[-1]
            await job.progress(job.done + len(ids))
        address = self._name(row) if row.kind == "email" else None
        async for told in self._all_told(row):
            _add(places, {"event": len(told)})
            async with self._database.read(row.tenant_id) as unit:
                data = PersonDataRepository(unit.session, unit.tenant)
                _add(places, await data.count_effects([each.id for each in told], but_to=address))
            await job.progress(job.done + len(told))
        await self._count_names(row, places)
        async with self._going_on(row) as (unit, mine):
            mine.places = {name: count for name, count in places.items() if count}
            mine.kept = await self._kept(unit, row)
            await self._traces(unit, row).forget()
        return True

    async def _all_told(self, row: PersonErasure) -> AsyncIterator[Sequence[Told]]:
        form_id, after = "", ""
        while True:
            async with self._database.read(row.tenant_id) as unit:
                data = PersonDataRepository(unit.session, unit.tenant)
                told = await data.told(row.id, form_id, after, self._told)
                if not told:
                    following = await data.traced_forms(row.id, form_id)
                    if following is None:
                        return
                    form_id, after = following, ""
            if told:
                after = told[-1].id
                yield told

    async def _count_names(self, row: PersonErasure, places: dict[str, int]) -> None:
        name = self._name(row)
        if name is None:
            return
        after = ""
        async with self._database.read(row.tenant_id) as unit:
            data = PersonDataRepository(unit.session, unit.tenant)
            if row.kind == "email":
                _add(places, {"mail": await data.letters(name)})
            while ids := await data.jobs_naming(name, after, self._read):
                _add(places, {"job": len(ids)})
                after = ids[-1]

    # Erasing.

    async def _erase(self, job: JobRun, row: PersonErasure) -> bool:
        async with self._going_on(row) as (unit, mine):
            traces = self._traces(unit, row)
            waiting = await traces.waiting(self._erased)
            if waiting is None:
                return True
            form_id, ids = waiting
            rows = await ResponseRepository(unit.session, unit.tenant).chosen(form_id, ids)
            there = [each.id for each in rows]
            data = PersonDataRepository(unit.session, unit.tenant)
            counts = {RESPONSE: len(rows), **await data.belongings(there)}
            await traces.note(FILE, form_id, await data.files(there))
            await ResponseTrashRepository(unit.session, unit.tenant).purge(rows, utc_now())
            if there:
                # The purge holds the form's counter.
                form = {"tenant_id": unit.tenant, "form_id": form_id}
                connection = await unit.session.connection()
                await connection.run_sync(release_claims, form, there)
            for response_id in there:
                fact = ResponsePurged(response_id=response_id, form_id=form_id)
                record(unit, fact, actor=row.requested_by, origin=Origin())
            if there:
                payload = {"form_id": form_id, "response_ids": there}
                await enqueue(unit, JobSpec(FORGET, payload, created_by=row.requested_by, queue="batch"))
            await traces.mark(ids)
            mine.places = _sum(mine.places, counts)
        await job.progress(job.done + len(ids))
        return False

    # What was told of the person.

    async def _retell(self, job: JobRun, row: PersonErasure) -> bool:
        async def rewrite(unit: UnitOfWork, told: Sequence[Told]) -> dict[str, int]:
            new: dict[str, str] = {}
            for each in told:
                envelope = redacted(each.envelope)
                if envelope == each.envelope:
                    continue
                if not each.is_published:
                    # The relay may hold it, and would send it as it was.
                    raise Retry("Events of the person are still to be published.", after_s=_SOON_S)
                new[each.id] = envelope
            await PersonDataRepository(unit.session, unit.tenant).rewrite_events(new)
            return {"event": len(new)}

        return await self._each_told(job, row, rewrite)

    async def _forget(self, _: JobRun, row: PersonErasure) -> bool:
        if not row.forms:
            return True
        try:
            if row.last_message is None:
                last = await self._stream.last()
                async with self._going_on(row) as (__, mine):
                    mine.last_message = last
                return False
            if not await self._stream.is_consumed(row.last_message):
                raise Retry("Consumers are still at messages of the person.", after_s=_SOON_S)
            messages = await self._stream.forget(row.tenant_id, TELLING, row.last_message)
        except (EventingError, TimeoutError, OSError) as error:
            raise Retry("NATS is away; its messages of the person come next.", after_s=_NATS_AWAY_S) from error
        async with self._going_on(row) as (__, mine):
            mine.places = _sum(mine.places, {"stream_message": messages})
        return True

    async def _clear_effects(self, job: JobRun, row: PersonErasure) -> bool:
        async def clear(unit: UnitOfWork, told: Sequence[Told]) -> dict[str, int]:
            data = PersonDataRepository(unit.session, unit.tenant)
            return await data.clear_effects({each.id: Retold(each.envelope, _body(each.envelope)) for each in told})

        return await self._each_told(job, row, clear)

    async def _each_told(
        self,
        job: JobRun,
        row: PersonErasure,
        work: Callable[[UnitOfWork, Sequence[Told]], Awaitable[dict[str, int]]],
    ) -> bool:
        """Do something with the next few events about what was found; whether there were none left."""
        async with self._going_on(row) as (unit, mine):
            form_id, after = mine.position or ["", ""]
            data = PersonDataRepository(unit.session, unit.tenant)
            told = await data.told(row.id, form_id, after, self._told, locked=True)
            if told:
                mine.places = _sum(mine.places, await work(unit, told))
                mine.position = [form_id, told[-1].id]
            else:
                following = await data.traced_forms(row.id, form_id)
                if following is None:
                    return True
                mine.position = [following, ""]
        await job.progress(job.done + len(told))
        return False

    # What names the person.

    async def _remove_letters(self, _: JobRun, row: PersonErasure) -> bool:
        name = self._name(row)
        if name is None:
            return True
        async with self._going_on(row) as (unit, mine):
            data = PersonDataRepository(unit.session, unit.tenant)
            mails = await data.remove_letters(name, self._read) if row.kind == "email" else 0
            jobs = await data.jobs_naming(name, "", self._read)
            await data.remove_jobs(jobs)
            mine.places = _sum(mine.places, {"mail": mails, "job": len(jobs)})
        return not mails and not jobs

    async def _remove_copies(self, job: JobRun, row: PersonErasure) -> bool:
        if not row.forms:
            return True
        for copies in self._copies:
            if removed := await copies.remove_some(row.tenant_id, row.forms):
                async with self._going_on(row) as (_, mine):
                    mine.places = _sum(mine.places, {copies.place: removed})
                await job.progress(job.done + removed)
                return False
        return True

    async def _await_files(self, _: JobRun, row: PersonErasure) -> bool:
        async with self._database.read(row.tenant_id) as unit:
            if await PersonDataRepository(unit.session, unit.tenant).files_left(row.id):
                raise Retry("Files of the person are still to be removed.", after_s=_SOON_S)
        return True

    async def _end(self, _: JobRun, row: PersonErasure) -> bool:
        async with self._going_on(row) as (unit, mine):
            if not row.dry_run:
                await PersonDataRepository(unit.session, unit.tenant).forget_entries(row.id)
                mine.kept = await self._kept(unit, row)
                mine.ended_at = utc_now()
                signed = self._signer.signed(to_receipt(mine))
                mine.public_key, mine.signature = signed.public_key, signed.signature
                fact = PersonErased(erasure_id=mine.id, responses=mine.places.get(RESPONSE, 0))
                record(unit, fact, actor=mine.requested_by, origin=Origin())
            mine.ended_at = mine.ended_at or utc_now()
            mine.sealed, mine.position = "", []
        return True

    async def _kept(self, unit: UnitOfWork, row: PersonErasure) -> dict[str, Any]:
        data = PersonDataRepository(unit.session, unit.tenant)
        name = self._name(row)
        accounts = list(await data.accounts(name)) if name is not None and row.kind == "email" else []
        return {"accounts": accounts, "audit_entries": await data.audited(row.id)}

    def _name(self, row: PersonErasure) -> str | None:
        """What nobody but the person is called by."""
        if row.kind not in ("email", "phone"):
            return None
        return Subject.opened(self._vault, row.kind, row.sealed).values[0]  # type: ignore[arg-type]

    def _traces(self, unit: UnitOfWork, row: PersonErasure) -> PersonTraceRepository:
        return PersonTraceRepository(unit.session, unit.tenant, row.id)

    @asynccontextmanager
    async def _going_on(self, row: PersonErasure) -> AsyncIterator[tuple[UnitOfWork, PersonErasure]]:
        """A transaction that has the erasure for itself. Raises Retry when another worker has gone on with it."""
        async with self._database.write(row.tenant_id) as unit:
            mine = await PersonErasureRepository(unit.session, unit.tenant).find_locked(row.id)
            if mine is None or mine.step != row.step or mine.ended_at is not None:
                raise Retry("Another worker has gone on with it.", after_s=_SOON_S)
            yield unit, mine


def _body(envelope: str) -> str:
    return orjson.dumps(Event.decode(envelope).public()).decode()


def _add(places: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        places[name] = places.get(name, 0) + count


def _sum(places: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """A new value, because a changed document would not be noticed."""
    both = dict(places)
    _add(both, {name: count for name, count in more.items() if count})
    return both


def job_kinds(
    database: Database, copies: Sequence[Copies], signer: Signer, vault: Vault, stream: EventStream
) -> tuple[JobKind, ...]:
    """The job. It must get done, so it is tried for days."""
    erase = ErasePerson(database, copies, signer, vault, stream)
    return (JobKind(ERASE_PERSON, QUEUE, erase.run, max_attempts=5_000, soft_limit_s=3_300.0, hard_limit_s=3_600.0),)
