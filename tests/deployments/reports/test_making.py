"""P1, P2: reports as files and as mails: once each, for those who may have them, for a time."""

import email
import hashlib
import json
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import update

from db.models.events import Event
from db.models.generation import AnswerSummary
from db.models.identity import Tenant
from db.models.jobs import Job
from db.models.notifications import Mail
from db.models.reports import Report as ReportRow
from db.models.tenancy import StoredObject
from db.session import Database
from db.types import utc_now
from deployments.analytics.contracts import FormMetrics, TimeSeries
from deployments.exports.contracts import FORGET as FORGET_RESPONSES
from deployments.exports.lake_jobs import job_kinds as lake_kinds
from deployments.forms.deployment import Forms
from deployments.identity.contracts import scopes_of
from deployments.inference.generate_contracts import Summary
from deployments.inference.summaries import ReadySummaries
from deployments.jobs.deployment import Jobs
from deployments.jobs.errors import ScheduleNameTaken
from deployments.jobs.settings import JobsSettings
from deployments.kit.egress import Egress
from deployments.kit.errors import Forbidden
from deployments.kit.features import FeatureDisabled
from deployments.kit.made_files import KeyMismatch
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.problems import faults_of
from deployments.notifications.contracts import SuppressAddress
from deployments.notifications.folder import file_name
from deployments.notifications.reports import SendReport
from deployments.notifications.transport import transport_for
from deployments.reports import making
from deployments.reports.contracts import (
    FORGET,
    CreateReportLink,
    CreateReportSchedule,
    OrderReport,
    ReportScheduleChange,
)
from deployments.reports.deployment import Reports
from deployments.reports.errors import (
    FormNotFound,
    ReportNotFound,
    ReportNotReady,
    ReportScheduleNotFound,
)
from deployments.reports.settings import ReportsSettings
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.jobs import Done, GiveUp, JobRun
from tests.deployments.notifications.scene import STATIONERY, VAULT, notifications
from tests.deployments.reports.figures import metrics, series
from tests.deployments.reports.test_documents import text_of
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant, owner

FORM: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Your name", "personal": True},
                {"id": "free", "type": "long_text", "title": "Comment"},
                {"id": "side", "type": "multi_choice", "title": "Sides", "options": [{"id": "a", "label": "Yams"}]},
            ],
        }
    ]
}
SETTINGS = ReportsSettings(signing_key=SecretStr("k" * 64), public_url="https://forms.example")


class Figures:
    """Live figures, as somebody else counts them; `read_by` are those who asked."""

    def __init__(self) -> None:
        self.responses = 200
        self.spans: list[tuple[datetime | None, datetime | None]] = []
        self.read_by: list[Principal] = []

    async def metrics(
        self, principal: Principal, form_id: str, since: datetime | None, until: datetime | None
    ) -> FormMetrics:
        principal.require("analytics:read", form_id)
        self.spans.append((since, until))
        self.read_by.append(principal)
        return metrics("en", self.responses).model_copy(update={"form_id": form_id, "since": since, "until": until})

    async def timeseries(self, principal: Principal, *_: Any) -> TimeSeries:
        return series()


class Told:
    """Summaries of which one quotes an answer."""

    async def ready(self, principal: Principal, form_id: str) -> list[Summary]:
        generation = {
            "task": "summary",
            "text": "Most want pie.",
            "method": "extractive",
            "model": "minilm",
            "citations": [{"response_id": "rsp_1", "field": "free", "start": 0, "end": 9, "quote": "More pie!"}],
        }
        moment = utc_now()
        given = {"id": "sum_1", "form_id": form_id, "field": "free", "state": "ready", "job_id": "j"}
        times = {"created_at": moment, "finished_at": moment, "expires_at": moment}
        return [Summary.model_validate({**given, **times, "requested_by": "u", "generation": generation})]


