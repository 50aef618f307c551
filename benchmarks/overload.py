"""What happens past the limit: how much is still stored, what is shed, how soon it is over, what others feel of it.

`python -m benchmarks.overload [--database sqlite|postgresql] [--seconds 8] [--times 1 2 3 5]`

The peak is found with connections that ask again at once. Then submissions are offered at multiples of it, over 4,096
connections that pause after each answer, whatever it was. Afterwards the time until a submission is answered as on an
idle platform; and all the while what one tenant's flood does to another who submits now and then.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

from benchmarks.books import balance
from benchmarks.command import parser_of, run
from benchmarks.figures import Figure
from benchmarks.form import Form, running

_PEAK_CONNECTIONS = 512
_CONNECTIONS = 4_096
_PAUSE_S = 0.02
_IN_A_ROW = 10
_RECOVERED_S = 120.0


async def measure(database: str, given: argparse.Namespace) -> list[Figure]:
    """Measure one database and print a table."""
    seconds = given.seconds
    with running(database) as platform:
        noisy, quiet = await Form.of(platform, "noisy"), await Form.of(platform, "quiet")
        noisy.load(16, 2)
        idle = await _now_and_then(quiet, seconds)
        under = f"database={database}"
        print(f"\n{under}: the quiet tenant alone: p50 {_ms(idle, 50):.1f} ms, p99 {_ms(idle, 99):.1f} ms")
        print("| offered | asked/s | stored/s | shed/s | other refusals | failures | quiet p50 ms | quiet p99 ms |")
        print("|---|---|---|---|---|---|---|---|")
        peak, figures = await _flood(noisy, quiet, seconds, "peak", under, _PEAK_CONNECTIONS)
        for multiple in given.times:
            pause_ms = round(1000 * _CONNECTIONS / (multiple * peak))
            offered = f"{multiple:g} times the peak"
            _, found = await _flood(noisy, quiet, seconds, offered, under, _CONNECTIONS, pause_ms)
            figures += found
        recovered = await _recovered(quiet, _ms(idle, 99) / 1000)
        print(f"as before {recovered:.1f} s after the flood", flush=True)
        for form in (noisy, quiet):
            await balance(form)
        await asyncio.gather(noisy.client.aclose(), quiet.client.aclose())
        return [*figures, Figure("as before after the flood", under, recovered, "s")]


async def _flood(
    noisy: Form, quiet: Form, seconds: int, offered: str, under: str, connections: int, pause_ms: int = 0
) -> tuple[float, list[Figure]]:
    """One row; what was stored in a second, and the figures."""
    load, felt = await asyncio.gather(
        asyncio.to_thread(noisy.load, connections, seconds, pause_ms), _now_and_then(quiet, seconds - 1)
    )
    print(
        f"| {offered} | {load.asked_per_second:,.0f} | {load.per_second:,.0f} | {load.shed / seconds:,.0f} |"
        f" {load.refused - load.shed} | {load.errors} | {_ms(felt, 50):.1f} | {_ms(felt, 99):.1f} |",
        flush=True,
    )
    where = f"{under} offered={offered.replace(' ', '_')}"
    return load.per_second, [
        Figure("stored", where, load.per_second, "1/s", more_is_better=True),
        Figure("asked", where, load.asked_per_second, "1/s", more_is_better=True),
        Figure("refused otherwise or failed", where, load.refused - load.shed + load.errors, "answers"),
        Figure("another tenant, p99", where, _ms(felt, 99), "ms"),
    ]


async def _now_and_then(form: Form, seconds: float) -> list[float]:
    """Seconds that each submission took, one after another with pauses."""
    taken, ends = list[float](), time.monotonic() + seconds
    while time.monotonic() < ends:
        taken.append(await form.submit())
        await asyncio.sleep(_PAUSE_S)
    return taken


async def _recovered(form: Form, usual_s: float) -> float:
    """Seconds until the first of some submissions in a row that took no longer than `usual_s`."""
    began = time.monotonic()
    in_a_row, since = 0, 0.0
    while in_a_row < _IN_A_ROW and time.monotonic() - began < _RECOVERED_S:
        asked = time.monotonic()
        if await form.submit() > usual_s:
            in_a_row = 0
            continue
        since = asked if in_a_row == 0 else since
        in_a_row += 1
    return since - began if in_a_row == _IN_A_ROW else _RECOVERED_S


def _ms(seconds: Sequence[float], percentile: int) -> float:
    return statistics.quantiles(seconds, n=100)[percentile - 1] * 1000


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--times", type=float, nargs="+", default=[1, 2, 3, 5])
    run(parser, measure)


if __name__ == "__main__":
    main()
