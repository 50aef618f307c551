"""`formstream keys`: the keys that sign access tokens."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from serve_app.cli.commands.options import DataDir, override

keys = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)


class Algorithm(StrEnum):
    """How tokens can be signed (RFC 7518 §3.1, RFC 8037 §3.1)."""

    HS256 = "HS256"
    ES256 = "ES256"
    EdDSA = "EdDSA"


@keys.command("list")
def keys_list(data_dir: DataDir = None) -> None:
    """Show every key there was."""
    from serve_app.cli.keys import show
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    show(load_settings(), Console(highlight=False))


@keys.command("rotate")
def keys_rotate(
    algorithm: Annotated[Algorithm | None, typer.Option(help="Else FORMSTREAM_SIGNING_ALGORITHM.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Sign with a new key from now on. Nobody is logged out: what older keys signed is accepted while it lives."""
    from serve_app.cli.keys import rotate
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    rotate(load_settings(), algorithm.value if algorithm else None, Console(highlight=False))


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key, as `list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Refuse every token that a key signed, within seconds: for a key that somebody may have got hold of."""
    from serve_app.cli.keys import revoke
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    revoke(load_settings(), key, Console(highlight=False))
