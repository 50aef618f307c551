"""The production placement with processes, from the entry point to who is refused: `make test-deploy`."""

import asyncio
import json
import os
import re
import shlex
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import httpx
import psutil
import pytest
import standardwebhooks

from tests.architecture.rooms import ROOT
from tests.deploy.installation import ADDRESS, ADDRESSES, ADMINISTRATOR, SECRETS, Installation
from tests.deploy.ports import Listener, answering, documented, listeners
from tests.e2e.platform import finished_job
from tests.factories import ANSWERS, PARTY

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

EFFECTS_S = 120.0
GUIDE = ROOT / "docs" / "guides" / "operations.md"
TEAM = "team@formstream.example"
RAYS_CALLS = {
    6379: "ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    6380: "ray.rpc.NodeManagerService/GetNodeStats",
    6381: "ray.rpc.ObjectManagerService/Pull",
    6383: "ray.rpc.ReporterService/GetTraceback",
    10001: "ray.rpc.RayletDriver/Init",
}
A_WORKERS_CALL = "ray.rpc.CoreWorkerService/GetCoreWorkerStats"
A_REPLICAS_CALL = "ray.serve.ASGIService/HandleRequestWithRejection"
OF_WORKERS = range(10002, 11000)


def _grpc_status(port: int, method: str, token: str = "") -> grpc.StatusCode | None:
    """What is answered to a call with an empty message, None for an answer."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary(f"/{method}")(b"", timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
    return None


class TestStart:
    async def test_the_doctor_finds_nothing_but_the_models_missing(self, installation: Installation) -> None:
        """The models are not what this is about, and building them takes minutes."""
        monitor = ("--nats-monitor", "http://127.0.0.1:8222")
        found = json.loads(await installation.run("formstream", "doctor", *monitor, "--json", accept=(3,)))
        assert [each["check"] for each in found["findings"] if each["cure"]] == ["models.files"]

    async def test_smoke(self, installation: Installation) -> None:
        """O7: from the proxy, as people come."""
        trust = {"SSL_CERT_FILE": str(installation.proxy_authority)}
        said = await installation.run("formstream", "smoke", "https://localhost", "--seconds", "5", **trust)
        assert "requests" in said

    async def test_migrating_again_changes_nothing(self, installation: Installation) -> None:
        assert "Administrator" not in await installation.run("formstream", "migrate")

    async def test_secrets_come_from_files_alone(self, installation: Installation) -> None:
        """O9: nobody who lists processes sees one, and no log has one."""
        given = " ".join(installation.environment().values())
        shown = " ".join(" ".join(process.cmdline()) for process in psutil.process_iter())
        assert "gcs_server" in shown
        for path in SECRETS.iterdir():
            secret = path.read_text().strip()
            assert secret not in given, path.name
            assert secret not in shown, path.name
            assert secret not in installation.log, path.name


class TestFromSignUpToExport:
    async def test_a_submission_arrives_everywhere(self, installation: Installation) -> None:
        """R1, N1, W1, X1: over TLS, through every store: mail and webhook arrive, the export is in the bucket."""
        async with installation.client() as visitor:
            owner = {"email": "owner@acme.example", "password": "correct horse battery", "name": "Owner"}
            signed_up = await visitor.post(
                "/api/v1/signup", json={"tenant": {"id": "acme", "name": "Acme"}, "user": owner}
            )
            assert signed_up.status_code == 201, signed_up.text
            visitor.headers["authorization"] = f"Bearer {signed_up.json()['access_token']}"
            form = await _created(
                visitor,
                "/api/v1/forms",
                {
                    "slug": "party",
                    "title": "Party",
                    "definition": PARTY,
                    "settings": {"send_notification": True, "notification_recipients": [TEAM]},
                },
            )
            path = f"/api/v1/forms/{form['id']}"
            assert (await visitor.post(f"{path}/publish")).status_code == 200
            hook = await _created(
                visitor, "/api/v1/webhooks", {"url": installation.receiver.url, "events": ["response.submitted"]}
            )
            submitted = await _created(visitor, "/api/v1/public/acme/party/responses", {"answers": ANSWERS})

            await installation.receiver.wait_for(1, EFFECTS_S)
            ((delivery,),) = installation.receiver.deliveries.values()
            event = standardwebhooks.Webhook(hook["secret"]).verify(delivery[1], delivery[0])
            assert event["data"]["response_id"] == submitted["id"]
            async with asyncio.timeout(EFFECTS_S):
                while not any(TEAM in envelope.rcpt_tos for envelope in installation.mailbox.envelopes):
                    await asyncio.sleep(0.1)
            assert all(session.authenticated and session.ssl for session in installation.mailbox.sessions)

            ordered = await visitor.post(f"{path}/exports", json={"format": "csv"})
            job = await finished_job(visitor, ordered.headers["location"])
            assert job["state"] == "succeeded", job
            exported = await visitor.get(job["result"]["download_url"], follow_redirects=True)
            assert submitted["id"] in exported.text
            assert "ada@example.org" in exported.text


class TestGuide:
    async def test_commands_of_the_guide_of_operations_work(self, installation: Installation, tmp_path: Path) -> None:
        """O4, O7: those of the platform, in that order, given this place and a few seconds."""
        given = {
            "serve_config.yaml": str(ROOT / "serve_config.yaml"),
            "/backups": str(tmp_path / "backups"),
            "/var/lib/formstream": str(tmp_path),
            "https://forms.example.com": "https://localhost --seconds 2",
        }
        trust = {"SSL_CERT_FILE": str(installation.proxy_authority)}
        done = []
        for command in re.findall(r"(?m)^docker compose exec app entrypoint.sh (formstream .+)$", GUIDE.read_text()):
            for name, place in given.items():
                command = command.replace(name, place)
            accepted = (0, 3) if " doctor " in command else (0,)
            variables = trust if " smoke " in command else {}
            await installation.run(*shlex.split(command), accept=accepted, **variables)
            done.append(command.split()[1])
        assert {"smoke", "doctor", "backup", "drill", "maintenance"} <= set(done)
        assert _backups(tmp_path / "backups") == done.count("backup")


class TestPorts:
    """Which ports are open: those that docs/operations.md names, at the addresses that it names."""

    async def test_what_is_open_is_documented_and_the_other_way_round(self, installation: Installation) -> None:
        table = documented()
        seen = _of(installation, listeners())
        unknown = {each for each in seen if not any(row.fits(each, ADDRESS) for row in table)}
        assert not unknown
        silent = {row for row in table if not any(row.fits(each, ADDRESS) for each in seen)}
        assert not silent

    async def test_who_connects_finds_no_other(self, installation: Installation) -> None:
        """Every port of every address of this machine is knocked at."""
        before = listeners()
        found = {address: await asyncio.to_thread(answering, address) for address in ADDRESSES}
        both = before | listeners()
        for address, ports in found.items():
            steady = {each.port for each in before & listeners() if not each.udp and each.hears(address)}
            ever = {each.port for each in both if not each.udp and each.hears(address)}
            assert steady <= ports <= ever, address

    async def test_the_world_reaches_the_proxy_alone(self, installation: Installation) -> None:
        open_to_others = {each.port for each in _of(installation, listeners()) if not each.address.is_loopback}
        assert open_to_others == {80, 443, 4222, 5432}


def _of(installation: Installation, found: set[Listener]) -> set[Listener]:
    return {each for each in found if each.port not in installation.stand_ins}


class TestStrangers:
    """Who reaches a port and has no credential."""

    async def test_nats_wants_tls_and_a_password(self, installation: Installation) -> None:
        connect = 'CONNECT {"verbose":false,"pedantic":false,"tls_required":%s}\r\nPING\r\n'
        reader, writer = await asyncio.open_connection(ADDRESS, 4222)
        offered = json.loads((await reader.readline()).partition(b" ")[2])
        assert offered["tls_required"]
        assert offered["auth_required"]
        writer.write((connect % "false").encode())
        assert b"PONG" not in await reader.read()
        writer.close()

        reader, writer = await asyncio.open_connection("nats", 4222)
        await reader.readline()
        await writer.start_tls(
            ssl.create_default_context(cafile=str(installation.authority_file)), server_hostname="nats"
        )
        writer.write((connect % "true").encode())
        assert b"Authorization Violation" in await reader.read()
        writer.close()

    @pytest.mark.parametrize("user", ["formstream", "postgres"])
    async def test_postgresql_wants_tls_and_a_password(self, installation: Installation, user: str) -> None:
        trust = ssl.create_default_context(cafile=str(installation.authority_file))
        where: dict[str, Any] = {"host": "postgres", "port": 5432, "user": user, "database": "formstream"}
        password = installation.secrets["PGPASSWORD"]
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await asyncpg.connect(**where, password=password, ssl=False, timeout=10)
        for wrong in ("", "wrong"):
            with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
                await asyncpg.connect(**where, password=wrong, ssl=trust, timeout=10)
        if user == "formstream":
            connection = await asyncpg.connect(**where, password=password, ssl=trust, timeout=10)
            assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            await connection.close()

    @pytest.mark.parametrize(
        "address",
        [
            "8265/api/serve/applications/",
            "8265/api/jobs/",
            "8265/nodes?view=summary",
            "6384/api/job_agent/jobs/",
            "6384/logs/",
            "6382/get_or_create_runtime_env",
        ],
    )
    async def test_rays_pages_want_a_token(self, installation: Installation, address: str) -> None:
        async with httpx.AsyncClient(trust_env=False, base_url="http://127.0.0.1:") as stranger:
            for headers in ({}, {"Authorization": f"Bearer {'0' * 48}"}):
                answer = await stranger.get(f"http://127.0.0.1:{address}", headers=headers)
                assert answer.status_code in {401, 403}, answer.text

    @pytest.mark.parametrize(("port", "method"), RAYS_CALLS.items())
    async def test_rays_calls_want_a_token(self, installation: Installation, port: int, method: str) -> None:
        await _is_refused(port, method)
        token = installation.secrets["RAY_AUTH_TOKEN"]
        assert await asyncio.to_thread(_grpc_status, port, method, token) is not grpc.StatusCode.UNAUTHENTICATED

    async def test_workers_and_replicas_want_a_token(self, installation: Installation) -> None:
        ours = {each.port for each in _of(installation, listeners()) if "ray::" in each.process}
        of_replicas = {each.port for each in listeners() if "ServeReplica" in each.process} - {8000} - set(OF_WORKERS)
        assert len(of_replicas) >= 10
        for port in of_replicas:
            await _is_refused(port, A_REPLICAS_CALL)
        for port in ours & set(OF_WORKERS):
            await _is_refused(port, A_WORKERS_CALL)

    async def test_metrics_want_a_token(self, installation: Installation) -> None:
        async with httpx.AsyncClient(trust_env=False, base_url="http://127.0.0.1:8000") as stranger:
            assert (await stranger.get("/metrics")).status_code == 401
            token = {"Authorization": f"Bearer {installation.secrets['FORMSTREAM_METRICS_TOKEN']}"}
            assert "formstream_http_requests_total" in (await stranger.get("/metrics", headers=token)).text

    @pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/health/cache"])
    async def test_the_proxy_tells_the_world_nothing_of_inside(self, installation: Installation, path: str) -> None:
        async with installation.client() as world:
            assert (await world.get(path)).status_code == 404
            assert (await world.get("/health")).status_code == 200

    async def test_the_proxy_leads_to_tls(self, installation: Installation) -> None:
        async with httpx.AsyncClient(trust_env=False) as world:
            answer = await world.get("http://localhost/api/v1/openapi.json")
            assert answer.headers["location"] == "https://localhost/api/v1/openapi.json"

    async def test_the_administrator_has_the_password_of_the_file(self, installation: Installation) -> None:
        async with installation.client() as world:
            login = {"tenant": None, "email": ADMINISTRATOR}
            for password, status in (("wrong", 401), (installation.secrets["FORMSTREAM_ADMIN_PASSWORD"], 200)):
                answer = await world.post("/api/v1/auth/login", json={**login, "password": password})
                assert answer.status_code == status, answer.text


async def _is_refused(port: int, method: str) -> None:
    for token in ("", "0" * 48):
        status = await asyncio.to_thread(_grpc_status, port, method, token)
        assert status is grpc.StatusCode.UNAUTHENTICATED, f"{port} {method}: {status}"


def _backups(folder: Path) -> int:
    return len(list(folder.glob("*/manifest.json")))


async def _created(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_sigterm_ends_every_process(installation: Installation) -> None:
    """The last one: what `docker stop` does."""
    assert await installation.stop() == 0
    assert not list(_alive(installation))
    assert not _of(installation, listeners())


def _alive(installation: Installation) -> Iterator[int]:
    return (process.pid for process in installation.processes if process.pid != os.getpid())
