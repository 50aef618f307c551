"""What a load needs: replicas, nodes, processors, memory, PostgreSQL and NATS. See docs/capacity.md.

The coefficients are what was measured with forms of ten fields; docs/performance.md says where and on what.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

PROCESSOR_MS: Final[Mapping[str, float]] = {
    "edge": 0.26,
    "responses": 0.3,
    "workers": 1.1,
    "nats": 0.2,
    "postgresql": 0.5,
}
"""Of a submission until all its effects are through, of as many as go."""
REST_PROCESSORS: Final = 0.1
"""What each node takes at rest: Ray's own processes."""
OTHERS_PROCESSORS: Final = 0.1
"""What the other applications of `serve_config.yaml` take at rest, all together."""
DELIVERY_MS: Final = 1.2
"""Of the worker, for one signed webhook delivery, that an endpoint on the same machine takes at once."""
MEMORY_MIB: Final[Mapping[str, int]] = {"edge": 220, "responses": 250, "workers": 240}
NODE_MIB: Final = 600
"""Of a node, whatever runs on it: raylet, agents, on the head the controller and the cluster's own store."""
OTHERS_MIB: Final = 2_000
"""Of the other applications of `serve_config.yaml`, all together."""
OTHERS: Final = 10
"""How many of those, the runners of jobs included, have connections to PostgreSQL."""
DATABASE_BYTES: Final = 11_700
"""On PostgreSQL's disk for a response, its event, index and figures included."""
STREAM_BYTES: Final = 1_300
"""In the stream for an event."""

POOL: Final = 8
"""Connections of a replica, `FORMSTREAM_DATABASE_POOL_SIZE`."""

_DAY_S: Final = 86_400
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Load:
    """What is expected: submissions a second at the peak, and the share of a day's seconds that would take at that pace
    what comes in a day; endpoints that are told of each; days that responses and that the stream are kept; how full a
    processor and a node's memory may be; what a node has; copies of the stream."""

    submissions: float
    busy: float = 0.2
    webhooks: float = 1.0
    days: int = 365
    stream_days: int = 14
    fill: float = 0.6
    node_processors: int = 8
    node_gib: int = 16
    copies: int = 3


@dataclass(frozen=True, slots=True)
class Need:
    """What that takes."""

    edge: int
    responses: int
    workers: int
    nodes: int
    processors: float
    memory_gib: float
    nats_processors: float
    stream_gib: float
    stream_mib_per_s: float
    database_gib: float
    database_gib_per_day: float
    database_processors: float
    database_connections: int


def need(load: Load) -> Need:
    """The need of a load: every process takes one processor at most, filled as far as the load allows."""
    busy_ms = {name: PROCESSOR_MS[name] for name in MEMORY_MIB}
    busy_ms["workers"] += load.webhooks * DELIVERY_MS
    replicas = {name: max(1, math.ceil(load.submissions * ms / 1000 / load.fill)) for name, ms in busy_ms.items()}
    processors = load.submissions * sum(busy_ms.values()) / 1000 / load.fill + OTHERS_PROCESSORS
    memory = (sum(replicas[name] * mib for name, mib in MEMORY_MIB.items()) + OTHERS_MIB) / 1024
    usable_gib = load.node_gib * load.fill - NODE_MIB / 1024
    usable_processors = load.node_processors - REST_PROCESSORS
    nodes = max(2, math.ceil(processors / usable_processors), math.ceil(memory / usable_gib))
    daily = load.submissions * load.busy * _DAY_S
    return Need(
        **replicas,
        nodes=nodes,
        processors=processors + nodes * REST_PROCESSORS,
        memory_gib=memory + nodes * NODE_MIB / 1024,
        nats_processors=load.submissions * PROCESSOR_MS["nats"] / 1000 / load.fill,
        stream_gib=daily * load.stream_days * STREAM_BYTES * load.copies / _GIB,
        stream_mib_per_s=load.submissions * STREAM_BYTES / 2**20,
        database_gib=daily * load.days * DATABASE_BYTES / _GIB,
        database_gib_per_day=daily * DATABASE_BYTES / _GIB,
        database_processors=load.submissions * PROCESSOR_MS["postgresql"] / 1000 / load.fill,
        database_connections=POOL * (replicas["responses"] + replicas["workers"] + OTHERS),
    )


def show(load: Load, console: Console, *, as_json: bool) -> None:
    """Print the need of a load."""
    found = need(load)
    if as_json:
        json.dump({"load": asdict(load), "need": asdict(found)}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    table = Table("What", "How much", box=None)
    for name, value in (
        ("Edge replicas", f"{found.edge}"),
        ("Replicas of responses", f"{found.responses}"),
        ("Worker replicas", f"{found.workers}"),
        ("Nodes, so that one may fail", f"{found.nodes} + 1"),
        ("Processors of all replicas", f"{found.processors:,.1f}"),
        ("Memory of all nodes", f"{found.memory_gib:,.1f} GiB"),
        ("Processors of each NATS server", f"{found.nats_processors:,.1f}"),
        ("Disk of all NATS servers", f"{found.stream_gib:,.0f} GiB, {found.stream_mib_per_s:,.1f} MiB/s each"),
        ("Processors of PostgreSQL", f"{found.database_processors:,.1f}"),
        ("Connections to PostgreSQL, at most", f"{found.database_connections}"),
        ("Disk of PostgreSQL", f"{found.database_gib:,.0f} GiB, {found.database_gib_per_day:,.1f} a day"),
    ):
        table.add_row(name, value)
    console.print(table)
    console.print("How that is known, and what it leaves out: docs/capacity.md.")
