"""Options and arguments that several commands have."""

import os
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Folder of all local data, else FORMSTREAM_DATA_DIR.")
]
Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Id of the tenant.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Not before, as in 2026-03-01T00:00:00Z.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before, as in 2026-03-01T00:00:00Z.")]


def override(**values: object) -> None:
    """Options are settings: they go where all settings are read, and where workers inherit them."""
    os.environ.update({name: str(value) for name, value in values.items() if value is not None})