class Scene:
    """A form, and what makes, mails and forgets reports on it."""

    def __init__(self, database: Database, objects: ObjectStore, folder: Path, acme: Principal, form_id: str) -> None:
        self.database, self.objects, self.folder = database, objects, folder
        self.acme, self.form_id = acme, form_id
        self.figures = Figures()
        self.settings = SETTINGS
        jobs = Jobs(database, making.SCHEDULABLE, JobsSettings())
        self.reports = Reports(database, Forms(database), Responses(database), jobs, SETTINGS)
        self.jobs = jobs

    async def order(self, who: Principal | None = None, key: str | None = None, **wanted: Any) -> str:
        command = OrderReport(form_id=self.form_id, **wanted)
        return (await self.reports.order(who or self.acme, command, key)).report_id

    async def run(self, kind: str, payload: dict[str, Any], **of_job: str) -> Done:
        kinds = making.job_kinds(
            self.database,
            self.objects,
            Forms(self.database),
            self.figures,
            Told(),
            Egress(),
            VAULT,
            self.settings,
        )
        run = {each.name: each.run for each in kinds}[kind]
        done = await run(_attempt(payload, **of_job))
        assert done is not None
        return done

    async def make(self, report_id: str) -> dict[str, Any]:
        return (await self.run("report", {"report_id": report_id, "form_id": self.form_id})).result or {}

    async def ordered(self, kind: str) -> list[Job]:
        return [job for job in await rows(self.database, Job) if job.kind == kind]

    async def content(self, report_id: str) -> bytes:
        file = await self.reports.open(self.acme, report_id)
        content = b"".join([piece async for piece in self.objects.read(file.object)])
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
        return content

    async def stored(self) -> list[str]:
        return [key async for key, _ in self.objects.below("acme/reports")]

    async def sent(self) -> dict[str, EmailMessage]:
        """The mails that are ordered and were not sent before, by recipient, out of a folder."""
        transport = transport_for("", self.folder / "mail")
        send = SendReport(self.database, self.objects, VAULT, transport, STATIONERY)
        mails: dict[str, EmailMessage] = {}
        for job in await self.ordered("mail.report"):
            run = _attempt(job.payload, job.id)
            done = await send.run(run)
            assert done.effect is not None
            async with self.database.write("acme") as unit:
                await done.effect(unit)
            file = self.folder / "mail" / file_name(job.id, "eml")
            if file.exists():
                mail = email.message_from_bytes(file.read_bytes(), policy=policy.default)
                assert isinstance(mail, EmailMessage)
                mails[str(mail["To"])] = mail
        return mails


@pytest.fixture
async def scene(sqlite_database: Database, objects: ObjectStore, tmp_path: Path) -> Scene:
    acme = await make_tenant(sqlite_database)
    form = await make_form(sqlite_database, acme, definition=FORM)
    return Scene(sqlite_database, objects, tmp_path, acme, form.id)


def plan(scene: Scene, **changes: Any) -> CreateReportSchedule:
    given = {"name": "Weekly", "form_id": scene.form_id, "cron": "0 7 * * MON", "time_zone": "Europe/Berlin"}
    return CreateReportSchedule.model_validate({**given, "recipients": ["a@acme.example", "b@acme.example"], **changes})


async def test_a_job_makes_a_report_once(scene: Scene) -> None:
    """P1: the file, its event, its place in the storage; again, as after a worker that died, nothing more."""
    report_id = await scene.order(language="en")
    waiting = await scene.reports.get(scene.acme, report_id)
    assert (waiting.state, waiting.download_url) == ("queued", None)
    with pytest.raises(ReportNotReady):
        await scene.reports.open(scene.acme, report_id)
    # What an attempt that was killed has left is no file of the report.
    await scene.objects.put(f"acme/reports/{scene.form_id}/{report_id}/dead.pdf", b"half")
    result = await scene.make(report_id)
    content = await scene.content(report_id)
    text = text_of(content)
    assert "Most want pie." in text
    assert "More pie! (response rsp_1)" in text
    assert "Every word is taken from the answers." in text
    made = await scene.reports.get(scene.acme, report_id)
    assert (made.state, made.responses, made.bytes) == ("ready", 200, len(content))
    assert result == {
        "report_id": report_id,
        "download_url": f"/api/v1/reports/{report_id}/download",
        "expires_at": made.expires_at.isoformat(),
        "responses": 200,
        "bytes": len(content),
    }
    assert await scene.make(report_id) == result
    assert len(await scene.stored()) == 1
    assert [each.bytes for each in await rows(scene.database, StoredObject)] == [len(content)]
    told = [event for event in await rows(scene.database, Event) if event.type == "report.generated"]
    assert len(told) == 1
    assert (await scene.reports.list_reports(scene.acme, None, None, 10)).data == [made]


async def test_a_key_orders_one_report(scene: Scene) -> None:
    assert await scene.order(key="k") == await scene.order(key="k")
    with pytest.raises(KeyMismatch):
        await scene.order(key="k", language="de")


