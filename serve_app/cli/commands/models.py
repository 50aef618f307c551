"""`formstream models`: the AI models of this installation."""

import typer
from rich.console import Console

from serve_app.cli.commands.options import DataDir, override

models = typer.Typer(help="The AI models of this installation.", no_args_is_help=True)


@models.command("build")
def models_build(data_dir: DataDir = None) -> None:
    """Build the models whose weights are installed; what is built already stays."""
    from serve_app.cli.models import build
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    build(load_settings(), Console(highlight=False))


@models.command("list")
def models_list(data_dir: DataDir = None) -> None:
    """Show every version that is installed."""
    from serve_app.cli.models import show
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    show(load_settings(), Console(highlight=False))


@models.command("verify")
def models_verify(data_dir: DataDir = None) -> None:
    """Compare every file with its checksum."""
    from serve_app.cli.models import verify
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    verify(load_settings(), Console(highlight=False))
