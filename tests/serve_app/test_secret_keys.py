"""O9: the secret key is rotated while the platform serves, and nobody notices."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from rich.console import Console
from sqlalchemy import Text, cast, select, update
from standardwebhooks import Webhook

from db.models import SQLModel
from db.models.factors import SecondFactor
from db.models.jobs import Job
from db.repositories.sealed import BEGINNING, sealed_columns
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.kit.kept_keys import RECEIPTS, KeptKeys
from deployments.kit.resealing import LOST, Resealing
from deployments.kit.secret_keys import SecretKeys, key_id
from deployments.kit.vault import Vault
from deployments.tenancy.receipts import Signer
from serve_app.cli import secret_keys
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings
from tests.deployments.local_http import LocalHttp, answer, serving
from tests.eventing.harness import empty_stream, eventually, is_true
from tests.factories import ANSWERS
from tests.serve_app.one_process import OneProcess, one_process, settings_for
from tests.serve_app.test_one_process import publish_party

FIRST, SECOND = "first secret key of this platform", "second secret key of this platform"
LOGIN = {"tenant": "acme", "email": "owner@acme.example", "password": "correct horse battery"}
PUBLIC = "https://forms.example"
QUIET = Console(quiet=True)
ROWS = 1_500


@pytest.fixture
def settings(tmp_path: Path, database_settings: DatabaseSettings, nats_server: str) -> Settings:
    """Of a platform that keeps its secret key itself."""
    (tmp_path / "secret.key").write_text(FIRST + "\n")
    return settings_for(tmp_path, database_settings, nats_server, secret_key="", public_url=PUBLIC)


@pytest.fixture
async def platform(
    settings: Settings, database: Database, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    monkeypatch.setattr(secret_keys, "HEAD_START", timedelta(seconds=2))
    async with empty_stream(nats_server):
        pass
    await KeptKeys(database, Vault(settings.secret_keys())).note()
    async with one_process(settings, monkeypatch) as running:
        yield running


class Person:
    """Somebody with a session of each kind, an authenticator app, a webhook, a link to an export, and a mail."""

    def __init__(self, platform: OneProcess, receiver: LocalHttp) -> None:
        self.platform, self.receiver = platform, receiver
        self.anybody = platform.client()

    async def begin(self) -> None:
        self.owner = await self.platform.sign_up()
        self.form = await publish_party(self.owner)
        logged_in = await self.anybody.post(
            "/api/v1/auth/login", json=LOGIN, headers={"x-session": "cookie", "origin": PUBLIC}
        )
        cookies = "; ".join(each.partition(";")[0] for each in logged_in.headers.get_list("set-cookie"))
        self.anybody.cookies.clear()
        self.page = {"cookie": cookies, "x-csrf-token": logged_in.json()["csrf_token"], "origin": PUBLIC}
        hook = {"url": f"http://127.0.0.1:{self.receiver.port}/hook", "events": ["response.submitted"]}
        secret = {"name": "X-Key", "value": "of the receiver", "secret": True}
        made = await self.owner.post("/api/v1/webhooks", json=hook | {"headers": [secret]})
        assert made.status_code == 201, made.text
        self.hook = made.json()
        password = {"current_password": LOGIN["password"]}
        self.app = pyotp.TOTP((await self.owner.post("/api/v1/auth/totp", json=password)).json()["secret"])
        confirmed = await self.owner.post("/api/v1/auth/totp/confirm", json={"code": self.app.now()})
        assert confirmed.status_code == 200, confirmed.text
        self.export = await self._export()
        self.way_out = await self._mail()
        self.digest = await self.erasure()

    async def _export(self) -> str:
        ordered = await self.owner.post(f"/api/v1/forms/{self.form}/exports", json={"format": "csv"})
        place = f"/api/v1/exports/{ordered.json()['export_id']}"

        async def is_ready() -> bool:
            return bool((await self.owner.get(place)).json()["state"] == "ready")

        await eventually(is_ready)
        return str((await self.owner.post(f"{place}/link", json={})).json()["url"]).removeprefix(PUBLIC)

    async def _mail(self) -> str:
        order = {"recipients": [{"email": "ada@example.org"}]}
        assert (await self.owner.post(f"/api/v1/forms/{self.form}/mailings", json=order)).status_code == 202
        folder = self.platform.settings.data_dir / "mail"
        await eventually(lambda: is_true(lambda: list(folder.glob("mail_*.eml"))))
        (mail,) = (message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("mail_*.eml"))
        return str(mail["List-Unsubscribe"]).strip("<>").removeprefix(PUBLIC)

    async def erasure(self) -> str:
        """The digest that stands for a person."""
        found = await self.owner.post("/api/v1/erasures", json={"subject": {"email": "ada@example.org"}})
        assert found.status_code == 202, found.text
        return str(found.json()["subject_digest"])

    async def works(self) -> None:
        """Everything that was begun before goes on."""
        assert (await self.owner.get("/api/v1/me")).status_code == 200
        made = await self.anybody.post("/api/v1/webhooks", json=self._other_hook(), headers=self.page)
        assert made.status_code == 201, made.text
        assert (await self.anybody.get(self.export)).status_code == 200
        await self.stored_works()

    async def stored_works(self) -> None:
        """What is in the database, or in somebody's mail, works with the keys of now."""
        await self._log_in_with_the_app()
        await self._is_told()
        assert (await self.anybody.get(self.way_out)).status_code == 200

    async def log_in_anew(self) -> None:
        self.owner = self.platform.client(await self._log_in_with_the_app())

    def _other_hook(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.receiver.port}/other", "events": ["form.deleted"]}

    async def _log_in_with_the_app(self) -> str:
        async with self.platform_database() as database, database.unscoped_write() as unit:
            # The same code again: another comes in half a minute.
            await unit.session.execute(update(SecondFactor).values(last_step=0))
        challenge = (await self.anybody.post("/api/v1/auth/login", json=LOGIN)).json()["challenge"]
        shown = {"challenge": challenge, "method": "totp", "code": self.app.now()}
        session = await self.anybody.post("/api/v1/auth/login/second-factor", json=shown)
        assert session.status_code == 200, session.text
        return str(session.json()["access_token"])

    async def _is_told(self) -> None:
        before = len(self.receiver.requests)
        sent = await self.anybody.post("/api/v1/public/acme/party/responses", json={"answers": ANSWERS})
        assert sent.status_code == 201, sent.text
        await eventually(lambda: is_true(lambda: len(self.receiver.requests) > before))
        request = self.receiver.requests[-1]
        event = Webhook(self.hook["secret"]).verify(request.body, request.headers)
        assert event["data"]["response_id"] == sent.json()["id"]
        assert request.headers["x-key"] == "of the receiver"

    @asynccontextmanager
    async def platform_database(self) -> AsyncIterator[Database]:
        database = Database(self.platform.settings.database())
        yield database
        await database.close()