async def test_a_report_is_for_those_who_may_have_it(scene: Scene) -> None:
    """P1: another tenant's is not there; one that may quote personal answers is hidden from who does not see these."""
    report_id = await scene.order()
    await scene.make(report_id)
    assert "responses:read_personal" in scene.figures.read_by[0].scopes
    globex = owner("globex")
    viewer = Principal("acme", "usr_v", "user", scopes=scopes_of("viewer"))
    for stranger in (globex, viewer, Principal("acme", "usr_g", "user")):
        with pytest.raises(ReportNotFound):
            await scene.reports.open(stranger, report_id)
        with pytest.raises(ReportNotFound):
            await scene.reports.delete(stranger, report_id)
    assert (await scene.reports.list_reports(viewer, scene.form_id, None, 10)).data == []
    with pytest.raises(Forbidden):
        await scene.order(viewer)
    plain = Principal("acme", "key_1", "api_key", scopes=frozenset({"reports:write", "analytics:read"}))
    harmless = await scene.order(plain)
    await scene.make(harmless)
    assert "responses:read_personal" not in scene.figures.read_by[-1].scopes
    assert [each.id for each in (await scene.reports.list_reports(viewer, None, None, 10)).data] == [harmless]
    granted = Principal("acme", "g", "user", grants={scene.form_id: frozenset({"analytics:read"})})
    assert [each.id for each in (await scene.reports.list_reports(granted, None, None, 10)).data] == [harmless]
    with pytest.raises(FormNotFound):
        await scene.reports.order(scene.acme, OrderReport(form_id="frm_none"), None)
    async with scene.database.write("acme") as unit:
        await unit.session.execute(update(Tenant).values(settings={"features": {"reports": False}}))
    with pytest.raises(FeatureDisabled):
        await scene.order()


async def test_a_link_opens_it_until_it_is_over(scene: Scene) -> None:
    """P1: as with exports; the link of one tenant opens nothing of another."""
    report_id = await scene.order()
    await scene.make(report_id)
    link = await scene.reports.create_link(scene.acme, report_id, CreateReportLink())
    signed = link.url.rpartition("/")[2]
    assert link.url.startswith("https://forms.example/api/v1/report-links/acme/")
    nobody = Principal("acme", "anonymous", "anonymous")
    assert (await scene.reports.open_link(nobody, signed)).name == f"report-{scene.form_id}.pdf"
    for tenant, text in (("globex", signed), ("acme", signed[:-1] + "x"), ("acme", "")):
        with pytest.raises(ReportNotFound):
            await scene.reports.open_link(Principal(tenant, "anonymous", "anonymous"), text)
    async with scene.database.write("acme") as unit:
        await unit.session.execute(update(ReportRow).values(expires_at=utc_now() - timedelta(seconds=1)))
    with pytest.raises(ReportNotFound):
        await scene.reports.open_link(nobody, signed)
    assert (await scene.run("reports.prune", {})).result == {"removed": 1}
    (removal,) = await scene.ordered("reports.remove")
    await scene.run("reports.remove", removal.payload)
    assert await scene.stored() == []
    assert await rows(scene.database, StoredObject) == []


async def test_what_is_deleted_meanwhile_leaves_nothing(scene: Scene) -> None:
    report_id = await scene.order()
    await scene.reports.delete(scene.acme, report_id)
    with pytest.raises(GiveUp):
        await scene.make(report_id)
    (job,) = await scene.ordered("report")
    assert job.state == "cancelled"
    assert await scene.stored() == []


async def test_reports_go_with_the_responses_that_they_may_quote(scene: Scene) -> None:
    """T7: responses that are removed for good take the form's reports along, also one that is still to be made."""
    done, open_ = await scene.order(), await scene.order()
    await scene.make(done)
    lake = {each.name: each.run for each in lake_kinds(scene.database, scene.objects, Responses(scene.database))}
    await lake[FORGET_RESPONSES](_attempt({"form_id": scene.form_id, "response_ids": ["rsp_1"]}))
    (job,) = await scene.ordered(FORGET)
    assert (await scene.run(FORGET, job.payload)).result == {"removed": 2}
    assert await scene.stored() == []
    with pytest.raises(GiveUp):
        await scene.make(open_)


