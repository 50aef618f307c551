"""`formstream dlq`: dead letters."""

from typing import Annotated, Literal, TypeAlias

import typer

from serve_app.cli.commands.options import AsJson, DataDir, Since, Tenant, Until, override

dlq = typer.Typer(help="Dead letters: the events that a consumer gave up.", no_args_is_help=True)

Consumer = Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this consumer.")]
EventType = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only events of this type.")]
Filters: TypeAlias = dict[str, str | None]
Action: TypeAlias = Literal["redrive", "discard"]
Letters = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of the letters.")]


@dlq.command("list")
def dlq_list(
    tenant: Tenant,
    consumer: Consumer = None,
    event_type: EventType = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Most letters that are shown.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show the newest dead letters of a tenant."""
    from serve_app.cli.events import list_letters
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    filters = _filters(consumer, event_type, since, until)
    list_letters(load_settings(), tenant, filters, limit, as_json=as_json)


@dlq.command("show")
def dlq_show(
    tenant: Tenant,
    letter: Annotated[str, typer.Argument(metavar="ID", help="Id of the letter.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a dead letter with its event."""
    from serve_app.cli.events import show_letter
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    show_letter(load_settings(), tenant, letter, as_json=as_json)


@dlq.command("redrive")
def dlq_redrive(
    tenant: Tenant,
    letters: Letters = None,
    consumer: Consumer = None,
    event_type: EventType = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Put events before their consumers again: those of some letters at once, or many by a job."""
    override(FORMSTREAM_DATA_DIR=data_dir)
    _act("redrive", tenant, letters, _filters(consumer, event_type, since, until), as_json=as_json)


@dlq.command("discard")
def dlq_discard(
    tenant: Tenant,
    letters: Letters = None,
    consumer: Consumer = None,
    event_type: EventType = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Forget dead letters: some at once, or many by a job."""
    override(FORMSTREAM_DATA_DIR=data_dir)
    _act("discard", tenant, letters, _filters(consumer, event_type, since, until), as_json=as_json)


def _filters(consumer: str | None, event_type: str | None, since: str | None, until: str | None) -> Filters:
    return {"consumer": consumer, "type": event_type, "since": since, "until": until}


def _act(action: Action, tenant: str, letters: list[str] | None, filters: Filters, *, as_json: bool) -> None:
    from serve_app.cli.events import act
    from serve_app.cli.preflight import load_settings

    act(load_settings(), tenant, action, letters or [], filters, as_json=as_json)