@asynccontextmanager
async def reading(client: httpx.AsyncClient) -> AsyncIterator[list[int]]:
    """Somebody with a session reads all the time; the statuses that they are told."""
    told: list[int] = []

    async def read_on() -> None:
        while True:
            told.append((await client.get("/api/v1/forms")).status_code)
            await asyncio.sleep(0.05)  # the others share its loop

    task = asyncio.create_task(read_on())
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_key_is_rotated_while_people_work(
    platform: OneProcess, database: Database, settings: Settings
) -> None:
    """O9: sessions, links, signatures, encrypted secrets and codes of apps from before work at each step, and once the
    first key is removed nothing that is stored needs it. What only that key signed is refused from then on."""
    keys = settings.secret_keys()
    first, second = key_id(FIRST), ""
    async with serving(answer("204 No Content")) as receiver:
        person = Person(platform, receiver)
        await person.begin()
        signed_before = Signer(FIRST).public_key
        async with reading(person.owner) as told:
            await asyncio.to_thread(secret_keys.rotate, settings, QUIET)
            await eventually(lambda: is_true(lambda: keys.newest != FIRST))
            second = key_id(keys.newest)
            await person.works()
            await asyncio.to_thread(secret_keys.reseal, settings, QUIET)
            assert keys.current == keys.newest != FIRST
            await person.works()
        assert set(told) == {200}

        assert await Resealing(database, Vault(keys)).count() == {second: await texts_in(database)}
        assert await elsewhere(database) == set(), "declare these columns with sealed()"
        with pytest.raises(CommandFailed, match=f"{first} is needed: old, may be removed from"):
            await asyncio.to_thread(secret_keys.remove, settings, first, QUIET, at_once=False)
        await asyncio.to_thread(secret_keys.remove, settings, first, QUIET, at_once=True)
        await eventually(lambda: is_true(lambda: keys.all() == (keys.current,)))

        async def is_refused() -> bool:
            return (await person.owner.get("/api/v1/me")).status_code == 401

        async def leads_nowhere() -> bool:
            return (await person.anybody.get(person.export)).status_code == 404

        # Each reads the file again in its own time.
        await eventually(is_refused)
        await eventually(leads_nowhere)
        await person.stored_works()
        await person.log_in_anew()
        assert await person.erasure() == person.digest, "a person is known again by any key"
        kept = await KeptKeys(database, Vault(keys)).all()
        assert [key.id for key in kept] == [first, second]
        assert kept[0].values[RECEIPTS] == signed_before
        assert kept[0].retired_at == kept[1].noted_at


