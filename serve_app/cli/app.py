"""The commands: what they are called, what they take. What they do stands in the modules beside this one.

Those are imported by the command that needs them: `formstream --help` must not wait for Ray.
"""

import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from db.errors import DatabaseError
from deployments.kit.errors import DomainError
from eventing.errors import EventingError
from serve_app.cli.commands.capacity import capacity
from serve_app.cli.commands.dlq import dlq
from serve_app.cli.commands.keys import keys
from serve_app.cli.commands.legacy import legacy
from serve_app.cli.commands.maintenance import maintenance
from serve_app.cli.commands.models import models
from serve_app.cli.commands.options import AsJson, DataDir, Since, Tenant, Until, override
from serve_app.cli.commands.secret_keys import secret_keys
from serve_app.cli.failure import SPEAKER, CommandFailed

_AFTER_THE_PLATFORM: Final = 10

app = typer.Typer(
    name="formstream",
    help="Forms and everything that follows a submission.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def up(
    dashboard: Annotated[bool, typer.Option(help="Ray's dashboard, on loopback; takes about 0.9 GB.")] = True,
    data_dir: DataDir = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on, else FORMSTREAM_HOST.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Port, 0 for a free one; else FORMSTREAM_PORT.", min=0, max=65535),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Serve configuration, instead of the embedded one.")
    ] = None,
) -> None:
    """Start the whole platform on this machine and keep it running until Ctrl-C or SIGTERM."""
    from serve_app.starting import without_collections

    with without_collections():
        from serve_app.cli.up import run

    override(FORMSTREAM_DATA_DIR=data_dir, FORMSTREAM_HOST=host, FORMSTREAM_PORT=port)
    # Bound to the real one: what Ray prints meanwhile goes elsewhere.
    run(dashboard=dashboard, config_file=config, console=Console(file=sys.stdout))


