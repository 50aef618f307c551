"""`formstream capacity`."""

from typing import Annotated

import typer
from rich.console import Console

from serve_app.cli.commands.options import AsJson


def capacity(
    submissions: Annotated[float, typer.Option(min=0.001, help="A second, at the peak.")],
    webhooks: Annotated[float, typer.Option(min=0, help="Endpoints that are told of each.")] = 1.0,
    busy: Annotated[
        float, typer.Option(min=0.001, max=1, help="The part of a day that the peak would take for all of the day.")
    ] = 0.2,
    days: Annotated[int, typer.Option(min=1, help="Days that responses and their events are kept.")] = 365,
    fill: Annotated[float, typer.Option(min=0.1, max=1, help="How full a processor may be.")] = 0.6,
    node_processors: Annotated[int, typer.Option(min=1, help="Processors of a node.")] = 8,
    node_gib: Annotated[int, typer.Option(min=2, help="Memory of a node, in GiB.")] = 16,
    as_json: AsJson = False,
) -> None:
    """Say what a load needs: replicas, nodes, memory and disks, by what was measured (docs/capacity.md)."""
    from serve_app.cli.capacity import Load, show

    load = Load(
        submissions,
        webhooks=webhooks,
        busy=busy,
        days=days,
        fill=fill,
        node_processors=node_processors,
        node_gib=node_gib,
    )
    show(load, Console(highlight=False), as_json=as_json)