async def texts_in(database: Database) -> int:
    """How many encrypted texts there are."""
    return sum((await Resealing(database, Vault("x" * 32)).count()).values())


async def elsewhere(database: Database) -> set[str]:
    """The columns with something encrypted that are not declared to have that."""
    declared, found = sealed_columns(), set[str]()
    async with database.unscoped_read() as unit:
        for table in SQLModel.metadata.sorted_tables:
            for column in table.columns:
                holds = select(column).where(cast(column, Text).contains(BEGINNING)).limit(1)
                if column.name in declared.get(table.name, ()):
                    continue
                if (await unit.session.execute(holds)).first() is not None:
                    found.add(f"{table.name}.{column.name}")
    return found


RESEAL = """
import asyncio, sys
from pathlib import Path
from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit import resealing
from deployments.kit.secret_keys import SecretKeys
from deployments.kit.vault import Vault

resealing._AT_ONCE = 10

def told(table, rows):
    print(table, rows, flush=True)
    sys.stdin.readline()

async def main():
    database = Database(DatabaseSettings(url=sys.argv[1]))
    await resealing.Resealing(database, Vault(SecretKeys(sys.argv[2], also=(sys.argv[3],)))).run(told)

asyncio.run(main())
"""


async def test_a_resealing_that_was_killed_goes_on(database: Database) -> None:
    """O9: `kill -9` between two batches leaves both kinds of rows, which both open; the next run does what is left,
    of every tenant, and one after that finds nothing to do."""
    both, now = Vault(SecretKeys(SECOND, also=(FIRST,))), utc_now()
    old = Vault(FIRST)
    async with database.unscoped_write() as unit:
        for number in range(ROWS):
            payload = {"sealed": old.seal(f"letter {number}"), "plain": f"{BEGINNING} is how it begins"}
            unit.session.add(
                Job(
                    tenant_id=f"tenant{number % 3}",
                    id=f"job_{number:05}",
                    kind="mail.send",
                    queue="high",
                    payload=payload if number % 50 else {"plain": "nothing encrypted"},
                    created_by="usr_1",
                    created_at=now,
                    run_at=now,
                )
            )
    sealed = ROWS - ROWS // 50
    command = (sys.executable, "-c", RESEAL, database.settings.url, SECOND, FIRST)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(3):
        assert await process.stdout.readline() == b"job 10\n"
        process.stdin.write(b"\n")
    assert await process.stdout.readline() == b"job 10\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()

    resealing = Resealing(database, both)
    counted = await resealing.count()
    left = counted[key_id(FIRST)]
    assert left <= sealed - 40
    assert counted == {key_id(SECOND): sealed - left, key_id(FIRST): left, LOST: sealed}
    assert await resealing.run() == left
    assert await resealing.run() == 0
    async with database.unscoped_read() as unit:
        payloads = (await unit.session.scalars(select(Job.payload).order_by(Job.id))).all()  # type: ignore[arg-type]
    for number, payload in enumerate(payloads):
        if number % 50:
            assert Vault(SECOND).open(payload["sealed"]) == f"letter {number}"
            assert payload["plain"] == f"{BEGINNING} is how it begins"
