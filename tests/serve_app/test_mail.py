"""N1, N2: mail over HTTP on a running platform: what the guide says, and a mailing from its order to the way out."""

import email
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.architecture.rooms import ROOT
from tests.eventing.harness import eventually
from tests.factories import PARTY
from tests.serve_app.one_process import one_process, settings_for
from tests.serve_app.test_guides import _commands, _request

GUIDE = ROOT / "docs" / "guides" / "mail.md"


async def test_every_command_of_the_guide_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is sent to a running platform, with what the commands before it have answered."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        owner: httpx.AsyncClient = await platform.sign_up()
        variables = {"api": "/api/v1", "auth": f"Authorization: {owner.headers['authorization']}"}
        sent = 0
        for name, member, command in _commands(GUIDE):
            answer = await platform.client().request(**_request(command, variables))
            assert answer.status_code < 300, (command, answer.text)
            if name is not None:
                variables[name] = answer.json()[member]
            sent += 1
    assert sent > 18


async def test_a_mailing_from_the_order_to_the_way_out(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N2: ordered, sent, bounced, unsubscribed from: each step over HTTP, without a login where there is none."""
    settings = settings_for(
        tmp_path, sqlite_settings, public_url="https://forms.example", mail_bounces="bounces@forms.example"
    )
    async with one_process(settings, monkeypatch) as platform:
        owner = await platform.sign_up()
        people = ("ada@example.org", "bob@example.org")
        mailing = await _mailing(owner, *people)

        async def done() -> bool:
            return bool((await owner.get(f"/api/v1/mailings/{mailing}")).json()["state"] == "done")

        await eventually(done)
        ada, bob = _written(tmp_path / "mail", *people)
        key = await _key(owner, "mail:write")
        report = _report(str(bob["Return-Path"]).strip("<>"))
        headers = {"Content-Type": "message/rfc822", "Authorization": f"Bearer {key}"}
        anybody = platform.client()
        told = await anybody.post("/api/v1/mail/bounces", content=report, headers=headers)
        assert (told.json()["outcome"], told.json()["suppressed"]) == ("bounced", True)
        refused = await anybody.post(
            "/api/v1/mail/bounces", content=report, headers={**headers, "Content-Type": "text/plain"}
        )
        assert refused.status_code == 415
        assert (await anybody.post("/api/v1/mail/bounces", content=report)).status_code == 401

        link = str(ada["List-Unsubscribe"]).strip("<>").removeprefix("https://forms.example")
        page = await anybody.get(link)
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        assert "Shall acme send no more mail to a…@example.org?" in page.text
        assert (await owner.get("/api/v1/suppressions")).json()["data"][0]["reason"] == "bounce"
        for _ in range(2):
            clicked = await anybody.post(
                link,
                content="List-Unsubscribe=One-Click",
                headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://mail.example"},
            )
            assert clicked.status_code == 200
            assert "<button" not in clicked.text
        wrong = await anybody.post(f"{link[:-1]}{'0' if link[-1] != '0' else '1'}")
        assert (wrong.status_code, wrong.headers["content-type"]) == (404, "text/html; charset=utf-8")
        listed = (await owner.get("/api/v1/suppressions")).json()["data"]
        assert {each["email"]: each["reason"] for each in listed} == dict(
            zip(people, ("unsubscribe", "bounce"), strict=True)
        )
        found = (await owner.get(f"/api/v1/mailings/{mailing}/recipients")).json()["data"]
        assert {each["email"]: each["state"] for each in found} == dict(zip(people, ("sent", "bounced"), strict=True))


async def test_a_mail_to_oneself(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N1: to the caller's own address, and to no other; a program has none."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch) as platform:
        owner = await platform.sign_up()
        ordered = await owner.post("/api/v1/mail/test")
        assert (ordered.status_code, ordered.json()["recipient"]) == (202, "owner@acme.example")
        place = ordered.headers["location"]

        async def succeeded() -> bool:
            return bool((await owner.get(place)).json()["state"] == "succeeded")

        await eventually(succeeded)
        mails = [email.message_from_bytes(path.read_bytes(), policy=default) for path in (tmp_path / "mail").iterdir()]
        assert "Mail of acme arrives" in {str(mail["Subject"]) for mail in mails}
        program = platform.client(await _key(owner, "mail:read"))
        refused = await program.post("/api/v1/mail/test")
        assert (refused.status_code, refused.json()["code"]) == (409, "mail.no_address")


async def _mailing(owner: httpx.AsyncClient, *people: str) -> str:
    form = (await owner.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})).json()
    await owner.post(f"/api/v1/forms/{form['id']}/publish")
    order: dict[str, Any] = {"recipients": [{"email": person} for person in people]}
    ordered = await owner.post(f"/api/v1/forms/{form['id']}/mailings", json=order)
    assert ordered.status_code == 202, ordered.text
    assert ordered.headers["location"] == f"/api/v1/jobs/{ordered.json()['job_id']}"
    return str(ordered.json()["mailing_id"])


async def _key(owner: httpx.AsyncClient, scope: str) -> str:
    return str((await owner.post("/api/v1/api-keys", json={"name": scope, "scopes": [scope]})).json()["key"])


def _written(folder: Path, *people: str) -> list[EmailMessage]:
    """The mails in the folder to these people, in their order."""
    read = [email.message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("mail_*.eml")]
    return [next(m for m in read if isinstance(m, EmailMessage) and m["To"] == person) for person in people]


def _report(to: str) -> bytes:
    fields = "Reporting-MTA: dns; mx.example\n\nAction: failed\nStatus: 5.1.1\n"
    top = f'To: {to}\nContent-Type: multipart/report; report-type=delivery-status; boundary="=x="\n\n'
    return f"{top}--=x=\nContent-Type: message/delivery-status\n\n{fields}\n--=x=--\n".encode()
