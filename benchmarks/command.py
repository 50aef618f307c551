"""What the commands have in common: they say what they measure on, take each database in turn, and keep the figures."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from benchmarks.databases import DATABASES
from benchmarks.figures import Figure, save
from benchmarks.machine import describe

Measure: TypeAlias = Callable[[str, argparse.Namespace], Awaitable[Sequence[Figure]]]
"""Measures one database, prints tables, and returns the figures."""


def parser_of(text: str | None, databases: Sequence[str] = DATABASES) -> argparse.ArgumentParser:
    """A parser with the options that every command has."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=databases, action="append", help="again for another; all by default")
    parser.set_defaults(databases=databases)
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    return parser


def run(parser: argparse.ArgumentParser, measure: Measure) -> None:
    """Measure what the arguments ask for."""
    arguments = parser.parse_args()
    print(describe(), flush=True)
    figures: list[Figure] = []
    for database in arguments.database or arguments.databases:
        figures += asyncio.run(measure(database, arguments))
        # After each, so that what fails later does not lose it.
        if arguments.out:
            save(arguments.out, figures)
