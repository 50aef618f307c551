"""`formstream secrets`: rotating the secret key."""

from typing import Annotated

import typer
from rich.console import Console

from serve_app.cli.commands.options import AsJson, DataDir, override

secret_keys = typer.Typer(help="The secret key, which signs and encrypts: rotating it.", no_args_is_help=True)


@secret_keys.command("status")
def secrets_status(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show every secret key that is accepted, and what needs it."""
    from serve_app.cli.preflight import load_settings
    from serve_app.cli.secret_keys import status

    override(FORMSTREAM_DATA_DIR=data_dir)
    status(load_settings(), _console(), as_json=as_json)


@secret_keys.command("rotate")
def secrets_rotate(data_dir: DataDir = None) -> None:
    """Make with a new secret key from now on; what older ones made is accepted. The platform need not stop."""
    from serve_app.cli.preflight import load_settings
    from serve_app.cli.secret_keys import rotate

    override(FORMSTREAM_DATA_DIR=data_dir)
    rotate(load_settings(), _console())


@secret_keys.command("reseal")
def secrets_reseal(data_dir: DataDir = None) -> None:
    """Encrypt with the current key what is stored; run again after an interruption. The platform need not stop."""
    from serve_app.cli.preflight import load_settings
    from serve_app.cli.secret_keys import reseal

    override(FORMSTREAM_DATA_DIR=data_dir)
    reseal(load_settings(), _console())


@secret_keys.command("remove")
def secrets_remove(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key, as `status` shows it.")],
    now: Annotated[bool, typer.Option("--now", help="Although links that it signed have not ended.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Accept an old key no more, when nothing stored needs it."""
    from serve_app.cli.preflight import load_settings
    from serve_app.cli.secret_keys import remove

    override(FORMSTREAM_DATA_DIR=data_dir)
    remove(load_settings(), key, _console(), at_once=now)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
