"""A real nats-server that speaks TLS, as an operator would configure one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.nats_server import configured

USER = "formstream"
PASSWORD = "of-the-test"


@contextmanager
def tls_server(folder: Path, certificate: tuple[Path, Path], *, tls: str = "", options: str = "") -> Iterator[int]:
    """The port on loopback of a server with JetStream; `tls` and `options` are more lines of its configuration."""
    configuration = f"""
        jetstream {{ store_dir: "{folder}" }}
        authorization {{ user: {USER}, password: {PASSWORD} }}
        tls {{
            cert_file: "{certificate[0]}"
            key_file: "{certificate[1]}"
            {tls}
        }}
        {options}
        """
    with configured(folder, configuration) as (port, _):
        yield port
