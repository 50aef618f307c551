"""What a user waits for: submissions and reads through the whole path, on both databases.

`python -m benchmarks [--database sqlite|postgresql] [--out FILE]`
"""

import argparse
import asyncio
from pathlib import Path

from benchmarks import reads, submissions
from benchmarks.figures import Figure, save
from benchmarks.machine import describe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    arguments = parser.parse_args()
    print(describe())
    figures: list[Figure] = []
    for database in arguments.database or ["sqlite", "postgresql"]:
        figures += asyncio.run(submissions.measure(database, 8, [1, 16, 64, 256]))
        figures += asyncio.run(reads.measure(database, 2_000, 4, [1, 64]))
    if arguments.out:
        save(arguments.out, figures)


if __name__ == "__main__":
    main()
