"""`formstream legacy`: another backend's database."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.commands.options import AsJson, DataDir, override
from serve_app.cli.failure import CommandFailed

legacy = typer.Typer(help="Bring in the database of another backend.", no_args_is_help=True)

Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `status` shows it.")]


class OnEmailConflict(StrEnum):
    """What becomes of an account whose e-mail is taken."""

    link = "link"
    skip = "skip"
    rename = "rename"


class OnSlugConflict(StrEnum):
    """What becomes of a form whose slug is taken."""

    rename = "rename"
    skip = "skip"


@legacy.command("import")
def legacy_import(
    dump: Annotated[Path, typer.Argument(metavar="DUMP", help="Folder of mongodump or mongoexport, or an archive.")],
    tenant: Annotated[str, typer.Option(metavar="SLUG", help="The tenant that gets it.")],
    create_tenant: Annotated[
        str | None, typer.Option("--create-tenant", metavar="NAME", help="Make the tenant, with this name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; only tell what there would be.")] = False,
    on_email_conflict: Annotated[
        OnEmailConflict, typer.Option(help="An e-mail is taken: it is that account, none, or one beside it.")
    ] = OnEmailConflict.link,
    on_slug_conflict: Annotated[
        OnSlugConflict, typer.Option(help="A slug is taken: another one with a number, or no form.")
    ] = OnSlugConflict.rename,
    raise_quotas: Annotated[
        bool, typer.Option("--raise-quotas", help="Raise the tenant's quotas of forms and responses where need be.")
    ] = False,
    files: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the files lie, else the folder of the dump.")
    ] = None,
    backup: Annotated[
        str | None, typer.Option(metavar="DIR", help="Make a backup there first, or at s3://bucket/prefix.")
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="There is a backup already.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Import the users, forms, versions, responses and files of a dump; go on with it when it was interrupted."""
    from deployments.imports.legacy.ledger import Options
    from deployments.imports.legacy.running import Order
    from serve_app.cli.legacy import bring_in
    from serve_app.cli.preflight import load_settings

    if not dry_run and (backup is None) != no_backup:
        raise CommandFailed("Say where the backup goes that is made first: --backup DIR, or --no-backup.")
    override(FORMSTREAM_DATA_DIR=data_dir)
    options = Options(on_email_conflict.value, on_slug_conflict.value)
    order = Order(dump, tenant, options, create_tenant, raise_quotas, files)
    bring_in(load_settings(), order, dry_run=dry_run, backup=backup, as_json=as_json)


@legacy.command("status")
def legacy_status(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show every run, and how far it is."""
    from serve_app.cli.legacy import status
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    status(load_settings(), as_json=as_json)


@legacy.command("verify")
def legacy_verify(
    run: Run,
    dump: Annotated[Path | None, typer.Option(metavar="DUMP", help="Where the dump is now, if not there.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Hold what is stored against the dump, document by document; exits with 1 when anything differs."""
    from serve_app.cli.legacy import verify
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    verify(load_settings(), run, dump, as_json=as_json)


@legacy.command("rollback")
def legacy_rollback(run: Run, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Remove what a run made, but what people have changed since; go on with it when it was interrupted."""
    from serve_app.cli.legacy import roll_back
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    roll_back(load_settings(), run, as_json=as_json)
