"""The story: a tenant, a real survey, a webhook, a few guests, and everything that follows."""

import random
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from serve_app.cli.demo import survey
from serve_app.cli.demo.answers import answers_to
from serve_app.cli.demo.client import Client, Refused
from serve_app.cli.demo.mailbox import Mailbox
from serve_app.cli.demo.receiver import Received, Receiver
from serve_app.cli.failure import CommandFailed
from serve_app.cli.preflight import load_settings
from serve_app.cli.steps import Steps

GUESTS: Final = 5
RECIPIENT: Final = "host@example.com"
_IMPORT_S: Final = 180.0
_ARRIVAL_S: Final = 30.0
_FOLDER_S: Final = 10.0
_POLL_S: Final = 0.2
_REFUSED: Final = "may not be called"


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who makes the tenant where sign-up is switched off."""

    email: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Outcome:
    """What happened, for the summary."""

    tenant: str
    imported: int = 0
    import_s: float = 0.0
    submit_ms: list[float] = field(default_factory=list)
    delivery_ms: list[float] = field(default_factory=list)
    mails: int | None = None


def tell(console: Console, url: str, file: Path | None, administrator: Administrator | None) -> None:
    """Run the demo. Raises CommandFailed when something was refused or did not arrive in time."""
    path = file or survey.find()
    mail_folder = load_settings().data_dir / "mail"
    with Client(url) as client, Receiver() as receiver:
        Story(console, client, receiver, mail_folder).tell(path, administrator)


class Story:
    """One run on one platform, with a tenant of its own."""

    def __init__(self, console: Console, client: Client, receiver: Receiver, mail_folder: Path) -> None:
        self._console = console
        self._client = client
        self._receiver = receiver
        self._mail_folder = mail_folder
        self._steps = Steps(console)
        self._recipient = f"{secrets.token_hex(4)}.{RECIPIENT}"
        self._seen = 0
        self._outcome = Outcome(f"demo-{secrets.token_hex(4)}")

    def tell(self, file: Path, administrator: Administrator | None) -> None:
        """Chapter by chapter. Raises CommandFailed."""
        client, outcome = self._client, self._outcome
        with self._steps.step("Look for the platform"):
            client.get("/health/ready")
        with self._steps.step(f"Make the tenant {outcome.tenant}"):
            client.use_token(self._enter(administrator))
        form_id = self._import(file)
        webhook_id = self._subscribe(form_id)
        self._follow(webhook_id, self._submit())
        self._read_mail()
        self._summarise(file)

    def _enter(self, administrator: Administrator | None) -> str:
        user = {"email": "host@example.com", "password": secrets.token_urlsafe(18), "name": "The host"}
        tenant = {"id": self._outcome.tenant, "name": "Demo"}
        if administrator is None:
            try:
                return str(self._client.post("/api/v1/signup", {"tenant": tenant, "user": user})["access_token"])
            except Refused as error:
                if error.status != 403:
                    raise
                raise CommandFailed(
                    "Sign-up is switched off: name a platform administrator with --email and --password."
                ) from None
        credentials = {"tenant": None, "email": administrator.email, "password": administrator.password}
        self._client.use_token(self._client.post("/api/v1/auth/login", credentials)["access_token"])
        self._client.post("/api/v1/tenants", {**tenant, "owner": user})
        login = {"tenant": tenant["id"], "email": user["email"], "password": user["password"]}
        return str(self._client.post("/api/v1/auth/login", login)["access_token"])

    def _import(self, file: Path) -> str:
        fields = {"format": "surveymonkey_csv", "slug": "survey", "title": "Thanksgiving 2015"}
        started = time.monotonic()
        with self._progress() as progress:
            task = progress.add_task(f"Import {file.name}", total=None)
            job_id = self._client.upload("/api/v1/imports", fields, file)["job_id"]
            deadline = started + _IMPORT_S
            while (job := self._client.get(f"/api/v1/jobs/{job_id}"))["state"] in ("queued", "running"):
                progress.update(task, completed=job["progress"]["done"], total=job["progress"]["total"])
                if time.monotonic() > deadline:
                    raise CommandFailed(f"The import {job_id} did not end within {_IMPORT_S:g} s.")
                time.sleep(_POLL_S)
            if job["state"] != "succeeded":
                raise CommandFailed(f"The import {job_id} has {job['state']}: {job['error'] or 'no reason given'}")
            result = job["result"]
            read = result["imported"] + result["skipped"] + len(result["errors"])
            progress.update(task, completed=read, total=read)
        self._outcome.imported = result["imported"]
        self._outcome.import_s = time.monotonic() - started
        return str(result["form_id"])

    def _subscribe(self, form_id: str) -> str:
        """Ask for mail, and for signed events from now on; the webhook's id.

        Events come in order: when the form's own change arrives, those of the import have passed.
        """
        path = f"/api/v1/forms/{form_id}"
        hook = {"url": self._receiver.url, "events": ["form.updated"], "form_id": form_id}
        settings = {"send_notification": True, "notification_recipients": [self._recipient]}
        with self._steps.step("Ask for mail and a webhook"):
            webhook = self._client.post("/api/v1/webhooks", hook)
            self._receiver.expect(webhook["secret"])
            self._client.patch(path, {"settings": settings})
            next(self._arrivals(webhook["id"]))
            hook["events"] = ["response.submitted"]
            self._client.patch(f"/api/v1/webhooks/{webhook['id']}", hook)
        return str(webhook["id"])

    def _submit(self) -> dict[str, float]:
        """Submit as guests without a credential; when each response was stored, by its id."""
        public = f"/api/v1/public/{self._outcome.tenant}/survey"
        chance = random.Random()
        stored: dict[str, float] = {}
        with self._progress() as progress:
            task = progress.add_task("Submit as guests", total=GUESTS)
            definition = self._client.get(public)["definition"]
            for _ in range(GUESTS):
                body = {"answers": answers_to(definition, chance), "meta": {"source": "demo"}}
                before = time.monotonic()
                receipt = self._client.post(f"{public}/responses", body, idempotency_key=secrets.token_hex(16))
                stored[receipt["id"]] = time.monotonic()
                self._outcome.submit_ms.append((stored[receipt["id"]] - before) * 1000)
                progress.advance(task)
        return stored

    def _follow(self, webhook_id: str, submitted: dict[str, float]) -> None:
        """Show each guest's event as it arrives."""
        waiting = dict(submitted)
        with self._progress() as progress:
            task = progress.add_task("Receive signed events", total=len(waiting))
            for delivery in self._arrivals(webhook_id):
                stored = waiting.pop(delivery.event["data"].get("response_id"), None)
                if stored is None:
                    continue
                # The event may be here before the answer to the submission was.
                delay_ms = max(0.0, delivery.at - stored) * 1000
                self._outcome.delivery_ms.append(delay_ms)
                progress.advance(task)
                event = f"{delivery.event['type']}  {delivery.event['id']}"
                line = f"    {event}  signature verified, {delay_ms:.0f} ms after the answer"
                progress.console.print(line, highlight=False, soft_wrap=True)
                if not waiting:
                    return

    def _arrivals(self, webhook_id: str) -> Iterator[Received]:
        """The deliveries as they come. Raises CommandFailed when none came for too long or the platform gave up."""
        deadline = time.monotonic() + _ARRIVAL_S
        while time.monotonic() < deadline:
            came = self._receiver.wait(self._seen, 1.0)
            self._seen += len(came)
            yield from came
            if came:
                deadline = time.monotonic() + _ARRIVAL_S
            else:
                self._check_deliveries(webhook_id)
        raise CommandFailed(
            f"No further event arrived within {_ARRIVAL_S:g} s; {self._receiver.rejected} came with a wrong signature."
        )

    def _check_deliveries(self, webhook_id: str) -> None:
        """Raise CommandFailed when the platform has given up on a delivery."""
        for delivery in self._client.get(f"/api/v1/webhooks/{webhook_id}/deliveries")["data"]:
            errors = [attempt["error"] for attempt in delivery["attempts"] if attempt["error"]]
            if errors and _REFUSED in errors[-1]:
                raise CommandFailed(
                    "The platform calls no private addresses, and the demo listens on one: "
                    "start it with FORMSTREAM_EGRESS_ALLOW=127.0.0.1/32 in its environment."
                )
            if delivery["state"] == "failed":
                raise CommandFailed(
                    f"The platform gave up on a delivery: {errors[-1] if errors else 'no reason given'}"
                )

    def _read_mail(self) -> None:
        mailbox = Mailbox(self._mail_folder, self._recipient)
        if not mailbox.appears(_FOLDER_S):
            self._console.print(f"    No mail folder at {self._mail_folder}: mail is not looked at (see --data-dir).")
            return
        with self._steps.step("Read the mail"):
            found = mailbox.wait(GUESTS, _ARRIVAL_S)
            if len(found) < GUESTS:
                raise CommandFailed(
                    f"{len(found)} of {GUESTS} mails arrived in {self._mail_folder} within {_ARRIVAL_S:g} s."
                )
        self._outcome.mails = len(found)
        path, subject = next(iter(found.items()))
        self._console.print(f"    {subject!r} to {self._recipient}, {path}", highlight=False, soft_wrap=True)

    def _summarise(self, file: Path) -> None:
        outcome = self._outcome
        rate = outcome.imported / outcome.import_s if outcome.import_s else 0.0
        table = Table(title=f"What happened in {outcome.tenant}", show_header=False)
        table.add_row("Imported", f"{outcome.imported} responses in {outcome.import_s:.1f} s ({rate:.0f}/s)")
        table.add_row("Submitted", f"{len(outcome.submit_ms)} responses, slowest {max(outcome.submit_ms):.0f} ms")
        table.add_row("Webhooks", f"{len(outcome.delivery_ms)} verified, slowest {max(outcome.delivery_ms):.0f} ms")
        table.add_row("Mail", "not looked at" if outcome.mails is None else f"{outcome.mails} messages")
        if file.name == survey.NAME:
            table.add_row("Survey", survey.SOURCE)
        self._console.print(table)

    def _progress(self) -> Progress:
        columns = (
            TextColumn("  {task.description:<42}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self._console)