@app.command()
def demo(
    url: Annotated[
        str | None, typer.Option(help="Address of the running platform, else what the settings say.")
    ] = None,
    email: Annotated[
        str | None, typer.Option(help="A platform administrator, needed only where sign-up is switched off.")
    ] = None,
    password: Annotated[str | None, typer.Option(help="The administrator's password.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="CSV", help="A SurveyMonkey export, instead of the example.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Import a real survey into a running platform and watch events, mail and signed webhooks arrive."""
    from serve_app.cli.demo.story import Administrator, tell
    from serve_app.cli.preflight import load_settings

    if (email is None) != (password is None):
        raise CommandFailed("--email and --password belong together.")
    override(FORMSTREAM_DATA_DIR=data_dir)
    administrator = Administrator(email, password) if email is not None and password is not None else None
    tell(Console(), (url or load_settings().origin()).rstrip("/"), file, administrator)


@app.command()
def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the SQL, and how many rows it goes through.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="REVISION", help="To this revision and no further; `base` for none.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take migrations back without asking.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Bring the database to the newest version of the schema, and make the first administrator."""
    from serve_app.cli.database import administrator_file, prepare
    from serve_app.cli.migration import go_to, reached, show_plan
    from serve_app.cli.preflight import check_data_dir, load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    settings = load_settings()
    if dry_run:
        show_plan(settings, to or "head", as_json=as_json)
        return
    if to is not None:
        go_to(settings, to, is_agreed=yes)
        return
    if settings.database().is_sqlite or not settings.admin_password.get_secret_value():
        check_data_dir(settings.data_dir)
    generated = prepare(settings)
    console = Console(soft_wrap=True, highlight=False)
    console.print(reached(settings))
    if generated is not None:
        kept = administrator_file(settings)
        console.print(Text(f"Administrator: {generated.email}, password {generated.password} (kept in {kept})"))


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Serve configuration, else FORMSTREAM_SERVE_CONFIG."),
    ] = None,
    nats_monitor: Annotated[
        str, typer.Option(metavar="URL", help="Monitoring of nats-server, to see whether it syncs.")
    ] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Look for misconfigurations and say how to mend each; exits with 1 for errors, 3 for warnings only."""
    from serve_app.cli.doctor.examination import run

    override(FORMSTREAM_DATA_DIR=data_dir)
    given = os.environ.get("FORMSTREAM_SERVE_CONFIG")
    raise typer.Exit(
        run(
            serve_config=config or (Path(given) if given else None),
            nats_monitor=nats_monitor,
            as_json=as_json,
            console=Console(highlight=False, soft_wrap=False),
        )
    )


@app.command()
def smoke(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the platform, as people reach it.")],
    form: Annotated[
        str | None, typer.Option(metavar="TENANT/SLUG", help="A published form, which is asked for too.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long it is asked.")] = 30.0,
    most_errors: Annotated[float, typer.Option(min=0, max=1, help="The share of requests that may fail.")] = 0.01,
    p95_ms: Annotated[float, typer.Option("--p95-ms", min=1, help="What 95 of 100 requests may take.")] = 1_000.0,
    header: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE", help="Goes with each request, and chooses a version.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE", help="Chooses another one, than which it may not be much worse."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a platform from outside, after a deployment; exits with 1 when it fails too often or is too slow."""
    from serve_app.cli.smoke import Limits, Target, parse_header, run

    limits = Limits(seconds=seconds, errors=most_errors, p95_s=p95_ms / 1000)
    target = Target(url.rstrip("/"), form, parse_header(header) or {}, parse_header(against))
    run(target, limits, as_json=as_json, console=Console(highlight=False, soft_wrap=True))


@app.command()
def settings() -> None:
    """Print the reference of all settings as Markdown."""
    from serve_app.cli.settings_reference import reference

    sys.stdout.write(reference())


@app.command("verify-audit")
def verify_audit(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Id of the tenant.")],
    expect: Annotated[
        str | None, typer.Option(metavar="SEQUENCE:HASH", help="A head that was noted earlier and must still be there.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check that a tenant's audit trail is whole; exits with 1 when it is not."""
    from serve_app.cli.audit import verify
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    verify(load_settings().database(), tenant, expect, Console())


app.add_typer(keys, name="keys")
app.add_typer(secret_keys, name="secrets")
app.add_typer(maintenance, name="maintenance")
app.add_typer(models, name="models")


@app.command("verify-receipt")
def verify_receipt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt as the API answers it.")],
    public_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The platform's key that was noted down, else its own secret's.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check that the receipt of an erasure is what the platform signed; exits with 1 when it is not."""
    from serve_app.cli.preflight import load_settings
    from serve_app.cli.receipt import platform_key, verify

    override(FORMSTREAM_DATA_DIR=data_dir)
    verify(file, public_key or platform_key(load_settings(), file), Console())


app.add_typer(dlq, name="dlq")


@app.command()
def replay(
    tenant: Tenant,
    webhook: Annotated[str | None, typer.Option(metavar="ID", help="The webhook that is told.")] = None,
    consumer: Annotated[str | None, typer.Option(metavar="NAME", help="The consumer that is told.")] = None,
    form: Annotated[str | None, typer.Option(metavar="ID", help="Only events of this form.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this type; again for more.")
    ] = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Only events after this one.")] = None,
    per_second: Annotated[int, typer.Option(min=1, max=1000, help="Events a second at most.")] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, and show the first ones.")] = False,
    wait: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Tell one webhook or one consumer of events again, by a job of the running platform."""
    from serve_app.cli.events import replay as order
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    asked = {
        "webhook_id": webhook,
        "consumer": consumer,
        "form_id": form,
        "types": types,
        "since": since,
        "until": until,
        "after_id": after,
        "per_second": per_second,
        "dry_run": dry_run,
    }
    order(load_settings(), tenant, asked, wait=wait, as_json=as_json)


@app.command("rebuild-stream")
def rebuild_stream(
    everything: Annotated[
        bool, typer.Option("--all", help="Every event in the database, not only what a consumer may need.")
    ] = False,
    restored: Annotated[
        bool,
        typer.Option("--restored", help="The database was put back to an earlier time: the stream is made anew."),
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Publish events again after NATS lost its store; consumers recognise what they have had."""
    from serve_app.cli.events import rebuild_stream as rebuild
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    rebuild(load_settings(), everything=everything, restored=restored, as_json=as_json)


Encrypt = Annotated[
    bool, typer.Option("--encrypt", help="With a passphrase: of FORMSTREAM_BACKUP_PASSPHRASE, else asked for.")
]
Identity = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="The key of age or SSH that the backup was encrypted for."),
]
BackupPath = Annotated[
    str,
    typer.Argument(
        metavar="BACKUP",
        help="A backup, or the folder or s3://bucket/prefix with backups: then the newest of them. Else "
        "FORMSTREAM_BACKUP_URL.",
    ),
]
BackupFolder = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER",
        help="The folder of backups, or s3://bucket/prefix; each becomes a folder in it. Else FORMSTREAM_BACKUP_URL.",
    ),
]


@app.command()
def backup(
    target: BackupFolder = "",
    encrypt: Encrypt = False,
    recipients: Annotated[
        list[str] | None,
        typer.Option("--recipient", metavar="KEY", help="Encrypt for this public key of age or SSH; again for more."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Remove all but the newest N once this one is complete.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Copy every file anew, none from an earlier backup.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Back up database, files, models and configuration, while the platform serves or not."""
    from serve_app.cli.backup import make
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    os.nice(_AFTER_THE_PLATFORM)
    make(load_settings(), target, encrypt=encrypt, recipients=recipients or [], keep=keep, full=full, as_json=as_json)


@app.command()
def backups(target: BackupFolder = "", as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the backups in a place, oldest first."""
    from serve_app.cli.backup import show
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    show(load_settings(), target, as_json=as_json)


@app.command()
def restore(
    backup: BackupPath = "",
    identity: Identity = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup into an empty database and an empty object store; run again after an interruption."""
    from serve_app.cli.backup import restore as bring_back
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    bring_back(load_settings(), backup, identity, as_json=as_json)


@app.command()
def drill(
    backup: BackupPath = "",
    identity: Identity = None,
    sample: Annotated[int, typer.Option(min=1, help="Responses of each tenant that are looked at.")] = 100,
    seed: Annotated[int, typer.Option(help="Chooses which; another time, choose others.")] = 1,
    scratch: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the trial is made, else the system's temporary folder.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="PostgreSQL for a trial database, else the server of the settings."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup into a scratch place, look at what came back, and remove it; exits with 1 when it is wrong."""
    from serve_app.cli.backup import drill as try_out
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    try_out(
        load_settings(), backup, identity, sample=sample, seed=seed, scratch=scratch, server=server, as_json=as_json
    )


app.add_typer(legacy, name="legacy")

analytics = typer.Typer(help="Live figures of forms.", no_args_is_help=True)
app.add_typer(analytics, name="analytics")

OfTenant = Annotated[str | None, typer.Option("--tenant", metavar="TENANT", help="Only forms of this tenant.")]
OfForm = Annotated[str | None, typer.Option("--form", metavar="ID", help="Only this form; needs --tenant.")]


@analytics.command("rebuild")
def analytics_rebuild(tenant: OfTenant = None, form: OfForm = None, data_dir: DataDir = None) -> None:
    """Count the live figures anew from the responses; those of before are shown until each form is done."""
    from serve_app.cli.analytics import rebuild
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    rebuild(load_settings(), tenant, form, Console(soft_wrap=True))


@analytics.command("verify")
def analytics_verify(tenant: OfTenant = None, form: OfForm = None, data_dir: DataDir = None) -> None:
    """Compare the live figures with a recount; exits with 1 when any differ."""
    from serve_app.cli.analytics import verify
    from serve_app.cli.preflight import load_settings

    override(FORMSTREAM_DATA_DIR=data_dir)
    verify(load_settings(), tenant, form, Console(soft_wrap=True))


app.command()(capacity)


@app.command()
def permissions() -> None:
    """Print the reference of all permissions as Markdown."""
    from serve_app.cli.permissions_reference import reference

    sys.stdout.write(reference())


@app.command()
def features() -> None:
    """Print the reference of all switches of tenants as Markdown."""
    from serve_app.cli.features_reference import reference

    sys.stdout.write(reference())


@app.command()
def metrics() -> None:
    """Print the reference of all metrics as Markdown."""
    from serve_app.cli.metrics_reference import reference

    sys.stdout.write(reference())


@app.command()
def events() -> None:
    """Print the reference of all events as Markdown."""
    from serve_app.cli.events_reference import reference

    sys.stdout.write(reference())


@app.command()
def openapi(
    postman: Annotated[bool, typer.Option("--postman", help="As a collection for Postman.")] = False,
) -> None:
    """Print the API document (OpenAPI 3.1) that the edge serves."""
    from serve_app.cli.api_document import api_document
    from serve_app.edge.postman import collection

    document = api_document()
    json.dump(collection(document) if postman else document, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(metavar="FILE", help="A Serve configuration.")]) -> None:
    """Check a Serve configuration strictly, also for keys that Serve would ignore."""
    from serve_app.cli.placed import read_config

    names = [application.name for application in read_config(file).applications]
    Console().print(f"{file} is valid; applications: {', '.join(names)}.", highlight=False, soft_wrap=True)


@app.command()
def version() -> None:
    """Print the version."""
    try:
        number = importlib.metadata.version("formstream")
    except importlib.metadata.PackageNotFoundError:
        number = "of a checkout that is not installed"
    Console().print(f"formstream {number}", highlight=False)


def main() -> None:
    """Run the command line and exit: 0, 1 for a failure, 2 for wrong usage; failures are sentences on stderr."""
    try:
        code = app(prog_name="formstream", standalone_mode=False)
    except typer.TyperException as error:
        _complain(error.format_message())
        sys.exit(error.exit_code)
    except CommandFailed as error:
        _complain(*error.sentences)
        sys.exit(1)
    except (DatabaseError, DomainError, EventingError) as error:
        _complain(str(error))
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FORMSTREAM_LOG_LEVEL") == "DEBUG":
            raise
        reason = " ".join(str(error).split())
        _complain(f"{type(error).__name__}: {reason} (FORMSTREAM_LOG_LEVEL=DEBUG shows where)")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(*sentences: str) -> None:
    for sentence in filter(None, sentences):
        sys.stderr.write(f"{SPEAKER}{sentence}\n")
