"""`python -m benchmarks.ai`: every part, one after the other, or those that are named.

A part is a module here with `run(folder)`: `folder` holds the data, as its docstring says. It prints what it measures
and writes its page in `docs/ai/`.
"""

import argparse
import importlib
import time
from pathlib import Path

from benchmarks.machine import describe

PARTS = ("banking", "builtin", "entities", "summary", "speed", "enrichment", "search")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ai", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all by default")
    options = parser.parse_args()
    print(describe())
    for part in options.parts or PARTS:
        print(f"\n== {part}")
        began = time.perf_counter()
        importlib.import_module(f"benchmarks.ai.{part}").run(options.data)
        print(f"({time.perf_counter() - began:.0f} s)")


main()
