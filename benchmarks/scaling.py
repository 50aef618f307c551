"""The same load on one Ray node, two, four: what a submission costs, what scales, and whether anybody waits for others.

`python -m benchmarks.scaling [--nodes 1 2 4] [--tenants 8] [--connections 256] [--seconds 10] [--rate N] [--rounds 1]
[--out FILE]`

Each node is a raylet of this machine at an address of its own, with an edge, a replica of responses and one of the
consumers; the edges share their port, and the kernel spreads connections over them. PostgreSQL and NATS are one each,
their data is new each time. SQLite is a file of one machine, which the platform refuses on several nodes.

The loads: as much as goes to the forms of several tenants, over so many connections in all and over so many for each
node; as much as goes to one form, whose counter of responses commits take in turns; a fixed rate to all forms, a third
of what the first number of nodes could do unless `--rate` says otherwise; and a rate for each node, which is that one
where there are most nodes. The nodes share the processors of one machine, so what is compared is processor time for
each submission: all of it until every effect is through, less what the same processes take when nothing happens. Where
others use the machine, the same time does less, which the same work tells that is done each time.
"""

import argparse
import asyncio
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.books import balance
from benchmarks.command import parser_of, run
from benchmarks.contention import Counts, Sessions, counts, watched
from benchmarks.figures import Figure
from benchmarks.form import Form
from benchmarks.nodes import ON_EACH, Nodes, running, server
from benchmarks.processes import Times
from benchmarks.wrk import Load

KINDS = (*ON_EACH, "runners", "others", "nats", "postgresql", "ray")
_REPLICA = re.compile(r"^ray::ServeReplica:([a-z]+)")
_ASKED = 100
_WORK = 3_000_000


