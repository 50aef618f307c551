"""A real nats-server that speaks TLS, as an operator would configure one."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventing.server import find_binary

USER = "formstream"
PASSWORD = "of-the-test"


@contextmanager
def tls_server(folder: Path, certificate: tuple[Path, Path], *, tls: str = "", options: str = "") -> Iterator[int]:
    """The port on loopback of a server with JetStream; `tls` and `options` are more lines of its configuration."""
    folder.mkdir()
    config = folder / "nats.conf"
    config.write_text(
        f"""
        listen: "127.0.0.1:-1"
        jetstream {{ store_dir: "{folder}" }}
        authorization {{ user: {USER}, password: {PASSWORD} }}
        tls {{
            cert_file: "{certificate[0]}"
            key_file: "{certificate[1]}"
            {tls}
        }}
        {options}
        """
    )
    process = subprocess.Popen([find_binary(), "-c", config], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        port, said = 0, ""
        for line in process.stderr:
            said += line
            if match := re.search(r"Listening for client connections on 127\.0\.0\.1:(\d+)", line):
                port = int(match[1])
            if "Server is ready" in line:
                break
        assert port, said
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=10)
