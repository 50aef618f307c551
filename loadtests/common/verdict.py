"""Whether a run was good enough, as the exit code of Locust: 1 when too much failed or submitting took too long."""

from typing import Any

from locust import events
from locust.runners import WorkerRunner

from loadtests.common import table
from loadtests.settings import Limits, kept_table, limits

SUBMIT = "submit"


def faults(stats: Any, allowed: Limits) -> list[str]:
    """What was worse than allowed, as sentences. Submitting to the one that is stormed does not count."""
    found = []
    if not stats.total.num_requests:
        found.append("nothing was asked")
    if stats.total.fail_ratio >= allowed.errors:
        found.append(f"{stats.total.fail_ratio:.2%} of the requests failed, {allowed.errors:.2%} is too much")
    for entry in stats.entries.values():
        p95 = entry.get_response_time_percentile(0.95)
        if entry.name in (SUBMIT, f"quiet: {SUBMIT}") and p95 >= allowed.p95_ms:
            found.append(f"{entry.name}: 95 % were answered within {p95:.0f} ms, {allowed.p95_ms:.0f} is too much")
    return found


def listen() -> None:
    """Judge each run when it ends."""
    events.quitting.add_listener(_judge)


def _judge(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        return
    if (kept := kept_table()) is not None:
        table.write(kept, environment.stats)
    found = faults(environment.stats, limits())
    for sentence in found:
        print(f"Not good enough: {sentence}")  # noqa: T201 - the summary of Locust is printed, too
    environment.process_exit_code = int(bool(found))
