"""A real nats-server with a configuration as an operator would write one."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventing.server import find_binary

_PORT = re.compile(r"(Listening for client connections|Starting http monitor) on 127\.0\.0\.1:(\d+)")


@contextmanager
def configured(folder: Path, configuration: str) -> Iterator[tuple[int, int]]:
    """The ports on loopback of clients and of the monitoring."""
    folder.mkdir(exist_ok=True)
    config = folder / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:-1"\nhttp: "127.0.0.1:-1"\n{configuration}')
    process = subprocess.Popen([find_binary(), "-c", config], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        ports: dict[str, int] = {}
        said = ""
        for line in process.stderr:
            said += line
            if match := _PORT.search(line):
                ports[match[1].partition(" ")[0]] = int(match[2])
            if "Server is ready" in line:
                break
        assert len(ports) == 2, said
        yield ports["Listening"], ports["Starting"]
    finally:
        process.terminate()
        process.communicate(timeout=10)