@dataclass(frozen=True, slots=True)
class Lane:
    """What an edge has sent to responses: submissions, in so many messages."""

    calls: float
    messages: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A load on so many nodes, until every effect of it is through."""

    nodes: int
    offered: str
    load: Load
    behind_s: float
    """Until every effect was through after the last submission."""
    costs: Mapping[str, float]
    """Milliseconds of a processor for a submission by kind of process, less what they take at rest."""
    same_ms: float
    """Of a processor for the same work each time, in the middle of it: other loads of the machine make it longer."""
    even: Mapping[str, float]
    """The share of the least used of a kind over that of the most used."""
    in_message: float
    counts: Counts
    sessions: Sessions

    @property
    def figures(self) -> list[Figure]:
        under = f"database=postgresql nodes={self.nodes} offered={self.offered}"
        number = self.counts.responses
        return [
            Figure("stored", under, self.load.per_second, "1/s", more_is_better=True),
            Figure("answered, p50", under, self.load.p50_ms, "ms"),
            Figure("answered, p99", under, self.load.p99_ms, "ms"),
            Figure("refused or failed", under, self.load.refused + self.load.errors, "answers"),
            Figure("effects through after the load", under, self.behind_s, "s"),
            Figure("processor, the same work", under, self.same_ms, "ms"),
            *(Figure("processor", f"{under} process={kind}", ms, "ms/submission") for kind, ms in self.costs.items()),
            *(
                Figure("least over most used", f"{under} process={kind}", share, "", more_is_better=True)
                for kind, share in self.even.items()
            ),
            Figure("in a message", under, self.in_message, "submissions"),
            Figure("in a commit", under, number / self.counts.groups, "submissions"),
            Figure("log written", under, self.counts.syncs / number, "1/submission"),
            Figure("deadlocks", under, self.counts.deadlocks, ""),
            Figure("sessions, most", under, self.sessions.most, ""),
            *(Figure(f"sessions, {what}", under, self.sessions.mean(what), "") for what in _DOING),
        ]


_DOING = ("active", "log", "Lock", "LWLock", "idle in transaction")


async def measure(database: str, given: argparse.Namespace) -> list[Figure]:
    """Measure each number of nodes, in the other direction every second time, and print tables."""
    figures, rate = list[Figure](), given.rate
    with tempfile.TemporaryDirectory(prefix="formstream-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with server(folder) as uri:
            for number in range(given.rounds):
                for nodes in given.nodes[:: -1 if number % 2 else 1]:
                    began = time.monotonic()
                    async with running(folder, uri, nodes) as platform:
                        print(f"\n{database}, nodes: {nodes}, ready after {time.monotonic() - began:.0f} s")
                        found, rate = await _measure_running(platform, given, rate)
                        figures += found
    return figures


async def _measure_running(platform: Nodes, given: argparse.Namespace, rate: float) -> tuple[list[Figure], float]:
    """The figures, and the fixed rate."""
    forms = [await Form.of(platform, f"bench{number}") for number in range(given.tenants)]
    await _offer(forms, given.connections, given.warm)
    await _balance(forms)
    idle = await _idle(platform, given.idle)
    under = f"database=postgresql nodes={platform.number}"
    figures = [Figure("processor at rest", f"{under} process={kind}", idle[kind], "ms/s") for kind in KINDS]
    connections, seconds = given.connections, given.seconds
    stretches = [
        await _stretch(platform, forms, idle, f"peak,connections:{number}", number, seconds)
        for number in sorted({connections, connections * platform.number})
    ]
    rate = rate or stretches[0].load.per_second / 3
    stretches.append(await _stretch(platform, forms[:1], idle, "peak,one-form", connections, seconds))
    for each in sorted({rate, rate * platform.number / max(given.nodes)}, reverse=True):
        pause_ms = round(1000 * connections / each)
        stretches.append(await _stretch(platform, forms, idle, f"{each:.0f}/s", connections, seconds, pause_ms))
    held = _by_kind({(0, name): own for name, (own, _) in processes.memory(platform).items()})
    figures += [Figure("memory, shared pages once", f"{under} process={kind}", held[kind], "MiB") for kind in KINDS]
    _print(stretches, idle, held)
    await asyncio.gather(*(form.client.aclose() for form in forms))
    return [*figures, *(figure for each in stretches for figure in each.figures)], rate


async def _stretch(
    platform: Nodes,
    forms: Sequence[Form],
    idle: Mapping[str, float],
    offered: str,
    connections: int,
    seconds: int,
    pause_ms: int = 0,
) -> Stretch:
    before, sent = await counts(platform.database_uri), await _lanes(platform)
    spent, began = processes.processor_times(platform), time.monotonic()
    offering = _offer(forms, connections, seconds, pause_ms)
    (load, sessions), same_ms = await asyncio.gather(watched(platform.database_uri, offering), _same_work(seconds / 2))
    await balance(forms[-1])  # no consumer waits for anything then; asking for all forms would cost something, too
    took, now = time.monotonic() - began, processes.processor_times(platform)
    since = (await counts(platform.database_uri)).since(before)
    own = {key: seconds - spent.get(key, 0.0) for key, seconds in now.items()}
    costs = {kind: (seconds * 1000 - idle[kind] * took) / since.responses for kind, seconds in _by_kind(own).items()}
    lanes = {
        pid: Lane(lane.calls - sent[pid].calls, lane.messages - sent[pid].messages)
        for pid, lane in (await _lanes(platform)).items()
    }
    await _balance(forms[:-1])
    return Stretch(
        platform.number,
        offered,
        load,
        took - seconds,
        costs | {"all": sum(costs.values())},
        same_ms,
        _even(own) | {"edge": _share([lane.calls for lane in lanes.values()])},
        sum(lane.calls for lane in lanes.values()) / sum(lane.messages for lane in lanes.values()),
        since,
        sessions,
    )


async def _same_work(after_s: float) -> float:
    """Milliseconds of a processor that it takes then."""

    def work() -> float:
        began = time.thread_time()
        sum(number * number for number in range(_WORK))
        return (time.thread_time() - began) * 1000

    await asyncio.sleep(after_s)
    return await asyncio.to_thread(work)


async def _offer(forms: Sequence[Form], connections: int, seconds: int, pause_ms: int = 0) -> Load:
    """What came of the same load on each of the forms: p50 of the median form, p90 and p99 of the slowest."""
    share = connections // len(forms)
    loads = await asyncio.gather(*(asyncio.to_thread(form.load, share, seconds, pause_ms) for form in forms))
    return Load(
        connections=connections,
        answered=sum(load.answered for load in loads),
        refused=sum(load.refused for load in loads),
        shed=sum(load.shed for load in loads),
        errors=sum(load.errors for load in loads),
        per_second=sum(load.per_second for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p90_ms=max(load.p90_ms for load in loads),
        p99_ms=max(load.p99_ms for load in loads),
    )


async def _balance(forms: Sequence[Form]) -> None:
    for form in forms:
        await balance(form)


async def _idle(platform: Nodes, seconds: float) -> dict[str, float]:
    """Milliseconds of a processor that each kind takes in a second while nothing happens."""
    before, began = processes.processor_times(platform), time.monotonic()
    await asyncio.sleep(seconds)
    after, took = processes.processor_times(platform), time.monotonic() - began
    spent = _by_kind({key: value - before.get(key, 0.0) for key, value in after.items()})
    return {kind: value * 1000 / took for kind, value in spent.items()}


async def _lanes(platform: Nodes) -> dict[str, Lane]:
    """What each edge has sent, by its process. Raises AssertionError when not all of them are found."""
    found: dict[str, Lane] = {}
    for _ in range(_ASKED):
        async with platform.client() as client:  # a new connection, which the kernel gives to any edge
            text = (await client.get("/metrics")).text
        pid = _value(text, r'formstream_edge_replica\{pid="(\d+)"\}')
        calls, messages = (
            float(_value(text, rf'formstream_dispatch_{what}_total\{{lane="responses.hot"\}} (\S+)'))
            for what in ("calls", "batches")
        )
        found[pid] = Lane(calls, messages)
        if len(found) == platform.number:
            return found
    raise AssertionError(f"{len(found)} of {platform.number} edges answer")


def _value(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return found[1]


def kind_of(name: str) -> str:
    """What a process is for, by its name."""
    if name in {"nats-server", "postgres"}:
        return {"nats-server": "nats", "postgres": "postgresql"}[name]
    if (replica := _REPLICA.match(name)) is not None:
        return replica[1] if replica[1] in KINDS else "others"
    return "ray"


def _by_kind(values: Times) -> dict[str, float]:
    found = dict.fromkeys(KINDS, 0.0)
    for (_, name), value in values.items():
        found[kind_of(name)] += value
    return found


def _even(spent: Times) -> dict[str, float]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for (_, name), seconds in spent.items():
        found[kind_of(name)].append(seconds)
    return {kind: _share(found[kind]) for kind in ON_EACH}


def _share(values: Sequence[float]) -> float:
    return min(values) / max(values) if max(values) else 1.0


def _print(stretches: Sequence[Stretch], idle: Mapping[str, float], held: Mapping[str, float]) -> None:
    names = {"ray": "Ray", "nats": "NATS", "postgresql": "PostgreSQL"}
    kinds = [names.get(kind, kind) for kind in KINDS]
    columns = ("offered", "stored/s", "p50 ms", "p99 ms", "refused", "effects after s", *kinds, "all", "same work ms")
    print(f"| {' | '.join(columns)} |")
    print("|" + "---|" * len(columns))
    for each in stretches:
        load, costs = each.load, [f"{each.costs[kind]:.2f}" for kind in (*KINDS, "all")]
        print(
            f"| {each.offered} | {load.per_second:,.0f} | {load.p50_ms:.1f} | {load.p99_ms:.1f} |"
            f" {load.refused + load.errors} | {each.behind_s:.1f} | {' | '.join(costs)} | {each.same_ms:.0f} |"
        )
    for what, values in (("at rest, ms/s", idle), ("MiB", held)):
        numbers = " | ".join(f"{values[kind]:.0f}" for kind in KINDS)
        print(f"| {what} | | | | | | {numbers} | {sum(values.values()):.0f} | |")
    print(
        f"\n| offered | {' | '.join(f'{kind}: least over most' for kind in ON_EACH)} | in a message | in a commit |"
        f" log written for each | sessions | {' | '.join(_DOING)} | deadlocks |"
    )
    print("|" + "---|" * (len(ON_EACH) + len(_DOING) + 6))
    for each in stretches:
        number, sessions = each.counts.responses, each.sessions
        print(
            f"| {each.offered} | {' | '.join(f'{each.even[kind]:.2f}' for kind in ON_EACH)} | {each.in_message:.1f} |"
            f" {number / each.counts.groups:.1f} | {each.counts.syncs / number:.2f} | {sessions.most} |"
            f" {' | '.join(f'{sessions.mean(what):.2f}' for what in _DOING)} | {each.counts.deadlocks} |",
            flush=True,
        )


def main() -> None:
    parser = parser_of(__doc__, ("postgresql",))
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--tenants", type=int, default=8)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--warm", type=int, default=5, help="seconds of load before")
    parser.add_argument("--idle", type=float, default=15.0, help="seconds of rest that are measured")
    parser.add_argument("--rate", type=float, default=0.0, help="submissions a second; else a third of the first peak")
    parser.add_argument("--rounds", type=int, default=1)
    run(parser, measure)


if __name__ == "__main__":
    main()
