"""R8: an erasure that is interrupted, waits or is begun anew ends all the same."""

import pytest
from sqlalchemy import update

from db.models.answers import AnswerEntry
from db.models.files import File
from db.models.jobs import Job
from db.models.people import PersonErasure as ErasureRow
from db.models.tenancy import TenantExport
from db.repositories.person_erasures import PersonErasureRepository
from db.types import utc_now
from deployments.tenancy.receipts import Signer, is_genuine
from eventing.jobs import Retry
from tests.deployments.tenancy.people import ADA, HERS, SECRET, Scene, effects, furnish
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form


class TestAgain:
    async def test_goes_on_where_it_was_when_its_worker_died(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R8: killed at every transaction, before and after it, everything is erased and counted once."""
        ids = await furnish(scene)
        await effects(scene.database, ids["plain"])
        find = PersonErasureRepository.find_locked
        allowed = 0

        async def mortal(repository: PersonErasureRepository, erasure_id: str) -> ErasureRow | None:
            nonlocal allowed
            allowed -= 1
            if allowed < 0:
                raise ZeroDivisionError
            return await find(repository, erasure_id)

        monkeypatch.setattr(PersonErasureRepository, "find_locked", mortal)
        erasure = await scene.order({"email": ADA})
        deaths = 0
        while deaths < 200:
            allowed = 2  # enough to find out that a step is over, and to go on to the next one
            try:
                done = await scene.run(erasure)
                break
            except ZeroDivisionError:
                deaths += 1
        assert 15 < deaths < 200
        assert done.forms == {ids["party"]: 4, ids["contacts"]: 3}
        assert {"response": 7, "dead_letter": 1, "mail": 2, "job": 1}.items() <= done.places.items()
        assert done.places["response_version"] == 2
        receipt = await scene.tenancy.get_person_receipt(scene.owner, done.id)
        assert is_genuine(receipt, Signer(SECRET).public_key)
        assert receipt.places == done.places
        assert not is_genuine(receipt.model_copy(update={"forms": {}}), Signer(SECRET).public_key)

    async def test_an_order_given_twice_is_one(self, scene: Scene) -> None:
        await furnish(scene)
        first = await scene.order({"email": ADA})
        assert await scene.order({"email": ADA.lower()}) == first
        assert (await scene.order({"email": ADA}, dry_run=True)).id != first.id
        async with scene.database.unscoped_write() as unit:
            await unit.session.execute(update(Job).values(state="failed"))
        assert (await scene.order({"email": ADA})).id == first.id
        assert "queued" in {job.state for job in await rows(scene.database, Job) if job.id == first.job_id}

    async def test_a_second_erasure_finds_what_came_since(self, scene: Scene) -> None:
        ids = await furnish(scene)
        first = await scene.erase({"email": ADA})
        again = await scene.run(first)
        assert again == first
        await scene.submit(HERS)
        second = await scene.erase({"email": ADA})
        assert second.forms == {ids["party"]: 1}
        third = await scene.erase({"email": ADA})
        assert (third.forms, third.places) == ({}, {})

    async def test_waits_for_what_would_bring_the_person_back(self, scene: Scene) -> None:
        """R8: unpublished events, consumers that are behind, NATS away, files that are still there."""
        form = await make_form(scene.database, scene.owner)
        response = await scene.submit(HERS)
        shared = {"tenant_id": "acme", "form_id": form.id, "field_id": "cv", "response_id": response}
        async with scene.database.write("acme") as unit:
            sent = {"state": "stored", "name": "cv.pdf", "size": 1, "uploaded_by": "anonymous"}
            unit.session.add(File(**shared, id="fil_1", **sent, created_at=utc_now()))
        erasure = await scene.order({"email": ADA})
        run = attempt("acme", {"erasure_id": erasure.id})
        with pytest.raises(Retry, match="to be published"):
            await scene.job().run(run)
        await scene.publish_events()
        scene.stream.away, scene.stream.consumed = True, 9
        with pytest.raises(Retry, match="NATS"):
            await scene.job().run(run)
        scene.stream.away = False
        with pytest.raises(Retry, match="Consumers"):
            await scene.job().run(run)
        assert scene.stream.forgotten == []
        scene.stream.consumed = 10
        job = {"kind": "x", "queue": "batch", "created_by": "usr_1", "created_at": utc_now(), "run_at": utc_now()}
        async with scene.database.write("acme") as unit:
            unit.session.add(Job(tenant_id="acme", id="job_1", state="running", payload={}, attempts=[], **job))
            export = {"id": "exp_1", "job_id": "job_1", "job_tenant_id": "acme", "requested_by": "usr_1"}
            unit.session.add(TenantExport(tenant_id="acme", **export, created_at=utc_now()))
        with pytest.raises(Retry, match="export"):
            await scene.job().run(run)
        async with scene.database.write("acme") as unit:
            await unit.session.execute(update(TenantExport).values(finished_at=utc_now()))
        with pytest.raises(Retry, match="Files"):
            await scene.job().run(run)
        assert await rows(scene.database, TenantExport) == []
        async with scene.database.write("acme") as unit:
            await unit.session.delete(await unit.session.get(File, ("acme", "fil_1")))
            entry = {"series": 1, "value": ADA, "moment": 1, "response_id": response}
            unit.session.add(AnswerEntry(tenant_id="acme", **entry))  # by an indexer that had read it before
        await scene.job().run(run)
        (forgotten,) = scene.stream.forgotten
        assert (forgotten[0], forgotten[2]) == ("acme", 10)
        assert "response.submitted" in forgotten[1]
        done = await scene.tenancy.get_person_erasure(scene.owner, erasure.id)
        assert (done.state, done.places["file"]) == ("done", 1)
        assert await rows(scene.database, AnswerEntry) == []