async def test_a_schedule_mails_a_link_to_each_recipient_once(scene: Scene) -> None:
    """P2: the report of the last whole week, ordered once however often its job runs, mailed with a way out."""
    made = await scene.reports.create_schedule(scene.acme, plan(scene, language="de"))
    assert made.next_run_at is not None
    (of_jobs,) = (await scene.jobs.list_schedules(scene.acme)).data
    payload = {**of_jobs.payload, "scheduled_for": datetime(2026, 3, 30, 5, tzinfo=UTC).isoformat()}
    run = {"job_id": "job_1", "created_by": f"schedule:{made.id}"}
    for _ in range(2):
        done = await scene.run("reports.scheduled", payload, **run)
    (report,) = await rows(scene.database, ReportRow)
    assert done.result is not None
    assert done.result["report_id"] == report.id
    assert (report.schedule_id, report.sees_personal) == (made.id, False)
    since, until = scene.figures.spans[0]
    assert since is not None
    assert until is not None
    assert (since.isoformat(), until.isoformat()) == ("2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00")
    for _ in range(2):
        await scene.make(report.id)
    mails = await scene.sent()
    assert sorted(mails) == ["a@acme.example", "b@acme.example"]
    mail = mails["a@acme.example"]
    said = mail.get_body(("plain",))
    assert said is not None
    assert "Zeitraum: 23.03.2026 bis 29.03.2026" in said.get_content()
    assert "https://forms.example/api/v1/report-links/acme/rpt_" in said.get_content()
    assert mail["List-Unsubscribe"].startswith("<https://forms.example/unsubscribe/acme/job_")
    assert [each.state for each in await rows(scene.database, Mail)] == ["sent", "sent"]
    # Who goes the way out gets no more.
    token = mail["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    gone = await notifications(scene.database).unsubscribe(Principal("acme", "anonymous", "anonymous"), token)
    assert gone.unsubscribed


async def test_a_mail_carries_the_file_where_it_is_not_too_large(scene: Scene) -> None:
    """P2: an attachment, else a link; a suppressed address gets nothing."""
    await notifications(scene.database).suppress(scene.acme, SuppressAddress(email="b@acme.example"))
    await scene.reports.create_schedule(scene.acme, plan(scene, attach=True, span="all", send_empty=True))
    (of_jobs,) = (await scene.jobs.list_schedules(scene.acme)).data
    payload = {**of_jobs.payload, "scheduled_for": utc_now().isoformat()}
    done = await scene.run("reports.scheduled", payload, job_id="job_1")
    assert done.result is not None
    await scene.make(done.result["report_id"])
    mails = await scene.sent()
    assert list(mails) == ["a@acme.example"]
    (file,) = mails["a@acme.example"].iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == (f"report-{scene.form_id}.pdf", "application/pdf")
    assert file.get_content() == await scene.content(done.result["report_id"])
    scene.settings = SETTINGS.model_copy(update={"attachment_bytes": 1000})
    again = await scene.run("reports.scheduled", payload, job_id="job_2")
    assert again.result is not None
    await scene.make(again.result["report_id"])
    sealed = [VAULT.open(job.payload["sealed"]) for job in await scene.ordered("mail.report")]
    assert [f'"attachment":"acme/reports/{scene.form_id}' in each for each in sealed] == [True, True, False, False]


async def test_nothing_is_sent_of_an_empty_span(scene: Scene) -> None:
    """P2: unless it is asked for; nor when reports are switched off, or the form is gone."""
    scene.figures.responses = 0
    await scene.reports.create_schedule(scene.acme, plan(scene))
    (of_jobs,) = (await scene.jobs.list_schedules(scene.acme)).data
    payload = {**of_jobs.payload, "scheduled_for": utc_now().isoformat()}
    done = await scene.run("reports.scheduled", payload)
    assert done.result == {"report_id": None, "reason": "no responses in the span"}
    assert await rows(scene.database, ReportRow) == []
    with pytest.raises(GiveUp, match="form"):
        await scene.run("reports.scheduled", {**payload, "form_id": "frm_none", "send_empty": True})
    async with scene.database.write("acme") as unit:
        await unit.session.execute(update(Tenant).values(settings={"features": {"reports": False}}))
    with pytest.raises(GiveUp, match="switched off"):
        await scene.run("reports.scheduled", payload)


@pytest.mark.parametrize("cron", ["no", "0 0 31 2 *", "{} * * * *"])
def test_everything_wrong_with_a_schedule_is_told_at_once(cron: str) -> None:
    """P2: also what only the parser of crons knows."""
    expected = {("/cron", "cron.invalid"), ("/time_zone", "time_zone.unknown"), ("/recipients/0", "format.email")}
    given: dict[str, Any] = {"cron": cron, "time_zone": "Mars/{0}", "recipients": ["nobody"]}
    with pytest.raises(ValidationError) as wrong:
        CreateReportSchedule.model_validate({**given, "form_id": "frm_1"})
    assert {(fault.pointer, fault.code) for fault in faults_of(wrong.value)} == expected | {("/name", "required")}
    with pytest.raises(ValidationError) as wrong:
        ReportScheduleChange.model_validate(given)
    assert {(fault.pointer, fault.code) for fault in faults_of(wrong.value)} == expected


async def test_schedules_of_reports_are_schedules_of_jobs(scene: Scene) -> None:
    """P2: created, changed, run and removed with the permission of reports alone; faults name their places."""
    editor = Principal("acme", "key_1", "api_key", scopes=frozenset({"reports:write", "analytics:read"}))
    made = await scene.reports.create_schedule(editor, plan(scene))
    with pytest.raises(ScheduleNameTaken):
        await scene.reports.create_schedule(editor, plan(scene))
    changed = await scene.reports.change_schedule(
        editor, made.id, ReportScheduleChange(span="month", time_zone="UTC", recipients=["c@acme.example"])
    )
    assert (changed.span, changed.time_zone, changed.recipients) == ("month", "UTC", ["c@acme.example"])
    assert changed == await scene.reports.get_schedule(editor, made.id)
    assert (await scene.reports.list_schedules(editor, None, 10)).data == [changed]
    assert (await scene.jobs.list_schedules(scene.acme, kind="some.other")).data == []
    started = await scene.reports.run_schedule(editor, made.id)
    (job,) = await scene.ordered("reports.scheduled")
    assert (job.id, job.payload["span"], job.payload["time_zone"]) == (started.job_id, "month", "UTC")
    for other in (owner("globex"), Principal("acme", "v", "user", scopes=scopes_of("viewer"))):
        with pytest.raises((ReportScheduleNotFound, Forbidden)):
            await scene.reports.get_schedule(other, made.id)
    await scene.reports.delete_schedule(editor, made.id)
    with pytest.raises(ReportScheduleNotFound):
        await scene.reports.run_schedule(editor, made.id)


async def test_a_response_as_document_has_what_its_reader_sees(scene: Scene) -> None:
    """P1: masked by role as the response itself."""
    answers = {"name": "Ada $x$ Lovelace", "side": ["a"]}
    submitted = await Responses(scene.database).submit(
        scene.acme, SubmitResponse(form_id=scene.form_id, body=json.dumps({"answers": answers}).encode())
    )
    whole = await scene.reports.response_document(scene.acme, submitted.id, "en")
    text = text_of(whole.content)
    assert "Your name Ada $x$ Lovelace" in text
    assert "Sides Yams" in text
    assert submitted.id in text
    viewer = Principal("acme", "usr_v", "user", scopes=scopes_of("viewer"))
    part = text_of((await scene.reports.response_document(viewer, submitted.id, "en")).content)
    assert "Ada" not in part
    assert "Your name Personal data that you do not see." in part


async def test_the_newest_summary_of_each_field_is_shown_to_who_may_see_it(scene: Scene) -> None:
    """P1: of all answers, and not when AI is switched off."""
    counts = dict.fromkeys(("texts", "said", "distinct", "empty", "nonsense", "unassigned"), 0)
    made = {"counts": counts, "topics": [], "model": "minilm", "language": "en", "notes": []}
    moment = utc_now()
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        ("sum_1", "name", {}),
        ("sum_2", "free", {}),
        ("sum_3", "free", {}),
        ("sum_4", "free", {"q": "pie"}),
    ]
    async with scene.database.write("acme") as unit:
        for summary_id, field, selection in wanted:
            summary = AnswerSummary(
                tenant_id="acme",
                id=summary_id,
                form_id=scene.form_id,
                field=field,
                wanted={"field": field, **selection},
                sees_personal=True,
                job_id="job_1",
                requested_by="usr_1",
                created_at=moment,
                finished_at=moment,
                expires_at=moment + timedelta(days=1),
                result=made,
            )
            unit.session.add(summary)
    summaries = ReadySummaries(scene.database, Responses(scene.database))
    seen = await summaries.ready(scene.acme, scene.form_id)
    assert [each.id for each in seen] == ["sum_3", "sum_1"]
    viewer = Principal("acme", "usr_v", "user", scopes=scopes_of("viewer"))
    assert [each.id for each in await summaries.ready(viewer, scene.form_id)] == ["sum_3"]
    async with scene.database.write("acme") as unit:
        await unit.session.execute(update(Tenant).values(settings={"features": {"ai": False}}))
    assert await summaries.ready(scene.acme, scene.form_id) == []


def _attempt(payload: dict[str, Any], job_id: str = "job_1", created_by: str = "usr_1") -> JobRun:
    async def report(_done: int, _total: int | None) -> bool:
        return False

    return JobRun(
        tenant_id="acme",
        id=job_id,
        payload=payload,
        attempt=1,
        created_by=created_by,
        soft_limit_s=60.0,
        report=report,
    )
