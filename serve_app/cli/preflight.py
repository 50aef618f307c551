"""What must hold before anything is started; each check fails with a sentence that names the cure."""

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError

from db.tls import TlsRefused
from eventing.errors import ConnectFailed
from eventing.tls import client_context
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings

_DIALECTS = ("sqlite:", "postgresql+asyncpg:")
_MIN_ADMIN_PASSWORD = 10


def load_settings() -> Settings:
    """The settings of the environment. Raises CommandFailed with a sentence for each that is wrong."""
    settings = read_settings()
    if found := problems(settings):
        raise CommandFailed(*found)
    return settings


def read_settings() -> Settings:
    """The settings of the environment, each of its type. Raises CommandFailed with a sentence for each that is not."""
    try:
        return Settings()
    except ValidationError as error:
        raise CommandFailed(*(_sentence(item["loc"], item["msg"]) for item in error.errors())) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    if not location:  # of several settings together, which the message names
        return f"{message.removeprefix('Value error, ')}."
    return f"FORMSTREAM_{'_'.join(map(str, location)).upper()}: {message}."


def problems(settings: Settings) -> list[str]:
    """A sentence for each setting that nothing could start with."""
    found = list(_database_problems(settings))
    if settings.has_secret_key() or settings.old_keys():
        try:
            settings.secret_keys()
        except ValueError as error:
            found.append(f"{error}.")
    password = settings.admin_password.get_secret_value()
    if password and len(password) < _MIN_ADMIN_PASSWORD:
        found.append(f"FORMSTREAM_ADMIN_PASSWORD needs at least {_MIN_ADMIN_PASSWORD} characters.")
    if settings.report_fonts is not None and not settings.report_fonts.is_dir():
        found.append(f"FORMSTREAM_REPORT_FONTS: there is no folder {settings.report_fonts}.")
    if settings.nats_url.get_secret_value():
        try:
            client_context(settings.eventing())
        except ConnectFailed as error:
            found.append(f"FORMSTREAM_NATS_TLS_CA, _CERT, _KEY: {error}.")
    for network in settings.egress_networks():
        try:
            ip_network(network)
        except ValueError as error:
            found.append(f"FORMSTREAM_EGRESS_ALLOW: {error}.")
    return found


def _database_problems(settings: Settings) -> Iterator[str]:
    try:
        url = settings.database().url
    except TlsRefused as error:
        yield f"FORMSTREAM_DATABASE_URL or one of its replicas: {error}."
        return
    except (ArgumentError, ValueError):
        url = ""
    if not url.startswith(_DIALECTS):
        yield (
            "FORMSTREAM_DATABASE_URL is not a database URL that can be used: "
            "write postgresql://user:password@host/database or sqlite:////folder/file.db."
        )


def check_data_dir(path: Path) -> None:
    """Create the folder where it is missing and see that files can be written there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CommandFailed(
            f"The data folder {path} cannot be written ({error.strerror}); choose another with --data-dir."
        ) from None


def check_address(host: str, port: int) -> int:
    """See that `host`:`port` can be listened on; the port, or a free one for 0."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the edge does, except SO_REUSEPORT, which would let us in beside another program.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
            free: int = probe.getsockname()[1]
    except OSError as error:
        raise CommandFailed(_address_problem(host, port, error)) from None
    return free


def _address_problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program; stop that or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} needs more privileges; choose a port above 1023 with --port."
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another with --host."
    return f"Port {port} on {host} cannot be used: {error.strerror or os.strerror(error.errno or 0)}."
