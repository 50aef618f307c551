"""NATS: reachable, with JetStream, as durable as what was promised."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx
import nats.errors
import nats.js.errors
from nats.aio.client import Client as NatsClient

from eventing.connection import close, connect
from eventing.errors import ConnectFailed
from eventing.server import MAX_PAYLOAD
from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation, is_local

_WAIT_S: Final = 3.0


async def examine(installation: Installation) -> list[Finding]:
    """Look at the servers of FORMSTREAM_NATS_URL; the embedded one is ours to configure."""
    if not installation.settings.nats_url.get_secret_value():
        if installation.embedded:
            return [fine("nats.reachable", "`formstream up` starts one of its own.")]
        return [wrong("nats.reachable", "FORMSTREAM_NATS_URL is not set.", "Name the servers of the cluster.")]
    settings = installation.settings.eventing().model_copy(update={"connect_timeout_s": _WAIT_S})
    try:
        client = await connect(settings, "doctor")
    except ConnectFailed as error:
        cure = "See FORMSTREAM_NATS_URL: host, port, user and password. Until it answers, events wait."
        return [wrong("nats.reachable", f"{str(error).rstrip('.')}.", cure)]
    try:
        return [
            fine("nats.reachable", f"nats-server {client.connected_server_version} answers."),
            *reach(client, settings.nats_url),
            payload(client),
            await jetstream(client, settings.replicas),
            await synchronous(installation.nats_monitor),
        ]
    finally:
        await close(client)


def reach(client: NatsClient, urls: str) -> Iterator[Finding]:
    """Who else may connect, and who may read along."""
    info = client._server_info
    if not info.get("auth_required") and not info.get("tls_verify"):
        yield wrong(
            "nats.authorization",
            "The server lets in whoever reaches it, to read every event of every tenant.",
            "Give it an `authorization` block (deploy/nats.conf), and FORMSTREAM_NATS_URL user and password.",
        )
    else:
        yield fine("nats.authorization", "The server asks who connects.")
    hosts = [urlsplit(url.strip()).hostname for url in urls.split(",") if "tls:" not in url]
    plain = [host for host in hosts if host and not is_local(host)]
    if plain:
        yield doubtful(
            "nats.tls",
            f"Events travel to {', '.join(plain)} in plain.",
            "Use tls:// and FORMSTREAM_NATS_TLS_CA, or a network that nobody else is in.",
        )
    else:
        yield fine("nats.tls", "Nobody reads along.")


def payload(client: NatsClient) -> Finding:
    """An event with long answers must fit."""
    name = "nats.payload"
    if client.max_payload < MAX_PAYLOAD:
        return wrong(
            name,
            f"Messages of {client.max_payload} bytes are taken, and events may have {MAX_PAYLOAD}.",
            "Set `max_payload: 1MB` in the server's configuration.",
        )
    return fine(name, f"Messages of {client.max_payload} bytes are taken.")


async def jetstream(client: NatsClient, replicas: int) -> Finding:
    """Without it nothing is delivered twice, or even once."""
    name = "nats.jetstream"
    try:
        await client.jetstream(timeout=_WAIT_S).account_info()
    except nats.js.errors.NotFoundError:
        pass
    except (nats.errors.Error, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        cure = "Add a `jetstream` block with a `store_dir` to the server's configuration (deploy/nats.conf)."
        return wrong(name, f"JetStream is not there: {reason}.", cure)
    servers = max(1, len(client.discovered_servers) + 1) if client._server_info.get("cluster") else 1
    if replicas > servers:
        return wrong(
            name,
            f"FORMSTREAM_NATS_REPLICAS={replicas}, and {servers} server is there: the stream cannot be made.",
            "Set it to 1, or make a cluster of three servers.",
        )
    return fine(name, f"JetStream is on; {replicas} copies of the stream.")


async def synchronous(monitor: str) -> Finding:
    """A server acknowledges up to two minutes before the fsync unless told otherwise, and does not tell its clients."""
    name = "nats.durable"
    if not monitor:
        return fine(name, "Not visible from here; --nats-monitor URL asks the server.")
    try:
        async with httpx.AsyncClient(timeout=_WAIT_S, trust_env=False) as client:
            answer = await client.get(f"{monitor.rstrip('/')}/jsz", params={"config": "true"})
        config = answer.raise_for_status().json().get("config", {})
    except (httpx.HTTPError, ValueError) as error:
        cure = "Give --nats-monitor the address of `http:` in the server's configuration."
        return doubtful(name, f"{monitor} does not answer: {error or type(error).__name__}.", cure)
    if not config.get("sync_always"):
        return doubtful(
            name,
            "NATS acknowledges before the fsync: after a power cut, events have to be published again.",
            "Set `sync_interval: always` in its `jetstream` block; `formstream rebuild-stream` repairs a loss.",
        )
    return fine(name, "NATS acknowledges after the fsync.")
