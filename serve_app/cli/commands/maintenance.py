"""`formstream maintenance`: refusing writes for a while."""

from typing import Annotated

import typer
from rich.console import Console

from serve_app.cli.commands.options import DataDir, override

maintenance = typer.Typer(help="Refuse writes for a while; reads go on.", no_args_is_help=True)


@maintenance.command("on")
def maintenance_on(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="A sentence that callers are told.")] = "",
    minutes: Annotated[int | None, typer.Option(min=1, help="How long it takes, as callers are told.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Answer whatever would change something with 503 and Retry-After, within a second and without a restart."""
    from serve_app.cli.maintenance import begin
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    begin(load_settings().database(), reason, minutes, Console(soft_wrap=True))


@maintenance.command("off")
def maintenance_off(data_dir: DataDir = None) -> None:
    """Take writes again."""
    from serve_app.cli.maintenance import end
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    end(load_settings().database(), Console(soft_wrap=True))


@maintenance.command("status")
def maintenance_status(data_dir: DataDir = None) -> None:
    """Say whether writes are refused, and since when."""
    from serve_app.cli.maintenance import show
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    show(load_settings().database(), Console(soft_wrap=True))
