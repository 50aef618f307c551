"""The whole examination, and how it is told."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serve_app.cli.doctor import (
    addresses,
    backups,
    database,
    machine,
    placement,
    secrecy,
    services,
    transport,
    variables,
)
from serve_app.cli.doctor.finding import Finding, Severity, wrong
from serve_app.cli.doctor.installation import Installation
from serve_app.cli.failure import CommandFailed
from serve_app.cli.preflight import read_settings

_PARTS: Final = (machine, variables, secrecy, addresses, placement, database, transport, services, backups)
_MARKS: Final = {
    Severity.OK: Text("✓", "green"),
    Severity.WARNING: Text("!", "yellow"),
    Severity.ERROR: Text("✗", "red"),
}
_EXIT_CODES: Final = {Severity.OK: 0, Severity.ERROR: 1, Severity.WARNING: 3}
"""2 stands for wrong usage, as with every command."""


def run(*, serve_config: Path | None, nats_monitor: str, as_json: bool, console: Console) -> int:
    """Examine what the environment describes and tell it; the exit code for the worst that was found."""
    findings = asyncio.run(_findings(serve_config, nats_monitor))
    if as_json:
        console.file.write(orjson.dumps(_document(findings), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _show(findings, console)
    return _EXIT_CODES[_worst(findings)]


async def examine(installation: Installation) -> list[Finding]:
    """Every finding, in the order of the parts."""
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(part.examine(installation)) for part in _PARTS]
    return [finding for look in looks for finding in look.result()]


async def _findings(serve_config: Path | None, nats_monitor: str) -> list[Finding]:
    environment = dict(os.environ)
    try:
        settings = read_settings()
    except CommandFailed as error:
        # Nothing else can be looked at; a misspelt name may well be the reason.
        cure = "docs/settings.md says what each setting takes."
        return [
            *(wrong("settings.values", sentence, cure) for sentence in error.sentences),
            *variables.names(environment),
        ]
    return await examine(Installation(settings, environment, serve_config, nats_monitor))


def _worst(findings: Iterable[Finding]) -> Severity:
    return max((finding.severity for finding in findings), default=Severity.OK)


def _document(findings: list[Finding]) -> dict[str, Any]:
    return {
        "worst": _worst(findings).name.lower(),
        "findings": [
            {"check": each.check, "severity": each.severity.name.lower(), "says": each.says, "cure": each.cure}
            for each in findings
        ],
    }


def _show(findings: list[Finding], console: Console) -> None:
    table = Table("", "Check", "Finding", box=None, pad_edge=False)
    for finding in findings:
        told = Text(finding.says)
        if finding.cure:
            told.append(f"\n→ {finding.cure}", "bold")
        table.add_row(_MARKS[finding.severity], finding.check, told)
    console.print(table)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = sum(finding.severity is Severity.WARNING for finding in findings)
    console.print(f"\n{errors} errors, {warnings} warnings, {len(findings) - errors - warnings} well.", highlight=False)
