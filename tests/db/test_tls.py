"""TLS to PostgreSQL, with the words of libpq's URLs."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from db import migrate
from db.engine import normalise_url, postgres_engine
from db.errors import DatabaseError, DatabaseUnavailable
from db.replicas import Replicas
from db.session import Database
from db.settings import DatabaseSettings
from db.tls import TlsRefused, split_tls
from tests.certificates import Authority
from tests.db.tls_front import tls_front

HOST = "127.0.0.1"


def at(port: int, database: str, **tls: object) -> DatabaseSettings:
    """Settings with a URL as an operator writes one."""
    query = "&".join(f"{name}={value}" for name, value in tls.items())
    name = urlsplit(database).path
    return DatabaseSettings(url=normalise_url(f"postgresql://postgres@{HOST}:{port}{name}?{query}"), pool_size=1)


async def answers(settings: DatabaseSettings) -> bool:
    async with Database(settings) as database, database.unscoped_read() as unit:
        return bool(await unit.session.scalar(text("SELECT 1")))


@pytest.mark.parametrize("word", ["sslmode", "ssl"])
async def test_all_that_connects_does_so_over_tls(postgres_database: str, ours: Authority, word: str) -> None:
    """V12.3: the application, its replicas and the migrations."""
    async with tls_front(postgres_database, ours.server_context(HOST)) as (front, port):
        settings = at(port, postgres_database, **{word: "verify-full", "sslrootcert": ours.file})
        assert await answers(settings)
        assert front.encrypted == 1
        assert await migrate.current_revision(settings) == migrate.head_revision()
        assert front.encrypted == 2
        await migrate.upgrade(settings)
        assert front.encrypted == 3
        primary = postgres_engine(settings)
        replicas = Replicas(settings.model_copy(update={"replica_urls": (settings.url,)}), primary)
        await replicas.beat()
        assert front.encrypted == 5
        await replicas.close()
        await primary.dispose()
        assert front.plain == 0


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_certificate_of_another_authority_is_refused(
    postgres_database: str, ours: Authority, theirs: Authority, mode: str
) -> None:
    """With a CA, `require` checks it too, as libpq does."""
    async with tls_front(postgres_database, theirs.server_context(HOST)) as (front, port):
        settings = at(port, postgres_database, sslmode=mode, sslrootcert=ours.file)
        with pytest.raises(DatabaseUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await answers(settings)
        with pytest.raises(DatabaseError, match="CERTIFICATE_VERIFY_FAILED"):
            await migrate.upgrade(settings)
        assert (front.encrypted, front.plain) == (0, 0)


async def test_a_certificate_of_another_host_is_refused(postgres_database: str, ours: Authority) -> None:
    async with tls_front(postgres_database, ours.server_context("db.elsewhere.example")) as (front, port):
        with pytest.raises(DatabaseUnavailable, match="IP address mismatch"):
            await answers(at(port, postgres_database, sslmode="verify-full", sslrootcert=ours.file))
        assert (front.encrypted, front.plain) == (0, 0)
        assert await answers(at(port, postgres_database, sslmode="verify-ca", sslrootcert=ours.file))


async def test_a_server_without_tls_is_refused(postgres_database: str, ours: Authority) -> None:
    async with tls_front(postgres_database, None) as (front, port):
        with pytest.raises(DatabaseUnavailable, match="rejected SSL upgrade"):
            await answers(at(port, postgres_database, sslmode="verify-full", sslrootcert=ours.file))
        assert front.plain == 0


async def test_a_server_may_ask_for_our_certificate(postgres_database: str, ours: Authority) -> None:
    context = ours.server_context(HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours.file)
    certificate, key = ours.issue("formstream")
    async with tls_front(postgres_database, context) as (_, port):
        settings = at(port, postgres_database, sslmode="verify-full", sslrootcert=ours.file)
        with pytest.raises(DatabaseUnavailable):
            await answers(settings)
        assert await answers(
            settings.model_copy(update={"url": f"{settings.url}&sslcert={certificate}&sslkey={key}"}),
        )


async def test_a_missing_file_is_a_failure(postgres_database: str, ours: Authority, tmp_path: Path) -> None:
    async with tls_front(postgres_database, ours.server_context(HOST)) as (front, port):
        with pytest.raises(DatabaseUnavailable, match="No such file"):
            await answers(at(port, postgres_database, sslmode="verify-full", sslrootcert=tmp_path / "missing.pem"))
        assert front.encrypted == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sslmode=verify", "is one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("sslmode=VERIFY-FULL", "is one of"),
        ("ssl=true", "is one of"),
        ("ssl=require&sslmode=verify-full", "not both"),
        ("sslmode=require&sslmode=verify-full", "twice"),
        (
            "sslmode=verify-full&sslrootcert=ca.pem",
            "sslrootcert in a database URL is the path of a file, from the root",
        ),
        ("sslmode=verify-full&sslpassword=hunter2", "^sslpassword in a database URL is not supported$"),
        ("ssl_mode=verify-full", "ssl_mode in a database URL is not supported"),
    ],
)
def test_what_cannot_be_is_refused(query: str, words: str) -> None:
    with pytest.raises(TlsRefused, match=words):
        normalise_url(f"postgresql://user@host/database?{query}")


def test_what_else_a_url_says_stays() -> None:
    url = make_url("postgresql+asyncpg://user:pw@host/database?sslmode=verify-full&host=a:1&host=b:2")
    rest, tls = split_tls(url)
    assert rest == make_url("postgresql+asyncpg://user:pw@host/database?host=a:1&host=b:2")
    assert tls == {"dsn": "postgresql://?sslmode=verify-full"}
    assert split_tls(rest) == (rest, {})
